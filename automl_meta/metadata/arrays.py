"""Past tasks from a blackbox table: the same configurations evaluated on every task, as arrays."""

from collections.abc import Sequence

import numpy as np

from automl_meta._typing import FloatArray
from automl_meta.exceptions import InvalidParameterError, check_whole
from automl_meta.metadata.past import PastTask, checked_numbers, checked_truth, within_reach
from automl_meta.spaces import SearchSpace

#: How far outside the unit cube a coordinate may be for having been scaled.
_ROUNDING = 1e-6
#: The function that errors name.
_ARRAYS = "past_tasks_of_arrays"
#: How to say that a number is not known.
_NAN = "Put NaN where a number is missing."
#: At most: tasks, configurations, seeds, fidelities, metrics.
_AXES = 5


def past_tasks_of_arrays(
    x: FloatArray,
    y: FloatArray,
    space: SearchSpace,
    names: Sequence[str],
    *,
    maximize: bool,
    fidelity: int | None = None,
    metric: int | None = None,
) -> list[PastTask]:
    """Make past tasks from a blackbox table: the same configurations evaluated on every task.

    Args:
        x: Unit coordinates of the configurations, shape [n, p]; NaN where inactive.
        y: Values, NaN where failed: shape [T, n], [T, n, seeds], or with one or two axes more, fidelities before
            metrics (Syne Tune's blackboxes, a task after the other). Seeds are averaged, failed ones left out.
        space: The common space with p parameters.
        names: T task names.
        maximize: Whether a greater value is better.
        fidelity: Which fidelity counts; the last by default.
        metric: Which metric counts; must be told where there are several.

    Raises:
        InvalidParameterError: If the shapes do not fit, a coordinate is outside [0, 1], or the fidelity or metric is
            not there.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> space = SearchSpace("toy", 1, {"x": FloatDistribution(0, 1)})
        >>> x, y = np.array([[0.2], [0.7]]), np.arange(24.0).reshape(1, 2, 2, 3, 2)
        >>> past_tasks_of_arrays(x, y, space, ["a"], maximize=True, metric=1)[0].scores.tolist()
        [8.0, 20.0]
    """
    sign = 1.0 if checked_truth(maximize, "maximize", _ARRAYS) else -1.0
    values = checked_numbers(y, "y", _ARRAYS, _NAN)
    matrix = checked_numbers(x, "x", _ARRAYS, _NAN)
    expected = (len(names), len(matrix))
    if (
        values.shape[:2] != expected
        or values.ndim > _AXES
        or matrix.shape[1:] != (len(space.distributions),)
    ):
        raise InvalidParameterError.of(
            "y",
            _ARRAYS,
            f"of shape {expected}, with up to three axes more, and x of {len(space.distributions)} columns",
            (values.shape, matrix.shape),
            "Give one row a task and one column a configuration.",
        )
    odd = outside_cube(matrix, space)
    if odd is not None:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InvalidParameterError.of(
            "x",
            _ARRAYS,
            "of unit coordinates in [0, 1], NaN where inactive",
            f"{odd}, of {shown}",
            "Bring it to the unit cube with spaces.Encoder(space).to_units(configurations).",
        )
    table = sign * _one_value(values, fidelity, metric)
    rows = np.clip(matrix, 0.0, 1.0)
    return [PastTask(name, rows, row) for name, row in zip(names, table, strict=True)]


def outside_cube(matrix: FloatArray, space: SearchSpace) -> str | None:
    """Return words for the first coordinate that is outside [0, 1] by more than rounding, None where all are inside.

    Args:
        matrix: Unit coordinates, shape [n, p]; NaN where inactive.
        space: Names the columns.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> space = SearchSpace("toy", 1, {"x": FloatDistribution(0, 9)})
        >>> outside_cube(np.array([[1.0], [7.0]]), space)
        "7.0 for 'x' in configuration 1"
    """
    found = np.argwhere((matrix < -_ROUNDING) | (matrix > 1.0 + _ROUNDING))
    if not len(found):
        return None
    row, column = found[0]
    name = list(space.distributions)[column]
    return f"{float(matrix[row, column])} for {name!r} in configuration {row}"


def _one_value(values: FloatArray, fidelity: int | None, metric: int | None) -> FloatArray:
    """Return one value a task and configuration, shape [T, n].

    Args:
        values: Shape [T, n], then perhaps seeds, fidelities and metrics.
        fidelity: Which one, or None.
        metric: Which one, or None.
    """
    if values.ndim == _AXES - 1 and values.shape[-1] > 1 and fidelity is None and metric is None:
        remedy = "Say which one counts, fidelity=-1 for instance, or metric=0."
        rule = "given, or metric, where y has one axis behind the seeds"
        raise InvalidParameterError.of("fidelity", _ARRAYS, rule, None, remedy)
    if values.ndim == _AXES - 1 and metric is not None:
        values = values[..., None, :]
    values = values.reshape(*values.shape, *[1] * (_AXES - values.ndim))
    chosen = _picked(_picked(values, metric, "metric"), fidelity, "fidelity", last=True)
    seeds = within_reach(chosen)
    known = np.isfinite(seeds)
    n_known = known.sum(axis=-1)
    mean = np.where(known, seeds, 0.0).sum(axis=-1) / np.maximum(n_known, 1)
    return np.where(n_known > 0, mean, np.nan)


def _picked(
    values: FloatArray, index: int | None, parameter: str, *, last: bool = False
) -> FloatArray:
    """Return one entry of the last axis; where none is named the last one, or the only one."""
    n = values.shape[-1]
    if index is None and (last or n == 1):
        index = n - 1
    return values[
        ..., check_whole(index, parameter, _ARRAYS, -n, n - 1, remedy=f"Try {parameter}=0.")
    ]
