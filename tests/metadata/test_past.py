"""Past searches of any origin in the common form."""

import logging

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.past import past_task, past_tasks_of_frame
from automl_meta.spaces import SearchSpace

SPACE = SearchSpace("plane", 1, {"x": FloatDistribution(0, 1), "k": FloatDistribution(0, 1)})


def frame():
    return pd.DataFrame(
        {
            "x": [0.1, 0.2, 0.3, 0.4],
            "k": [0.5, 0.5, 1.0, 1.0],
            "set": ["a", "a", None, "b"],
            "error": [1.0, 2.0, 3.0, 4.0],
        }
    )


@pytest.mark.parametrize(
    ("task", "value", "message"),
    [
        ("set", "x", "'value' .* no parameter of the space .* Got 'x'"),
        ("k", "error", "'task' .* no parameter of the space .* Got 'k'"),
        ("set", "set", "'task' .* a column of its own"),
        ("sets", "error", "'task' .* a column of the frame"),
    ],
)
def test_a_column_with_two_roles_is_refused(task, value, message):
    with pytest.raises(InvalidParameterError, match=message):
        past_tasks_of_frame(frame(), SPACE, task=task, value=value)


def test_rows_without_a_task_are_left_out_and_counted(caplog):
    with caplog.at_level(logging.WARNING, "automl_meta"):
        tasks = past_tasks_of_frame(frame(), SPACE, task="set", value="error", maximize=False)
    assert [(t.name, t.scores.tolist()) for t in tasks] == [("a", [-1.0, -2.0]), ("b", [-4.0])]
    assert "1 of 4 rows name no task" in caplog.text
    caplog.clear()
    past_tasks_of_frame(frame().dropna(), SPACE, task="set", value="error")
    assert not caplog.records


def test_a_word_in_the_place_of_a_truth_value_is_refused():
    message = "'maximize' parameter of .* must be True or False. Got 'no' instead"
    with pytest.raises(InvalidParameterError, match=message):
        past_tasks_of_frame(frame(), SPACE, task="set", value="error", maximize="no")


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0.1], "one number for each of the 2 configurations. Got '1 of them' instead"),
        ([0.1, "good"], "'scores' parameter of past_task must be an array of numbers"),
        ([0.1, [0.2, 0.3]], "'scores' parameter of past_task must be an array of numbers"),
    ],
)
def test_scores_that_do_not_fit_the_configurations_are_refused(scores, message):
    with pytest.raises(InvalidParameterError, match=message):
        past_task("a", [{"x": 0.1}, {"x": 0.2}], scores, SPACE)


def test_evaluations_outside_the_space_take_their_scores_along():
    task = past_task("a", [{"x": 0.1}, {"x": 7.0}, {"x": 0.3}], [1.0, 2.0, None], SPACE)
    assert task.n_outside == 1
    assert np.array_equal(task.scores, [1.0, np.nan], equal_nan=True)
