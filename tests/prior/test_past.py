import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.past import PastTask, past_task
from automl_meta.prior.acquisition import climbed
from automl_meta.prior.mixture import ResponseModel
from automl_meta.prior.observations import Observation
from automl_meta.prior.past import learn_past
from automl_meta.prior.past_portfolio import coverage
from automl_meta.prior.responses import WARPS, learn_responses, unwarped_regret, warp
from automl_meta.spaces import Condition, Encoder, SearchSpace

SPACE = SearchSpace(
    "toy",
    1,
    {
        "kind": CategoricalDistribution(["a", "b"]),
        "x": FloatDistribution(0, 1),
        "y": FloatDistribution(0, 1),
    },
    {"y": Condition("kind", ("b",))},
)


def response(units, best):
    """Kind a peaks at ``best``; kind b is worse everywhere."""
    return -((units[:, 1] - best) ** 2) - 0.3 * (units[:, 0] > 0.5)


def toy_task(seed, best, n=40, scale=1.0):
    encoder = Encoder(SPACE)
    units = encoder.sample_units(np.random.default_rng(seed), n)
    return PastTask(f"t{seed}", units, scale * response(units, best))


@pytest.fixture(scope="module")
def tasks():
    return [toy_task(i, 0.25 + 0.1 * i, scale=10.0**i) for i in range(5)]


@pytest.fixture(scope="module")
def prior(tasks):
    return learn_past(tasks, SPACE)


def encoded(n, seed=9):
    encoder = Encoder(SPACE)
    units = encoder.sample_units(np.random.default_rng(seed), n)
    return units, encoder.expand(units)


@pytest.mark.parametrize("name", WARPS)
def test_warps_keep_the_order_and_ignore_the_scale(name):
    raw = np.array([3.0, np.nan, 1.0, 2.0, 2.5])
    warped = warp(raw, name)
    assert np.argsort(warped[[2, 3, 4, 0]]).tolist() == [0, 1, 2, 3]
    assert warped[1] <= warped[2]  # a failed evaluation is no better than the worst
    assert np.allclose(warped, warp(7.0 * raw - 100.0, name))


def test_the_regret_comes_back_from_the_gap_scale(prior):
    gaussian = prior.responses.warps["gap"]
    regret = np.array([0.0, 0.2, 1.0])
    scaled = (-np.log(regret + 0.05) - gaussian.centre) / gaussian.spread
    assert np.allclose(unwarped_regret(scaled, gaussian), regret)


def test_tasks_of_any_scale_teach_one_model_that_predicts_a_new_one(prior):
    units, x = encoded(300)
    truth = response(units, 0.4)
    model = ResponseModel(prior.responses, x[:8], 50.0 * truth[:8] + 3.0)
    expected = model.mean(x[8:])
    assert np.corrcoef(expected, truth[8:])[0, 1] > 0.9
    blind = ResponseModel(prior.responses, x[:0], truth[:0]).mean(x[8:])
    assert np.corrcoef(blind, truth[8:])[0, 1] > 0.6


def test_the_evidence_tells_a_past_that_misleads(prior):
    units, x = encoded(20)
    agreeing = ResponseModel(prior.responses, x, response(units, 0.4)).trust()
    reversed_ = ResponseModel(prior.responses, x, -response(units, 0.4)).trust()
    assert agreeing > 0.6
    assert reversed_ < 0.2
    encoder = Encoder(SPACE)
    trials = [
        Observation(encoder.from_units(row), float(score))
        for row, score in zip(units, -response(units, 0.4), strict=True)
    ]
    assert prior.hands_over(trials)
    assert not prior.hands_over(trials[:4])


def test_gain_prefers_what_the_past_and_the_trials_agree_on(prior):
    units, x = encoded(400)
    truth = response(units, 0.4)
    model = ResponseModel(prior.responses, x[:6], truth[:6])
    gain = model.log_gain(x[6:])
    assert truth[6:][int(np.argmax(gain))] > np.quantile(truth, 0.9)
    assert np.isfinite(gain).sum() == 150  # the screened ones


def test_running_trials_are_kept_away_from(prior):
    rng = np.random.default_rng(0)
    units, _ = encoded(6)
    encoder = Encoder(SPACE)
    trials = [
        Observation(encoder.from_units(row), float(score))
        for row, score in zip(units, response(units, 0.4), strict=True)
    ]
    first = prior.propose(trials, [], rng)
    second = prior.propose(trials, [first], np.random.default_rng(0))
    assert second != first


def test_all_failed_trials_still_give_a_new_proposal(prior):
    rng = np.random.default_rng(0)
    tried = [Observation(c, None) for c in prior.warm_start(3)]
    proposal = prior.propose(tried, [], rng)
    assert SPACE.validate(proposal) == proposal
    assert proposal not in [trial.configuration for trial in tried]


def test_a_configuration_that_tasks_share_counts_with_what_was_measured():
    encoder = Encoder(SPACE)
    shared = encoder.sample_units(np.random.default_rng(0), 30)
    rng = np.random.default_rng(1)
    tables = []
    for i in range(4):
        scores = rng.normal(size=30)
        scores[7] = 5.0  # the best on all tasks, and nothing about its place says so
        tables.append(PastTask(f"t{i}", shared, scores))
    prior = learn_past(tables, SPACE)
    assert prior.warm_start(1)[0] == encoder.from_units(shared[7])
    assert np.all(prior.portfolio.regrets[:, 0] == 0.0)


@pytest.mark.parametrize("refine", [True, False])
def test_awful_scores_do_not_hide_which_configurations_are_good(refine):
    units = Encoder(SPACE).sample_units(np.random.default_rng(0), 40)
    past = []
    for task in range(6):
        scores = response(units, 0.5)
        scores[task % 3] = -1e6  # a diverged training
        past.append(PastTask(f"t{task}", units, scores))
    prior = learn_past(past, SPACE, refine=refine)
    best = prior.warm_start(1)[0]
    assert best["kind"] == "a"
    assert abs(best["x"] - 0.5) < 0.1
    regrets = prior.portfolio.regrets
    assert np.median(regrets) > 0.1


def test_no_known_evaluation_is_refused():
    failed = past_task("f", [{"kind": "a", "x": 0.5}], [None], SPACE)
    with pytest.raises(InvalidParameterError, match="finished evaluation"):
        learn_past([failed], SPACE)
    with pytest.raises(InvalidParameterError, match="one number for each"):
        PastTask("p", np.zeros((3, 3)), np.zeros(2))


def test_learning_is_repeatable(tasks):
    encoder = Encoder(SPACE)
    x = [encoder.expand(task.units) for task in tasks[:2]]
    raw = [task.scores for task in tasks[:2]]
    first, weights = learn_responses(x, raw, seed=3)
    second, again = learn_responses(x, raw, seed=3)
    assert all(np.array_equal(weights[name], again[name]) for name in WARPS)
    assert np.array_equal(first.features(x[0]), second.features(x[0]))


def test_starting_points_may_be_new_where_the_space_is_open_and_only_there():
    rng = np.random.default_rng(3)
    units = Encoder(SPACE).sample_units(rng, 60)
    tasks = [PastTask(f"t{i}", units, response(units, b)) for i, b in enumerate((0.48, 0.5, 0.52))]
    # None of the shared settings is near the peak.
    far = np.abs(units[:, 1] - 0.5) > 0.08
    tasks = [PastTask(t.name, t.units[far], t.scores[far]) for t in tasks]
    encoder = Encoder(SPACE)

    def best(prior):
        return response(encoder.to_units(prior.warm_start(1)), 0.5)[0]

    recorded = learn_past(tasks, SPACE, refine=False)
    opened = learn_past(tasks, SPACE)
    assert best(opened) > best(recorded)
    known = {tuple(np.nan_to_num(r.round(6), nan=-1)) for r in tasks[0].units}
    rows = encoder.to_units(recorded.portfolio.configurations)
    assert {tuple(np.nan_to_num(r.round(6), nan=-1)) for r in rows} <= known


def test_climbing_ends_near_the_peak_and_never_on_an_observed_row():
    encoder = Encoder(SPACE)
    rng = np.random.default_rng(0)
    rows = encoder.sample_units(rng, 20)
    seen = encoder.to_units([{"kind": "a", "x": 0.5}])

    def gain(of_rows):
        return response(of_rows, 0.5)

    found = climbed(encoder, rows, gain, seen, rng, rounds=6)
    assert gain(found[None])[0] >= gain(rows).max()
    assert gain(found[None])[0] > -1e-3
    assert climbed(encoder, rows, gain, seen, rng, rounds=0) in rows
    discrete = SearchSpace("kinds", 1, {"kind": CategoricalDistribution(["a", "b", "c"])})
    kinds = Encoder(discrete)
    seen = kinds.to_units([{"kind": "a"}, {"kind": "b"}])
    left = kinds.to_units([{"kind": "c"}])
    assert climbed(kinds, left, lambda r: r[:, 0], seen, rng) == left[0]


def test_coverage_asks_for_the_row_that_a_rare_kind_of_task_needs():
    proven = np.linspace(0.0, 1.0, 5)[:, None]
    common = np.array([[0.0, 0.3, 0.5, 0.7, 1.0]] * 9)
    rare = np.array([[1.0, 0.9, 0.8, 0.7, 0.0]])
    regrets = np.concatenate([common, rare])
    gain = coverage(regrets, proven, proven[:2], np.array([0.2, 0.1]), proven[2:])
    assert np.argmax(gain) == 2  # the common kind has nothing left to gain
    assert coverage(regrets, proven, proven[:2], np.array([0.2, 0.1]), np.array([[0.33]])) == [0.0]


def test_coverage_follows_the_tasks_that_agree_with_the_trials():
    proven = np.linspace(0.0, 1.0, 4)[:, None]
    regrets = np.array([[0.6, 0.9, 0.0, 0.8], [0.9, 0.6, 0.8, 0.0]])
    tried, left = proven[:2], proven[2:]
    assert np.argmax(coverage(regrets, proven, tried, np.array([2.0, 1.0]), left)) == 0
    assert np.argmax(coverage(regrets, proven, tried, np.array([1.0, 2.0]), left)) == 1
    blind = coverage(regrets, proven, tried, np.array([np.nan, np.nan]), left)
    assert blind == pytest.approx([0.6, 0.6])


def test_a_closed_space_is_searched_without_repeats_to_its_end():
    rows = Encoder(SPACE).sample_units(np.random.default_rng(3), 30)
    tasks = [PastTask(str(i), rows, response(rows, 0.2 + 0.1 * i)) for i in range(6)]
    prior = learn_past(tasks, SPACE, refine=False)
    assert prior.closed
    observed, rng = [], np.random.default_rng(0)
    for _ in range(30):
        proposal = prior.propose(observed, [], rng)
        assert proposal not in [o.configuration for o in observed]
        observed.append(Observation(proposal, float(len(observed))))
    assert len(observed) == 30
