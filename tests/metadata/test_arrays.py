"""Blackbox tables in the common form."""

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.arrays import past_tasks_of_arrays
from automl_meta.spaces import SearchSpace

SPACE = SearchSpace("plane", 1, {"x": FloatDistribution(0, 1), "k": FloatDistribution(0, 1)})
X = np.random.default_rng(0).uniform(size=(6, 2))


def blackbox(*axes):
    """Two tasks, six configurations, then seeds and so on."""
    return np.random.default_rng(1).normal(size=(2, 6, *axes))


def scores(y, **options):
    made = past_tasks_of_arrays(X, y, SPACE, ["a", "b"], maximize=False, **options)
    return np.array([task.scores for task in made])


def test_seeds_are_averaged_and_fidelity_and_metric_chosen():
    y = blackbox(3, 4, 2)
    of_metric = y[..., 1].mean(axis=2)
    assert np.allclose(scores(y, metric=1), -of_metric[..., -1])
    assert np.allclose(scores(y, metric=1, fidelity=0), -of_metric[..., 0])
    assert np.allclose(scores(y[..., 1], fidelity=2), -of_metric[..., 2])
    assert np.allclose(scores(y[..., -1, :], metric=1), -of_metric[..., -1])
    assert np.allclose(scores(y[..., -1, 1]), -of_metric[..., -1])
    assert np.allclose(scores(y[..., :1, 1]), -of_metric[..., 0])  # one entry leaves no question
    assert np.allclose(scores(of_metric[..., -1]), -of_metric[..., -1])


def test_a_failed_seed_is_left_out_of_the_mean():
    y = blackbox(3)
    y[0, 0, 1], y[0, 1, :], y[0, 2, 2] = np.nan, np.inf, 1e300
    found = -scores(y)[0]
    assert found[0] == pytest.approx(y[0, 0, [0, 2]].mean())
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(y[0, 2, :2].mean())


@pytest.mark.parametrize(
    ("axes", "options", "message"),
    [
        ((3, 4), {}, "'fidelity' .* given, or metric"),
        ((3, 4, 2), {}, "'metric' .* from -2 to 1. Got None"),
        ((3, 4, 2), {"metric": 2}, "'metric' .* from -2 to 1. Got 2"),
        ((3, 4), {"fidelity": 4}, "'fidelity' .* from -4 to 3. Got 4"),
        ((3, 4), {"fidelity": 1.0}, "'fidelity' .* Got 1.0"),
        ((), {"fidelity": 3}, "'fidelity' .* from -1 to 0. Got 3"),
        ((3, 4, 2, 1), {"metric": 0}, "'y' .* of shape"),
    ],
)
def test_what_is_not_in_a_blackbox_table_is_refused(axes, options, message):
    with pytest.raises(InvalidParameterError, match=message):
        scores(blackbox(*axes), **options)


def test_a_blackbox_table_of_something_else_is_refused():
    for y in ([["a"] * 6] * 2, [[0.1] * 6, [0.1] * 5]):
        with pytest.raises(InvalidParameterError, match=r"'y' .* an array of numbers, all rows of"):
            scores(y)


def test_a_word_in_the_place_of_a_truth_value_is_refused():
    message = "'maximize' parameter of .* must be True or False. Got 'no' instead"
    with pytest.raises(InvalidParameterError, match=message):
        past_tasks_of_arrays(X, blackbox(), SPACE, ["a", "b"], maximize="no")


@pytest.mark.parametrize("value", [1.7, -0.2, np.inf])
def test_coordinates_outside_the_unit_cube_are_refused(value):
    x = X.copy()
    x[3, 1] = value
    message = rf"{value} for 'k' in configuration 3, of a, b"
    with pytest.raises(InvalidParameterError, match=message):
        past_tasks_of_arrays(x, blackbox(), SPACE, ["a", "b"], maximize=True)


def test_rounding_at_the_edge_of_the_unit_cube_is_forgiven():
    x = X.copy()
    x[0] = 1.0 + 1e-9, np.nan
    units = past_tasks_of_arrays(x, blackbox(), SPACE, ["a", "b"], maximize=True)[1].units
    assert units[0, 0] == 1.0
    assert np.isnan(units[0, 1])
