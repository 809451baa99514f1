"""What meta-features say of a task's responses: it is true, safe where they say nothing, and survives storage."""

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from automl_meta.metadata.past import PastTask
from automl_meta.prior.conditioning import _fit, learn_conditioner
from automl_meta.prior.past import learn_past
from automl_meta.prior.past_storage import load_past, save_past
from automl_meta.prior.responses import learn_responses
from automl_meta.spaces import Encoder, SearchSpace

SPACE = SearchSpace("toy", 1, {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})
BEST = np.linspace(0.1, 0.9, 12)


def response(units, best):
    return -((units[:, 0] - best) ** 2) - 0.1 * (units[:, 1] - 0.5) ** 2


def toy_tasks(features):
    units = Encoder(SPACE).sample_units(np.random.default_rng(0), 40)
    return [
        PastTask(f"t{i}", units, response(units, best), given)
        for i, (best, given) in enumerate(zip(BEST, features, strict=True))
    ]


@pytest.fixture(scope="module")
def telling():
    noise = np.random.default_rng(1).normal(size=12)
    return toy_tasks([{"where": b, "noise": n} for b, n in zip(BEST, noise, strict=True)])


@pytest.fixture(scope="module")
def prior(telling):
    return learn_past(telling, SPACE)


def expected_best(prior):
    """Where along x the prior mean is highest."""
    grid = np.column_stack([np.linspace(0, 1, 101), np.full(101, 0.5)])
    phi = prior.responses.features(Encoder(SPACE).expand(grid))
    return grid[int(np.argmax(phi @ prior.responses.warps["gap"].mean)), 0]


@pytest.mark.parametrize("best", [0.2, 0.8])
def test_meta_features_move_the_expected_optimum(prior, best):
    assert abs(expected_best(prior.conditioned({"where": best, "noise": 0.0})) - best) < 0.15
    assert abs(expected_best(prior.conditioned({"where": best})) - best) < 0.2  # one is missing


@pytest.mark.parametrize("features", [None, {}, {"unknown": 3.0}, {"where": float("nan")}])
def test_nothing_known_changes_nothing(prior, features):
    assert expected_best(prior.conditioned(features)) == expected_best(prior)


def test_extreme_meta_features_stay_within_what_was_seen(prior):
    far = prior.conditioned({"where": 1e9, "noise": -1e9})
    assert np.isfinite(far.responses.warps["gap"].mean).all()
    assert 0.5 < expected_best(far) <= 1.0


def test_the_first_proposal_already_knows(prior):
    rng = np.random.default_rng(0)
    low, high = (
        prior.conditioned({"where": best}).propose([], [], rng)["x"] for best in (0.15, 0.85)
    )
    assert low < 0.5 < high


@pytest.mark.parametrize(
    "features",
    [[{}] * 12, [{"same": 1.0}] * 12, [{"where": float("nan")}] * 12],
    ids=["none", "constant", "unknown"],
)
def test_tasks_without_telling_meta_features_have_no_conditioner(features):
    assert learn_past(toy_tasks(features), SPACE).conditioner is None


def test_few_tasks_have_no_conditioner(telling):
    tasks = telling[:5]
    x = [Encoder(SPACE).expand(t.units) for t in tasks]
    responses, weights = learn_responses(x, [t.scores for t in tasks])
    assert learn_conditioner([t.features for t in tasks], responses, weights, x) is None


def test_meta_features_that_predict_nothing_hardly_move_the_mean():
    moved = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        features, targets = rng.normal(size=(60, 18)), rng.normal(size=(60, 5))
        distance = ((features[:, None] - features[None]) ** 2).mean(-1)
        width, duals = _fit(distance, targets - targets.mean(axis=0), np.eye(5))
        moved.append(np.std(np.exp(-0.5 * distance / width) @ duals))
    assert np.mean(moved) < 0.15  # of deviations of 1


def test_left_out_errors_are_those_of_leaving_out():
    rng = np.random.default_rng(0)
    f = rng.uniform(size=(15, 1))
    targets = np.sin(6 * f) + 0.05 * rng.normal(size=(15, 1))
    distance = ((f[:, None] - f[None]) ** 2).mean(-1)
    width, duals = _fit(distance, targets, np.eye(1))
    kernel = np.exp(-0.5 * distance / width)
    fitted = kernel @ duals
    assert np.corrcoef(fitted[:, 0], targets[:, 0])[0, 1] > 0.98
    # The chosen regression predicts a point that was left out, found here by leaving it out.
    scale = np.linalg.lstsq(duals, targets - fitted, rcond=None)[
        0
    ]  # rho / (1 - rho), for targets = (K + ratio I) duals
    rest = np.arange(15) != 7
    solved = np.linalg.solve(kernel[np.ix_(rest, rest)] + scale * np.eye(14), targets[rest])
    assert abs(float(kernel[7, rest] @ solved[:, 0]) - targets[7, 0]) < 0.3


def test_a_stored_prior_conditions_the_same(prior, tmp_path):
    save_past(prior, tmp_path)
    again = load_past(tmp_path)
    for features in ({"where": 0.3, "noise": 1.0}, {"where": 0.7}):
        pair = [p.conditioned(features).responses.warps["rank"].mean for p in (prior, again)]
        np.testing.assert_allclose(*pair, atol=1e-4)


def test_a_conditioned_prior_is_not_conditioned_again(prior):
    once = prior.conditioned({"where": 0.8, "noise": 0.0})
    assert once.conditioned({"where": 0.2, "noise": 0.0}) is once
