"""Past searches of any origin, brought to one form: configurations and scores, a task at a time.

Searches that were run with somewhat different spaces still tell something: a value is kept where the common
space has it, a parameter that was not searched is missing, and an evaluation outside the space is left out.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from automl_meta._typing import FloatArray
from automl_meta.exceptions import InvalidParameterError
from automl_meta.spaces import SearchSpace, units
from automl_meta.statistics import normalised_regret

_logger = logging.getLogger(__name__)

#: Of a score that counts. A penalty such as the largest float would set the scale on which all others look the same.
_LARGEST = 1e30


@dataclass(frozen=True, eq=False)
class PastTask:
    """The evaluations of one past task.

    Attributes:
        name: Readable name, unique among the tasks that are learned from together.
        units: Unit matrix of the common space, shape [n, p]; NaN where inactive or not recorded.
        scores: Shape [n], greater is better; NaN where the evaluation failed.
        features: Numbers that describe the task, by name; may be empty.
        n_outside: Evaluations that were left out: the common space lacks a value of theirs, or all their parameters.
        folds: Scores of whole evaluations fold by fold, shape [m, K], greater is better, in an order of their own; without
            rows where only final scores are known. A pruner is learned from them.
    """

    name: str
    units: FloatArray
    scores: FloatArray
    features: Mapping[str, float] = field(default_factory=dict)
    n_outside: int = 0
    folds: FloatArray = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", within_reach(self.scores))
        if self.units.ndim != 2 or self.scores.shape != (len(self.units),):
            raise InvalidParameterError.of(
                "scores",
                "PastTask",
                f"one number for each of the {len(self.units)} configurations",
                self.scores.shape,
                "Give them in the same order.",
            )
        if self.folds.ndim != 2:
            rule, remedy = "of shape [m, K]", "Give a row an evaluation, with a column a fold."
            raise InvalidParameterError.of("folds", "PastTask", rule, self.folds.shape, remedy)

    @property
    def filled_scores(self) -> FloatArray:
        """The scores, failed evaluations with the worst of them, shape [n]; one is known at least."""
        return np.where(np.isfinite(self.scores), self.scores, np.nanmin(self.scores))

    def regrets(self, scores: FloatArray) -> FloatArray:
        """Return where scores lie between the task's best (0) and worst (1) known one, any shape.

        Args:
            scores: Without missing values; beyond the best counts 0, beyond the worst 1.
        """
        return normalised_regret(scores, np.nanmax(self.scores), np.nanmin(self.scores))

    def best_units(self, n: int) -> FloatArray:
        """Return the n best configurations, best first, shape [<= n, p].

        Args:
            n: How many, at most.
        """
        return self.units[np.argsort(-np.nan_to_num(self.scores, nan=-np.inf))[:n]]


def within_reach(scores: FloatArray) -> FloatArray:
    """Return scores without those that are infinite or beyond 1e30 in size: NaN, for they stand for failures.

    Args:
        scores: Any shape.

    Example:
        >>> within_reach(np.array([1.0, -1.7e308, np.inf])).tolist()
        [1.0, nan, nan]
    """
    return np.where(np.abs(scores) <= _LARGEST, scores, np.nan)


def checked_features(features: object, where: str) -> dict[str, float]:
    """Return the numbers that describe one task.

    Args:
        features: Names to numbers; NaN means not known, True and False are 1 and 0.
        where: Function that received them.

    Raises:
        InvalidParameterError: If it is no mapping of names to numbers, or one is infinite.

    Example:
        >>> checked_features({"rows": 1000}, "MetaLearner.sampler")
        {'rows': 1000.0}
    """
    odd = features
    if isinstance(features, Mapping):
        odd = {name: value for name, value in features.items() if not _is_number(value)}
        if not odd:
            return {str(name): float(value) for name, value in features.items()}
    rule = "a mapping of names to finite numbers, or NaN"
    raise InvalidParameterError.of("task_features", where, rule, odd, 'Try {"rows": 1000.0}.')


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, Real | np.bool_) and not np.isinf(float(value))
    except OverflowError:  # an int beyond all floats
        return False


def checked_truth(value: object, name: str, where: str) -> bool:
    """Return True or False; a word such as ``"no"`` would count as True.

    Args:
        value: What was received.
        name: Name of the parameter as the caller wrote it.
        where: Function that received it.

    Raises:
        InvalidParameterError: If it is neither.

    Example:
        >>> checked_truth("no", "maximize", "from_frame")
        Traceback (most recent call last):
        automl_meta.exceptions.InvalidParameterError: The 'maximize' parameter of from_frame must be True or False. \
Got 'no' instead. Try maximize=True.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InvalidParameterError.of(name, where, "True or False", value, f"Try {name}=True.")


def checked_numbers(table: object, name: str, where: str, remedy: str) -> FloatArray:
    """Return an array of numbers, any shape; None becomes NaN.

    Args:
        table: What was received.
        name: Name of the parameter as the caller wrote it.
        where: Function that received it.
        remedy: What to do about it.

    Raises:
        InvalidParameterError: If an entry is no number, or rows differ in length.

    Example:
        >>> checked_numbers([1, None], "scores", "past_task", "Give None for a failed evaluation.").tolist()
        [1.0, nan]
    """
    try:
        return np.asarray(table, dtype=np.float64)
    except (TypeError, ValueError) as error:
        rule = "an array of numbers, all rows of the same length"
        raise InvalidParameterError.of(name, where, rule, str(error), remedy) from error


def past_task(
    name: str,
    configurations: Sequence[Mapping[str, Any]],
    scores: Sequence[float | None] | FloatArray,
    space: SearchSpace,
    features: Mapping[str, float] | None = None,
) -> PastTask:
    """Make a past task from configurations.

    Args:
        name: Readable name.
        configurations: Parameter values; unknown names are ignored, missing ones count as not recorded.
        scores: Greater is better; None, NaN, an infinity or a number beyond 1e30 in size for a failed evaluation.
        space: The common space. Evaluations with a value that it does not have are left out.
        features: Numbers that describe the task.

    Raises:
        InvalidParameterError: If there are not as many scores as configurations, or one is no number.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> space = SearchSpace("toy", 1, {"x": FloatDistribution(0, 1)})
        >>> past_task("a", [{"x": 0.2}, {"x": 7.0}], [0.5, 0.9], space).units.tolist()
        [[0.2]]
    """
    if len(scores) != len(configurations):
        rule = f"one number for each of the {len(configurations)} configurations"
        found, remedy = f"{len(scores)} of them", "Give None for a failed evaluation."
        raise InvalidParameterError.of("scores", "past_task", rule, found, remedy)
    told = checked_numbers(scores, "scores", "past_task", "Give None for a failed evaluation.")
    rows = [_unit_row(configuration, space) for configuration in configurations]
    inside = [row for row in rows if row is not None]
    matrix = np.array(inside, dtype=np.float64).reshape(len(inside), len(space.distributions))
    kept = told[[row is not None for row in rows]]
    return PastTask(name, matrix, kept, dict(features or {}), len(rows) - len(inside))


def past_tasks_of_frame(
    frame: pd.DataFrame,
    space: SearchSpace,
    *,
    task: str,
    value: str,
    maximize: bool = True,
) -> list[PastTask]:
    """Make past tasks from a table with one row an evaluation.

    Args:
        frame: A column for each recorded parameter, one for the task, one for the value; a missing entry
            is a parameter that was inactive or not recorded, a missing value is a failed evaluation.
        space: The common space.
        task: Name of the task column; rows without an entry in it are left out.
        value: Name of the value column.
        maximize: Whether a greater value is better.

    Raises:
        InvalidParameterError: If a column is missing or has two roles, or no column is a parameter of the space.
    """
    sign = 1.0 if checked_truth(maximize, "maximize", "from_frame") else -1.0
    if not isinstance(frame, pd.DataFrame) or not frame.columns.is_unique:
        rule = "a pandas.DataFrame whose columns have different names"
        shown = type(frame).__name__ if not isinstance(frame, pd.DataFrame) else list(frame.columns)
        raise InvalidParameterError.of("frame", "from_frame", rule, shown, "Make one of the data.")
    _check_columns(frame, space, {"task": task, "value": value})
    names = [name for name in space.distributions if name in frame.columns]
    if not names:
        raise InvalidParameterError.of(
            "frame",
            "from_frame",
            f"a table with a column for a parameter of the space ({', '.join(space.distributions)})",
            list(frame.columns),
            "Rename the columns.",
        )
    n_unnamed = int(frame[task].isna().sum())
    if n_unnamed:
        _logger.warning("%d of %d rows name no task, and are left out.", n_unnamed, len(frame))
    result = []
    for title, group in frame.groupby(task, sort=True):
        records = [
            {name: entry for name, entry in row.items() if not _is_missing(entry)}
            for row in group[names].to_dict("records")
        ]
        scores = sign * pd.to_numeric(group[value], errors="coerce").to_numpy(dtype=np.float64)
        result.append(past_task(_title(title), [_plain(r) for r in records], scores, space))
    return result


def _title(entry: object) -> str:
    """Return a task's name; a column of whole numbers with a gap holds floats, and 1.0 is the task 1."""
    whole = isinstance(entry, float) and entry.is_integer()
    return str(int(entry)) if whole else str(entry)  # type: ignore[call-overload]


def _check_columns(frame: pd.DataFrame, space: SearchSpace, columns: Mapping[str, str]) -> None:
    """Refuse roles (task, value) whose column is not there, or has another role: what is learned would be the value."""
    for role, column in columns.items():
        if column not in frame.columns:
            rule = f"a column of the frame ({', '.join(map(str, frame.columns))})"
            remedy = "Name the column as the frame does."
        elif column in space.distributions:
            rule = f"a column that is no parameter of the space ({', '.join(space.distributions)})"
            remedy = "Name another column, or leave the parameter out of the space."
        elif any(column == other for name, other in columns.items() if name != role):
            rule, remedy = "a column of its own", "Name one for the task and one for the value."
        else:
            continue
        raise InvalidParameterError.of(role, "from_frame", rule, column, remedy)


def _unit_row(configuration: Mapping[str, Any], space: SearchSpace) -> FloatArray | None:
    """Return unit coordinates, NaN where a parameter is missing; None if the space lacks a value."""
    row = np.full(len(space.distributions), np.nan)
    for column, (name, distribution) in enumerate(space.distributions.items()):
        if name not in configuration:
            continue
        if not units.covers(distribution, configuration[name]):
            return None
        row[column] = units.to_unit(distribution, configuration[name])
    return None if bool(np.isnan(row).all()) else row


def _is_missing(entry: Any) -> bool:
    return entry is None or entry is pd.NA or (isinstance(entry, float) and np.isnan(entry))


def _plain(record: Mapping[Any, Any]) -> dict[str, Any]:
    """Return NumPy scalars as built-in ones, which categories are compared with by type."""
    return {
        str(name): entry.item() if isinstance(entry, np.generic) else entry
        for name, entry in record.items()
    }
