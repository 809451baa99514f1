import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io

from automl_meta.exceptions import StoreError
from automl_meta.pipelines import families
from automl_meta.runs.finish import held_out_score, refit
from automl_meta.runs.model import FittedModel, load_model, save_model
from automl_meta.tasks.task import Task


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_every_family_survives_the_round_trip(
    family: Any, kind: str, tasks_of_every_kind: dict[str, Task], tmp_path: Path
) -> None:
    if not family.is_installed:
        pytest.skip(f"{family.requires} is not installed (extra 'boosting')")
    task = tasks_of_every_kind[kind]
    pipeline = refit(task, family, family.default(task.problem), seed=0)
    save_model(tmp_path / "model.skops", task, pipeline)
    model = load_model(tmp_path)
    test = task.features.iloc[task.split.test]
    labels = model.predict(test)
    assert labels.shape == (len(test),)
    score, reason = held_out_score(task, pipeline)
    assert score is not None
    assert np.isfinite(score)
    assert reason is None
    if kind == "regression":
        np.testing.assert_array_equal(labels, pipeline.predict(test))
    else:
        assert set(labels) <= set(task.classes)
        proba = model.predict_proba(test)
        assert proba.shape == (len(test), len(task.classes))
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)


def test_a_class_that_the_training_rows_lack_has_probability_zero() -> None:
    class Pipeline:
        classes_ = np.array([0, 2])

        def predict_proba(self, features: list[int]) -> np.ndarray:
            return np.tile([0.3, 0.7], (len(features), 1))

    model = FittedModel(Pipeline(), {"a": "numeric"}, ("x", "y", "z"), "t", "task")
    np.testing.assert_array_equal(model.predict_proba([1]), [[0.3, 0.0, 0.7]])


def test_a_file_with_a_foreign_type_is_not_opened(tmp_path: Path) -> None:
    class Evil:
        pass

    Evil.__qualname__ = "Evil"
    path = tmp_path / "model.skops"
    path.write_bytes(skops.io.dumps({"schema": "automl-meta/model/1", "pipeline": io.StringIO}))
    with pytest.raises(StoreError, match=r"StringIO.*not opened"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.skops"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", "{}")
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be read as a model"):
        load_model(tmp_path)


def test_another_schema_and_no_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No model in"):
        load_model(tmp_path)
    (tmp_path / "model.skops").write_bytes(skops.io.dumps({"schema": "automl-meta/model/9"}))
    with pytest.raises(StoreError, match="model/9"):
        load_model(tmp_path)
