"""A surrogate is asked, and what it answers is a table."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.surrogates import past_tasks_of_surrogate
from automl_meta.spaces import Condition, Encoder, SearchSpace

SPACE = SearchSpace(
    "toy",
    1,
    {"kind": CategoricalDistribution(["a", "b"]), "rate": FloatDistribution(1e-3, 1, log=True)},
    {"rate": Condition("kind", ("b",))},
)


def error(task, configurations):
    """A failure where the kind is a, for the task 2 a number above others."""
    values = [
        c.pop("rate", np.nan) + task for c in configurations
    ]  # the caller's own are not spoilt
    return np.array(values)


def test_every_task_is_asked_about_the_same_configurations():
    made = past_tasks_of_surrogate(error, SPACE, [0, 2], n=30, maximize=False, seed=1)
    assert [task.name for task in made] == ["0", "2"]
    encoder = Encoder(SPACE)
    for number, task in zip((0, 2), made, strict=True):
        assert np.array_equal(task.units, made[0].units, equal_nan=True)
        asked = [encoder.from_units(row) for row in task.units]
        expected = [-c["rate"] - number if "rate" in c else np.nan for c in asked]
        assert np.allclose(task.scores, expected, equal_nan=True)
    assert 0 < np.isnan(made[0].scores).sum() < 30
    again = past_tasks_of_surrogate(error, SPACE, [0], n=30, seed=2)
    assert not np.array_equal(again[0].units, made[0].units, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"function": 5}, "'function' .* of a task and a list"),
        ({"function": lambda _, cs: [cs] * 2}, "'function' .* 9 numbers"),
        ({"function": lambda _, cs: np.zeros((len(cs), 2))}, r"shape \(9, 2\) for task x"),
        ({"function": lambda _, __: "no"}, "Got \"'no' for task x\""),
        ({"space": {}}, "'space'"),
        ({"tasks": []}, "'tasks'"),
        ({"tasks": "xy"}, "'tasks'"),
        ({"tasks": 3}, "'tasks'"),
        ({"tasks": [1, "1"]}, "'tasks' .* different names"),
        ({"n": 0}, "'n' .* >= 1"),
        ({"n": 2.5}, "'n' .* >= 1"),
        ({"seed": -1}, "'seed' .* >= 0"),
    ],
)
def test_what_is_no_surrogate_is_refused(change, message):
    given = {"function": error, "space": SPACE, "tasks": ["x"], "n": 9, **change}
    with pytest.raises(InvalidParameterError, match=message):
        past_tasks_of_surrogate(**given)
