"""Surrogate benchmarks, functions that tell any configuration's score on each of their tasks, as past tasks."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from automl_meta._typing import Configuration, FloatArray
from automl_meta.exceptions import InvalidParameterError, check_whole
from automl_meta.metadata.past import PastTask, checked_truth
from automl_meta.spaces import Encoder, SearchSpace

_Task = TypeVar("_Task")
_WHERE = "past_tasks_of_surrogate"


def past_tasks_of_surrogate(
    function: Callable[[_Task, list[Configuration]], Sequence[float] | FloatArray],
    space: SearchSpace,
    tasks: Sequence[_Task],
    *,
    n: int = 200,
    maximize: bool = True,
    seed: int = 0,
) -> list[PastTask]:
    """Make past tasks of a surrogate, YAHPO's for instance, by asking it about random configurations.

    All tasks are asked about the same ones, so that what is good on several of them is measured, not guessed.

    Args:
        function: (task, n configurations) to n scores, NaN where an evaluation would fail; it is called once a task.
        space: The space that configurations are drawn from.
        tasks: What the function calls its tasks; as strings they must differ, for these are their names.
        n: Configurations a task, >= 1.
        maximize: Whether a greater score is better.
        seed: Of the draws, >= 0.

    Raises:
        InvalidParameterError: If an argument is of another kind, two tasks have one name, or the function does not
            return one number a configuration.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> space = SearchSpace("toy", 1, {"x": FloatDistribution(0, 1)})
        >>> def error(task, configurations):
        ...     return [(c["x"] - task) ** 2 for c in configurations]
        >>> made = past_tasks_of_surrogate(error, space, [0.2, 0.7], n=50, maximize=False)
        >>> [(task.name, round(float(task.best_units(1)[0, 0]), 1)) for task in made]
        [('0.2', 0.2), ('0.7', 0.7)]
    """
    _check(function, space, tasks)
    check_whole(n, "n", _WHERE, 1, remedy="Try n=200.")
    check_whole(seed, "seed", _WHERE, 0)
    sign = 1.0 if checked_truth(maximize, "maximize", _WHERE) else -1.0
    encoder = Encoder(space)
    rows = encoder.sample_units(np.random.default_rng(seed), n)
    configurations = [encoder.from_units(row) for row in rows]
    return [
        PastTask(str(task), rows, sign * _scores(function, task, configurations)) for task in tasks
    ]


def _scores(
    function: Callable[[_Task, list[Configuration]], Sequence[float] | FloatArray],
    task: _Task,
    configurations: Sequence[Configuration],
) -> FloatArray:
    # Copies: a surrogate may add what it needs to each, a fidelity for instance.
    returned = function(task, [dict(c) for c in configurations])
    rule, remedy = f"one that returns {len(configurations)} numbers", "Return a list or an array."
    try:
        scores = np.asarray(returned, dtype=np.float64)
    except (TypeError, ValueError) as error:
        shown = f"{returned!r} for task {task}"
        raise InvalidParameterError.of("function", _WHERE, rule, shown, remedy) from error
    if scores.shape != (len(configurations),):
        shown = f"an array of shape {scores.shape} for task {task}"
        raise InvalidParameterError.of("function", _WHERE, rule, shown, remedy)
    return scores


def _check(function: object, space: object, tasks: object) -> None:
    if not callable(function):
        rule, remedy = "a function of a task and a list of configurations", "Wrap the surrogate."
        raise InvalidParameterError.of("function", _WHERE, rule, function, remedy)
    if not isinstance(space, SearchSpace):
        remedy = 'Try SearchSpace("mine", 1, {"x": FloatDistribution(0, 1)}).'
        raise InvalidParameterError.of("space", _WHERE, "a SearchSpace", space, remedy)
    names = [str(t) for t in tasks] if isinstance(tasks, Sequence | np.ndarray) else []
    if isinstance(tasks, str) or not names or len(set(names)) < len(names):
        rule = "a list of at least one task, of different names"
        raise InvalidParameterError.of("tasks", _WHERE, rule, tasks, "Name each task once.")
