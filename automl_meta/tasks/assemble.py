"""From a raw table and the name of its target to a ``Task``; shared by files, OpenML and bundled copies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import pandas as pd

from automl_meta._typing import FloatArray, IntArray, TaskKind
from automl_meta.exceptions import InvalidParameterError, TaskError
from automl_meta.tasks.columns import label_text, refuse_duplicates, type_columns
from automl_meta.tasks.metrics import check_metric, default_metric, metric_problem, openml_metric
from automl_meta.tasks.splits import generated_split, official_split, stratified_sample
from automl_meta.tasks.task import Split, Task

#: A target of this many different whole numbers or fewer is taken as classes.
MAX_NUMBER_CLASSES = 10
ProblemWish = Literal["classification", "regression", "binary", "multiclass"]


@dataclass(frozen=True, eq=False)
class RawTask:
    """What a source knows about a task before anything is decided.

    Attributes:
        name: The reference that the user gave.
        title: A readable name.
        table: Features and target as read.
        target: Name of the target column.
        kind: Wanted kind, or None to decide by the target's values.
        metric: Metric that the user chose, or None.
        measure: Evaluation measure of an OpenML task; None where there is no OpenML task.
        ignore: Columns that are no features.
        fold: Official (train, test) row numbers and their name, or None.
        must_use_fold: The fold was chosen by the user and is used whatever its size.
        seed: Seed of a generated split and of the sample.
        max_rows: Keep a sample of this many rows, or None.
        provenance: Where the data came from.
        notes: Decisions made while reading.
    """

    name: str
    title: str
    table: pd.DataFrame
    target: str
    kind: ProblemWish | None = None
    metric: str | None = None
    measure: str | None = None
    ignore: Sequence[str] = ()
    fold: tuple[Any, Any, str] | None = None
    must_use_fold: bool = False
    seed: int = 0
    max_rows: int | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def assemble(raw: RawTask) -> Task:
    """Decide kind, columns, metric and split, and build the task.

    Args:
        raw: The table and what is known about it.

    Returns:
        The task; each decision is one of its notes.

    Raises:
        InvalidParameterError: If a named column does not exist or the metric does not fit.
        TaskError: If nothing can be learned from the table.

    Example:
        >>> table = pd.DataFrame({"x": range(0, 80, 2), "y": ["no", "yes"] * 20})
        >>> task = assemble(RawTask("demo", "demo", table, "y"))
        >>> task.kind, task.classes, task.metric, len(task.split.test)
        ('binary', ('no', 'yes'), 'roc_auc', 10)
    """
    notes = list(raw.notes)
    column = _take_target(raw)
    kept = _known_rows(column, raw, notes)
    column = column.iloc[kept]
    kind, target, classes = _read_target(column, raw, notes)
    sample = (
        stratified_sample(target, kind, raw.max_rows, raw.seed)
        if raw.max_rows
        else np.arange(len(target))
    )
    features = raw.table.drop(columns=[raw.target, *raw.ignore]).iloc[kept]
    columns = type_columns(features)
    notes.extend(columns.notes)
    if not columns.kinds:
        why = f" {columns.notes[0]}" if columns.notes else ""
        msg = f"{raw.name} has no usable feature column besides the target.{why} Add features or check --ignore."
        raise TaskError(msg)
    if len(sample) < len(target):
        notes.append(f"{len(sample)} of {len(target)} rows were drawn, seed {raw.seed}.")
    kept, target = kept[sample], target[sample]
    metric, source = _metric(raw, kind, target)
    return Task(
        name=raw.name,
        title=raw.title,
        kind=kind,
        features=columns.table.iloc[sample].reset_index(drop=True),
        target=target,
        target_name=raw.target,
        classes=classes,
        columns=columns.kinds,
        metric=metric,
        metric_source=source,
        split=_split(raw, target, kind, kept, notes),
        provenance=dict(raw.provenance),
        notes=tuple(notes),
    )


def require_columns(table: pd.DataFrame, names: Sequence[str], parameter: str) -> None:
    """Raise if a column that the user named is not in the table.

    Args:
        table: The table.
        names: Column names.
        parameter: The parameter that named them.

    Raises:
        InvalidParameterError: With the closest existing name as the remedy.

    Example:
        >>> require_columns(pd.DataFrame({"a": [1]}), ["a"], "ignore")
    """
    known = [str(name) for name in table.columns]
    for name in names:
        if name in known:
            continue
        close = get_close_matches(name.lower(), [k.lower() for k in known], n=1)
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        meant = next((k for k in known if close and k.lower() == close[0]), None)
        remedy = f"Did you mean {meant}?" if meant else f"The columns are: {shown}."
        raise InvalidParameterError.of(parameter, "fit", "a column of the table", name, remedy)


def _take_target(raw: RawTask) -> "pd.Series[Any]":
    require_columns(raw.table, [raw.target], "target")
    require_columns(raw.table, raw.ignore, "ignore")
    if raw.target in raw.ignore:
        raise InvalidParameterError.of(
            "ignore",
            "fit",
            "a list of columns without the target",
            raw.target,
            "Leave the target out of --ignore.",
        )
    refuse_duplicates(map(str, raw.table.columns))
    return raw.table[raw.target]


def _known_rows(column: "pd.Series[Any]", raw: RawTask, notes: list[str]) -> IntArray:
    """Return the numbers of the rows whose target is known."""
    known = np.array(column.notna(), dtype=bool)
    if pd.api.types.is_float_dtype(column.dtype):
        known &= np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan))
    elif not pd.api.types.is_numeric_dtype(column.dtype):
        known &= (column.astype(str).str.strip() != "").to_numpy(dtype=bool)
    if not known.any():
        msg = (
            f"The target '{raw.target}' of {raw.name} has no known value. Choose another --target."
        )
        raise TaskError(msg)
    if not known.all():
        notes.append(f"{int((~known).sum())} rows were dropped: their target is missing.")
    return np.flatnonzero(known)


_Target = tuple[TaskKind, FloatArray | IntArray, tuple[str, ...]]


def _read_target(column: "pd.Series[Any]", raw: RawTask, notes: list[str]) -> _Target:
    numbers = _as_numbers(column)
    problem = _problem(column, numbers, raw, notes)
    if problem == "regression":
        if numbers is None:
            word = label_text(column.iloc[0])[:40]
            msg = f"The target '{raw.target}' holds text such as '{word}', so this is no regression. Choose another --target or --metric."
            raise TaskError(msg)
        if len(np.unique(numbers)) == 1:
            msg = f"The target '{raw.target}' has the single value {numbers[0]:g}. Choose another --target."
            raise TaskError(msg)
        return "regression", numbers, ()
    labels = column.map(label_text)
    classes = tuple(sorted(map(str, labels.unique()), key=_class_order))
    if len(classes) > 0.5 * len(labels) and len(classes) > 2:
        msg = (
            f"The target '{raw.target}' has {len(classes)} different values in {len(labels)} rows: "
            "too many to be classes. Choose another --target."
        )
        raise TaskError(msg)
    codes = labels.map({label: code for code, label in enumerate(classes)})
    kind: TaskKind = "binary" if len(classes) == 2 else "multiclass"
    if raw.kind in {"binary", "multiclass"} and raw.kind != kind and len(classes) > 1:
        raise InvalidParameterError.of(
            "kind",
            "load_task",
            f"{kind!r} for {len(classes)} classes",
            raw.kind,
            f"Leave it out or use {kind!r}.",
        )
    return kind, np.asarray(codes, dtype=np.int64), classes


def _as_numbers(column: "pd.Series[Any]") -> FloatArray | None:
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(column.dtype):
        column = column.astype(str)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return None
    numbers = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
    return numbers if bool(np.isfinite(numbers).all()) else None


def _problem(
    column: "pd.Series[Any]", numbers: FloatArray | None, raw: RawTask, notes: list[str]
) -> Literal["classification", "regression"]:
    """Decide by the wanted kind, else the metric, else the values; say what the values decided."""
    if raw.kind is not None:
        return "regression" if raw.kind == "regression" else "classification"
    if raw.metric is not None:
        return metric_problem(raw.metric)
    declared = isinstance(column.dtype, pd.CategoricalDtype)
    if numbers is None or declared or pd.api.types.is_bool_dtype(column.dtype):
        return "classification"
    different = len(np.unique(numbers))
    whole = bool(np.all(numbers == np.floor(numbers)))
    if whole and different <= min(MAX_NUMBER_CLASSES, max(2, len(numbers) // 10)):
        notes.append(
            f"The target's {different} different whole numbers were taken as classes; "
            "a metric such as neg_root_mean_squared_error makes it a regression."
        )
        return "classification"
    return "regression"


def _class_order(label: str) -> tuple[int, float, str]:
    """Order classes as numbers where they are numbers, else as text."""
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)


def _metric(raw: RawTask, kind: TaskKind, target: FloatArray | IntArray) -> tuple[str, str]:
    if raw.metric is not None:
        return check_metric(raw.metric, kind, target)
    if raw.measure is not None:
        return openml_metric(raw.measure, kind)
    return default_metric(kind)


def _split(
    raw: RawTask, target: FloatArray | IntArray, kind: TaskKind, kept: IntArray, notes: list[str]
) -> Split:
    if raw.fold is not None:
        train, test, source = raw.fold
        if raw.must_use_fold:
            inside = [np.flatnonzero(np.isin(kept, part)) for part in (train, test)]
            return Split(inside[0], inside[1], source)
        split, reason = official_split(train, test, kept, source)
        if split is not None:
            return split
        notes.append(str(reason))
    return generated_split(target, kind, raw.seed)
