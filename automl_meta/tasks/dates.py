"""Dates in a table: recognised, and expanded into numbers that any model can use.

Only dates that begin with the year are expanded. In ``03/04/2021`` day and month cannot be told apart,
and a guess made on the training rows could be another one on new rows; such columns are refused.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from automl_meta.exceptions import TaskError

#: Parts in the order in which they appear as columns.
PARTS = ("year", "month", "day", "weekday", "hour", "days")
_TIME = r"([T ]+\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?)?\s*(Z|[+-]\d{2}:?\d{2}|UTC)?"
_YEAR_FIRST = re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}" + _TIME)
_YEAR_LAST = re.compile(r"\d{1,2}([-/.])\d{1,2}\1(\d{4}|\d{2})" + _TIME)
_SAMPLE = 200


def read_dates(values: "pd.Series[Any]", name: str) -> "pd.Series[Any] | None":
    """Return a text column as dates, or None if it holds something else.

    Args:
        values: Object column of str, NaN for missing.
        name: Its name, for the message.

    Returns:
        A ``datetime64`` column in UTC with NaT for missing, or None.

    Raises:
        TaskError: If the values are dates that cannot be read safely.

    Example:
        >>> read_dates(pd.Series(["2024-02-29", "2024-03-01"], dtype=object), "day").dt.day.tolist()
        [29, 1]
        >>> read_dates(pd.Series(["red", "green"], dtype=object), "colour") is None
        True
    """
    known = values.dropna()
    sample = known.iloc[:_SAMPLE]
    if sample.str.fullmatch(_YEAR_LAST).mean() > 0.9:
        msg = (
            f"The column '{name}' holds dates such as '{sample.iloc[0]}', in which day and month cannot be "
            f"told apart. Write them as YYYY-MM-DD, or --ignore {name}."
        )
        raise TaskError(msg)
    if sample.str.fullmatch(_YEAR_FIRST).mean() < 0.9:
        return None
    normal = known.str.replace(r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})", r"\1-\2-\3", regex=True)
    dates = pd.to_datetime(normal, errors="coerce", utc=True, format="mixed")
    if dates.isna().any():
        bad = str(known[dates.isna()].iloc[0])[:40]
        msg = (
            f"The column '{name}' holds dates, but '{bad}' is none. Correct it or leave the cell empty, "
            f"or --ignore {name}."
        )
        raise TaskError(msg)
    return dates.reindex(values.index)


def date_parts(dates: "pd.Series[Any]", name: str) -> "dict[str, pd.Series[float]]":
    """Expand dates into numbers.

    Args:
        dates: A ``datetime64`` column, NaT for missing.
        name: Its name; the parts are called ``<name>.year`` and so on.

    Returns:
        The parts that vary, float64 with NaN for missing; empty if all dates are the same.

    Example:
        >>> days = pd.Series(pd.to_datetime(["2024-02-29", "2024-03-01"]))
        >>> {part: values.tolist() for part, values in date_parts(days, "d").items()}
        {'d.month': [2.0, 3.0], 'd.day': [29.0, 1.0], 'd.weekday': [3.0, 4.0], 'd.days': [19782.0, 19783.0]}
    """
    parts = {f"{name}.{part}": _part(dates, part) for part in PARTS}
    return {part: values for part, values in parts.items() if len(values.dropna().unique()) > 1}


def expand_dates(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Add the date parts that a model was trained on to a table of new rows.

    Args:
        table: New rows.
        columns: Names of the model's columns; ``when.month`` is made from ``when`` where the table has
            ``when`` but not ``when.month``.

    Returns:
        The table with the parts added; the same table if there are none.

    Raises:
        TaskError: If such a column cannot be read as dates.

    Example:
        >>> new = pd.DataFrame({"when": ["2024-02-29"]})
        >>> expand_dates(new, ["when.month", "age"])["when.month"].tolist()
        [2.0]
    """
    added: dict[str, pd.Series[float]] = {}
    for column in columns:
        name, _, part = column.rpartition(".")
        if column in table.columns or name not in table.columns or part not in PARTS:
            continue
        added[column] = _part(_dates_of(table[name], name), part)
    return table.assign(**added) if added else table


def _dates_of(column: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column
    text = column.astype(object).where(column.notna(), np.nan)
    if text.isna().all():
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns]")
    dates = read_dates(text.map(str, na_action="ignore"), name)
    if dates is None:
        msg = (
            f"The column '{name}' must hold dates as in the training table, written as YYYY-MM-DD."
        )
        raise TaskError(msg)
    return dates


def _part(dates: "pd.Series[Any]", part: str) -> "pd.Series[float]":
    if part == "days":
        zone = getattr(dates.dtype, "tz", None)
        start = pd.Timestamp("1970-01-01", tz=zone)
        values = (dates - start).dt.total_seconds() / 86400.0
    else:
        values = getattr(dates.dt, "day_of_week" if part == "weekday" else part)
    return values.astype(np.float64)
