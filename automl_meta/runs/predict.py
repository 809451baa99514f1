"""New rows in, predictions out: what may differ from the training table, and what may not."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from automl_meta.exceptions import InvalidParameterError
from automl_meta.runs.model import FittedModel
from automl_meta.tasks.columns import label_text
from automl_meta.tasks.dates import expand_dates


def predict_table(model: FittedModel, table: pd.DataFrame, *, proba: bool = False) -> pd.DataFrame:
    """Predict the rows of a table.

    Unseen categories and missing values are handled by the pipeline, columns that the model does not
    know are ignored, a missing column is refused.

    Args:
        model: A loaded model.
        table: New rows; needs the model's columns by name, in any order.
        proba: Return one column of probabilities for each class instead of the label.

    Returns:
        The predictions, shape [n, 1] under the target's name, or [n, n_classes]; the table's index.

    Raises:
        InvalidParameterError: If the table is empty, lacks a column, has text where numbers were
            learned from, or probabilities are asked of a regression model.
    """
    if proba and not model.classes:
        raise InvalidParameterError.of(
            "proba", "predict", "False for a regression model", proba, "Leave --proba out."
        )
    features = conform(model, table)
    with warnings.catch_warnings(), threadpool_limits(1):
        # Unseen categories are expected here and handled by every pipeline.
        warnings.filterwarnings("ignore", message="Found unknown categories", category=UserWarning)
        if not proba:
            return pd.DataFrame({model.target_name: model.predict(features)}, index=table.index)
        values = model.predict_proba(features)
    return pd.DataFrame(values, columns=list(model.classes), index=table.index)


def conform(model: FittedModel, table: pd.DataFrame) -> pd.DataFrame:
    """Return the model's columns of a table in the types that it was trained on.

    Args:
        model: A loaded model.
        table: New rows.

    Returns:
        Numeric columns as float64 with NaN, categorical ones as ``object`` str with NaN.

    Raises:
        InvalidParameterError: As ``predict_table``.
    """
    if table.empty:
        raise InvalidParameterError.of(
            "input", "predict", "a table with at least one row", "no rows", "Check the file."
        )
    table = expand_dates(table, model.columns)
    missing = [name for name in model.columns if name not in table.columns]
    if missing:
        shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise InvalidParameterError.of(
            "input",
            "predict",
            f"a table with the {len(model.columns)} columns the model was trained on",
            f"a table without {shown}",
            "Add them; a column may be left empty where its values are unknown.",
        )
    return pd.DataFrame(
        {
            name: _numbers(table[name], name) if kind == "numeric" else _text(table[name])
            for name, kind in model.columns.items()
        },
        index=table.index,
    )


def _numbers(column: "pd.Series[Any]", name: str) -> "pd.Series[float]":
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        column = column.dt.total_seconds()
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    text = column[numbers.isna() & column.notna()]
    if len(text) and not text.astype(str).str.strip().isin(["?", ""]).all():
        bad = str(text.iloc[0])[:40]
        raise InvalidParameterError.of(
            "input",
            "predict",
            f"a table with numbers in column '{name}'",
            bad,
            "Correct the value or leave it empty.",
        )
    return numbers.replace([np.inf, -np.inf], np.nan)


def _text(column: "pd.Series[Any]") -> "pd.Series[Any]":
    values = [
        label_text(value) or np.nan if here else np.nan
        for value, here in zip(column, column.notna(), strict=True)
    ]
    return pd.Series(values, index=column.index, dtype=object)
