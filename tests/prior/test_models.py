"""Scores, acquisition, task-only model and scale matching."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from automl_meta.metalearn import split_meta
from automl_meta.prior.acquisition import candidates, log_expected_improvement, neighbours
from automl_meta.prior.scores import bounded, normal_scores
from automl_meta.prior.task_only import fit_task_only
from automl_meta.prior.transfer import fit_transfer, match_scale
from automl_meta.spaces import Encoder, Region


def test_normal_scores_depend_on_order_only_and_failures_are_worst():
    scores = [0.2, 0.9, None, 0.5, float("nan")]
    result = normal_scores(scores)
    np.testing.assert_allclose(result, normal_scores([2.0, 90.0, None, 5.0, None]))
    assert result[2] == result[4] == result.min()
    assert np.argsort(result)[-1] == 1
    assert normal_scores([]).shape == (0,)
    np.testing.assert_allclose(normal_scores([None, None]), 0.0)


@pytest.mark.parametrize("mean", [2.0, 0.0, -3.0, -8.0])
def test_expected_improvement_is_the_integral(mean):
    sigma = 0.7
    integral = quad(
        lambda f: f * norm.pdf(f, mean, sigma),
        0.0,
        max(mean, 0) + 12 * sigma,
        epsabs=0,
        epsrel=1e-10,
    )[0]
    value = log_expected_improvement(np.array([mean]), np.array([sigma**2]), 0.0)[0]
    assert value == pytest.approx(np.log(integral), rel=1e-6)


def test_expected_improvement_stays_finite_and_monotone_far_away():
    means = -np.logspace(-1, 6, 200)
    values = log_expected_improvement(means, np.ones(200), 0.0)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()


def test_candidates_are_valid_new_and_include_the_extra_ones(table):
    encoder = Encoder(table.space)
    rng = np.random.default_rng(5)
    observed = encoder.to_units(table.space.sample(rng, 10))
    extra = encoder.to_units(table.shared)
    rows = candidates(encoder, observed, np.arange(10.0), extra, rng)
    keys = {np.nan_to_num(r, nan=-1).round(9).tobytes() for r in rows}
    assert not keys & {np.nan_to_num(r, nan=-1).round(9).tobytes() for r in observed}
    assert {np.nan_to_num(r, nan=-1).round(9).tobytes() for r in extra} <= keys
    for row in rows[::50]:
        table.space.validate(encoder.from_units(row))


def test_proven_candidates_are_new_and_within_the_searched_space(table):
    from optuna.distributions import CategoricalDistribution

    encoder = Encoder(table.space)
    extra = encoder.to_units(table.shared)
    rng = np.random.default_rng(5)
    rows = candidates(encoder, extra[:3], np.zeros(3), extra, rng, proven_only=True)
    assert len(rows) == len(extra) - 3
    narrow = table.space.narrow(kind=CategoricalDistribution(["bad"]))
    region = Region.of(encoder, narrow)
    rows = candidates(encoder, extra[:0], np.zeros(0), extra, rng, region, proven_only=True)
    assert [encoder.from_units(row)["kind"] for row in rows] == ["bad"] * len(rows)
    assert len(rows) == sum(c["kind"] == "bad" for c in table.shared)
    # Nothing proven is left: free ones are offered after all.
    assert len(candidates(encoder, extra, np.zeros(16), extra, rng, proven_only=True)) > 100


def test_an_exhausted_space_still_proposes():
    from optuna.distributions import CategoricalDistribution

    from automl_meta.spaces import SearchSpace

    space = SearchSpace("two", 1, {"a": CategoricalDistribution([0, 1])})
    encoder = Encoder(space)
    both = encoder.to_units([{"a": 0}, {"a": 1}])
    assert len(candidates(encoder, both, np.zeros(2), both, np.random.default_rng(0))) == 2


def test_neighbours_change_something_and_mostly_little(table):
    encoder = Encoder(table.space)
    row = encoder.to_units([{"kind": "good", "x": 0.5, "good.y": 0.5}])[0]
    near = neighbours(encoder, row[None], 200, np.random.default_rng(0))
    moved = np.abs(np.nan_to_num(near, nan=-1) - row)
    assert (moved.max(axis=1) > 0).mean() > 0.7  # a redrawn category may come out the same
    assert np.median(moved[:, 1:]) < 0.05


def test_task_only_model_predicts_like_scikit_learns_process():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(40, 2))
    y = np.sin(5 * x[:, 0]) + 0.05 * rng.normal(size=40)
    model = fit_task_only(x, y)
    new = rng.uniform(size=(30, 2))
    mean, variance = model.predict(new)
    assert np.corrcoef(mean, np.sin(5 * new[:, 0]))[0, 1] > 0.97
    kernel = ConstantKernel(model.variance, "fixed") * Matern(
        model.length, "fixed", nu=2.5
    ) + WhiteKernel(model.variance * (model.noise + 1e-8), "fixed")
    reference = GaussianProcessRegressor(kernel, optimizer=None).fit(x, y - model.mean)
    expected, std = reference.predict(new, return_std=True)
    np.testing.assert_allclose(mean, expected + model.mean, atol=1e-6)
    np.testing.assert_allclose(variance + model.variance * model.noise, std**2, atol=1e-5)


def test_believing_keeps_the_mean_and_shrinks_the_variance():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(12, 2))
    model = fit_task_only(x, np.sin(5 * x[:, 0]))
    new = rng.uniform(size=(3, 2))
    believer = model.believing(new)
    np.testing.assert_allclose(believer.predict(new)[0], model.predict(new)[0], atol=0.1)
    assert (believer.predict(new)[1] < model.predict(new)[1]).all()


def test_transfer_knows_good_configurations_before_any_trial(learner, table):
    prior = learner.prior("fold-0")
    model = fit_transfer(
        prior.meta, prior.algorithm, np.empty((0, table.tasks[0].encodings.shape[1])), np.array([])
    )
    for task, trained in zip(table.tasks, learner.tasks, strict=True):
        if trained.fold == 0:
            assert spearmanr(model.predict(task.encodings)[0], task.scores)[0] > 0.5


def test_scale_matching_puts_good_trials_high_and_a_random_sample_in_the_middle(learner, table):
    weights, _ = split_meta(learner.models["all"].meta)
    task = table.tasks[0]
    order = np.argsort(-task.scores)

    def matched(rows):
        own = normal_scores(task.raw[rows])
        scale = match_scale(weights, task.encodings[rows], own)
        return scale.offset + scale.spread * own

    best, mixed = matched(order[:8]), matched(order[::5])
    assert best.mean() > mixed.mean() + 0.5
    assert best.std() < mixed.std()
    assert (np.diff(best) <= 0).all()  # order is kept


def test_scores_are_cut_off_only_where_best_and_median_differ():
    np.testing.assert_allclose(bounded(np.array([0.9, 0.8, -20.0])), [0.9, 0.8, 0.7])
    ties = np.array([1.0, 1.0, 1.0, 0.6, np.nan])
    np.testing.assert_array_equal(bounded(ties), ties)
