from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.runs import FittedModel, load_model, predict_table

Run = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def model(finished_run: Run) -> FittedModel:
    return load_model(finished_run[0])


@pytest.fixture
def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {"height": [0.1, 0.2, -1.0], "colour": ["red", "blue", "red"], "width": [1.0, -2.0, 0.4]},
        index=[7, 8, 9],
    )


def test_labels_and_probabilities_agree(model: FittedModel, rows: pd.DataFrame) -> None:
    labels = predict_table(model, rows)
    proba = predict_table(model, rows, proba=True)
    assert list(labels.columns) == ["label"]
    assert list(proba.columns) == ["no", "yes"]
    assert list(labels.index) == list(proba.index) == [7, 8, 9]
    assert list(labels["label"]) == [proba.columns[i] for i in np.argmax(proba.to_numpy(), axis=1)]


def test_column_order_and_further_columns_do_not_matter(
    model: FittedModel, rows: pd.DataFrame
) -> None:
    expected = predict_table(model, rows, proba=True)
    turned = rows[["width", "colour", "height"]].assign(label="no", note="x")
    pd.testing.assert_frame_equal(predict_table(model, turned, proba=True), expected)


def test_unseen_categories_and_missing_cells_are_handled(
    model: FittedModel, rows: pd.DataFrame
) -> None:
    rows.loc[7, "colour"] = "ultraviolet"
    rows.loc[8, "colour"] = None
    rows.loc[9, "width"] = np.inf
    proba = predict_table(model, rows, proba=True)
    assert np.isfinite(proba.to_numpy()).all()


def test_a_missing_column_is_refused_by_name(model: FittedModel, rows: pd.DataFrame) -> None:
    with pytest.raises(InvalidParameterError, match=r"without width, colour.*left empty"):
        predict_table(model, rows[["height"]])


def test_text_where_numbers_were_learned_is_refused(model: FittedModel, rows: pd.DataFrame) -> None:
    bad = rows.astype({"width": object})
    bad.loc[8, "width"] = "wide"
    with pytest.raises(InvalidParameterError, match=r"'width'.*Got 'wide'"):
        predict_table(model, bad)


def test_no_rows_are_refused(model: FittedModel, rows: pd.DataFrame) -> None:
    with pytest.raises(InvalidParameterError, match="at least one row"):
        predict_table(model, rows.iloc[:0])


def test_probabilities_of_a_regression_are_refused(rows: pd.DataFrame) -> None:
    class Pipeline:
        def predict(self, features: pd.DataFrame) -> np.ndarray:
            return features["height"].to_numpy()

    regression = FittedModel(Pipeline(), {"height": "numeric"}, (), "price", "task")
    assert predict_table(regression, rows)["price"].tolist() == [0.1, 0.2, -1.0]
    with pytest.raises(InvalidParameterError, match="regression"):
        predict_table(regression, rows, proba=True)
