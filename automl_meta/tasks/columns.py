"""From a raw table to typed feature columns.

The result has two kinds of columns, as ``Task.features`` states: ``numeric`` (float64, NaN for missing)
and ``categorical`` (``object`` columns of str, NaN for missing). Every decision made on the way is one
sentence in ``Columns.notes``; what cannot be decided well is refused with its remedy.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl_meta.exceptions import TaskError
from automl_meta.tasks.dates import date_parts, read_dates
from automl_meta.tasks.task import ColumnKind

#: Below this many values "all different" says nothing about a column.
MIN_ROWS_FOR_ID = 20
_ID_NAME = re.compile(
    r"(id|idx|index|key|row|row ?id|row ?number|uuid|guid|unnamed: ?\d+|.*[ _.-](id|uuid|guid))",
    re.IGNORECASE,
)
_CAMEL_ID = re.compile(r".*[a-z](Id|ID)")


@dataclass(frozen=True, eq=False)
class Columns:
    """Typed feature columns.

    Attributes:
        table: One row per example; numeric columns float64, categorical ones object (str or NaN).
        kinds: Column name to kind, in the table's order.
        notes: One sentence for every decision.
    """

    table: pd.DataFrame
    kinds: dict[str, ColumnKind]
    notes: tuple[str, ...]


def type_columns(table: pd.DataFrame) -> Columns:
    """Give every column a kind and drop what carries nothing to learn from.

    Dates become numbers (year, month, day, weekday, hour, days since 1970). Identifiers, free text,
    constant and all-missing columns are dropped. Infinities become missing. Integers stay numbers
    unless the table declares them as categories.

    Args:
        table: Raw features, shape [n_rows, n_columns]; pandas ``category`` columns are declared
            categorical and are dropped only when they are constant or all different.

    Returns:
        The typed columns, possibly none.

    Raises:
        TaskError: If a name occurs twice or a column holds what no column kind fits.

    Example:
        >>> raw = pd.DataFrame({"age": [31, 45, None], "job": ["cook", "cook", "nurse"], "k": [1, 1, 1]})
        >>> typed = type_columns(raw)
        >>> typed.kinds
        {'age': 'numeric', 'job': 'categorical'}
        >>> typed.notes
        ("The column 'k' was dropped: it has the single value 1.",)
    """
    refuse_duplicates([str(name) for name in table.columns])
    columns: dict[str, pd.Series[Any]] = {}
    kinds: dict[str, ColumnKind] = {}
    notes: list[str] = []
    for position, name in enumerate(map(str, table.columns)):
        parts, note = _type_column(table.iloc[:, position], name)
        notes.extend(note)
        for part, values in parts.items():
            if part in columns:
                refuse_duplicates([*columns, part])
            columns[part] = values
            kinds[part] = "numeric" if values.dtype == np.float64 else "categorical"
    typed = pd.DataFrame(columns, index=table.index).reset_index(drop=True)
    return Columns(typed, kinds, tuple(notes))


def refuse_duplicates(names: Iterable[str]) -> None:
    """Raise if a column name occurs twice.

    Args:
        names: Column names as text.

    Raises:
        TaskError: Naming the repeated ones.

    Example:
        >>> refuse_duplicates(["a", "b"])
    """
    seen: set[str] = set()
    twice = {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]
    if twice:
        shown = ", ".join(repr(name) for name in sorted(twice)[:5])
        msg = f"The table has more than one column named {shown}. Rename them so that each name is unique."
        raise TaskError(msg)


def label_text(value: Any) -> str:
    """Write one category as text: a whole number has no decimals, whatever its column's type.

    Args:
        value: A value that is not missing.

    Example:
        >>> label_text(3.0), label_text(True), label_text(" red ")
        ('3', 'True', 'red')
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


_Parts = tuple[dict[str, "pd.Series[Any]"], list[str]]


def _type_column(column: "pd.Series[Any]", name: str) -> _Parts:
    """Return the feature columns that one raw column becomes, and the notes."""
    dtype = column.dtype
    if column.isna().all():
        return {}, [f"The column '{name}' was dropped: all its values are missing."]
    if isinstance(dtype, pd.CategoricalDtype):
        return _declared_categories(column, name)
    if pd.api.types.is_bool_dtype(dtype):
        return _drop_constant(_as_text(column), name)
    if pd.api.types.is_complex_dtype(dtype):
        msg = f"The column '{name}' holds complex numbers. Split it into real columns, or --ignore {name}."
        raise TaskError(msg)
    if pd.api.types.is_numeric_dtype(dtype):
        return _numbers(column.astype(np.float64), name)
    return _times_or_texts(column, name)


def _times_or_texts(column: "pd.Series[Any]", name: str) -> _Parts:
    dtype = column.dtype
    if pd.api.types.is_timedelta64_dtype(dtype):
        seconds = column.dt.total_seconds().astype(np.float64)
        parts, notes = _numbers(seconds, name)
        return parts, [f"The durations in '{name}' became seconds.", *notes]
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _dates(column, name)
    return _texts(column, name)


def _numbers(column: "pd.Series[float]", name: str) -> _Parts:
    notes = []
    infinite = int(np.isinf(column).sum())
    if infinite:
        column = column.replace([np.inf, -np.inf], np.nan)
        notes.append(f"{infinite} infinite values in '{name}' were taken as missing.")
        if column.isna().all():
            return {}, [*notes, f"The column '{name}' was dropped: all its values are missing."]
    if _counts_rows(column, name):
        return {}, [*notes, _id_note(name)]
    parts, dropped = _drop_constant(column, name)
    return parts, notes + dropped


def _counts_rows(column: "pd.Series[float]", name: str) -> bool:
    """Tell whether numbers only number the rows: all different and whole, 1..n or named like a key."""
    if len(column) < MIN_ROWS_FOR_ID or column.isna().any() or not column.is_unique:
        return False
    if not bool((column == np.floor(column)).all()):
        return False
    low, high = float(column.min()), float(column.max())
    return (low in {0.0, 1.0} and high - low == len(column) - 1) or _named_like_id(name)


def _named_like_id(name: str) -> bool:
    return bool(_ID_NAME.fullmatch(name.strip()) or _CAMEL_ID.fullmatch(name.strip()))


def _id_note(name: str) -> str:
    return f"The column '{name}' was dropped: it looks like an identifier, different in every row."


def _drop_constant(column: "pd.Series[Any]", name: str) -> _Parts:
    known = column.dropna()
    if len(known.unique()) > 1:
        return {name: column}, []
    if known.empty:
        return {}, [f"The column '{name}' was dropped: all its values are missing."]
    value = label_text(known.iloc[0])[:40]
    return {}, [f"The column '{name}' was dropped: it has the single value {value}."]


def _declared_categories(column: "pd.Series[Any]", name: str) -> _Parts:
    values = _as_text(column)
    known = values.dropna()
    if len(known) >= MIN_ROWS_FOR_ID and known.is_unique:
        return {}, [_id_note(name)]
    return _drop_constant(values, name)


def _as_text(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return an object column of str with NaN for missing; distinct values are written only once."""
    codes, values = pd.factorize(column)
    labels = np.empty(len(values) + 1, dtype=object)
    labels[:-1] = [label_text(value) or np.nan for value in values]
    labels[-1] = np.nan
    return pd.Series(labels[codes], index=column.index, dtype=object)


def _dates(column: "pd.Series[Any]", name: str) -> _Parts:
    parts = date_parts(column, name)
    if not parts:
        return {}, [f"The column '{name}' was dropped: all its dates are the same."]
    shown = ", ".join(part.removeprefix(f"{name}.") for part in parts)
    return parts, [f"The dates in '{name}' became numbers: {shown}."]


def _texts(column: "pd.Series[Any]", name: str) -> _Parts:
    """Decide what a column of text is: numbers, dates, categories, an identifier or free text."""
    _refuse_objects(column, name)
    values = _as_text(column)
    known = values.dropna()
    if known.empty:
        return {}, [f"The column '{name}' was dropped: all its values are missing."]
    numbers = _text_numbers(values, name)
    if numbers is not None:
        parts, notes = _numbers(numbers, name)
        return parts, [f"The text in '{name}' was read as numbers.", *notes]
    dates = read_dates(values, name)
    if dates is not None:
        return _dates(dates, name)
    different = known.nunique()
    if len(known) >= MIN_ROWS_FOR_ID:
        words = float(known.str.count(r"\s+").mean()) + 1.0
        if different > 0.5 * len(known) and words >= 5.0:
            note = f"The column '{name}' was dropped: it holds free text, {words:.0f} words a row."
            return {}, [note]
        if different > 0.95 * len(known):
            return {}, [_id_note(name).replace("different in every row", "hardly a value repeats")]
    return _drop_constant(values, name)


def _refuse_objects(column: "pd.Series[Any]", name: str) -> None:
    known = column.dropna()
    plain = known.map(lambda v: not isinstance(v, list | dict | set | tuple | bytes | np.ndarray))
    if not plain.all():
        kind = type(known[~plain].iloc[0]).__name__
        msg = (
            f"The column '{name}' holds values of type {kind}, which is neither a number nor a category. "
            f"Turn it into plain columns, or --ignore {name}."
        )
        raise TaskError(msg)


def _text_numbers(values: "pd.Series[Any]", name: str) -> "pd.Series[float] | None":
    """Return the numbers that a text column holds, or None if it is no such column.

    Codes with leading zeros (zip codes) stay text. A column of many different numbers with a few words
    among them is refused: as categories it would be useless, and dropping the words would be a guess
    that new rows could not rely on.
    """
    known = values.dropna()
    numbers = pd.to_numeric(known, errors="coerce").astype(np.float64)
    share = float(numbers.notna().mean())
    if share < 0.9 or bool(known.str.fullmatch(r"0\d+").any()):
        return None
    if share < 1.0:
        if numbers.nunique() <= 20:
            return None
        word = str(known[numbers.isna()].iloc[0])[:40]
        msg = (
            f"The column '{name}' holds numbers, but also text in {int(numbers.isna().sum())} rows, such as "
            f"'{word}'. Leave those cells empty if the value is unknown, or --ignore {name}."
        )
        raise TaskError(msg)
    return pd.Series(numbers.reindex(values.index), dtype=np.float64)
