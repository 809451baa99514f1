"""The fitted model of a run: refitted, stored with skops, loaded without trusting the file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skops.io

from automl_meta._typing import FloatArray
from automl_meta.exceptions import StoreError
from automl_meta.tasks.task import ColumnKind, Task

SCHEMA = "automl-meta/model/1"
#: Types that our families' pipelines consist of, beyond those that skops trusts by itself. A file that
#: names any other type is refused.
TRUSTED = frozenset(
    {
        "automl_meta.pipelines.average.AverageClassifier",
        "automl_meta.pipelines.average.AverageRegressor",
        "automl_meta.pipelines.coded.CodedClassifier",
        "automl_meta.pipelines.svm.RepeatingCalibration",
        "catboost.core.CatBoostClassifier",
        "catboost.core.CatBoostRegressor",
        "collections.OrderedDict",
        "functools.partial",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
    }
)


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fitted pipeline and what is needed to feed it.

    Attributes:
        pipeline: The fitted scikit-learn pipeline, or the average of several (``members`` and ``weights``);
            its classes are codes 0..n_classes-1.
        columns: Column name to kind, in order.
        classes: Class labels in code order; empty for regression.
        target_name: Name of the predicted column.
        task: Name of the task that it was fitted on.
    """

    pipeline: Any
    columns: Mapping[str, ColumnKind]
    classes: tuple[str, ...]
    target_name: str
    task: str

    def predict(self, features: Any) -> Any:
        """Predict labels (text) or values.

        Args:
            features: DataFrame with exactly ``columns``, prepared as in training, shape [n, n_columns].

        Returns:
            Array [n] of class labels (object) or of float64 values.
        """
        raw = np.asarray(self.pipeline.predict(features))
        if not self.classes:
            return raw.astype(np.float64).ravel()
        return np.asarray(self.classes, dtype=object)[raw.astype(np.int64).ravel()]

    def predict_proba(self, features: Any) -> FloatArray:
        """Predict class probabilities.

        Args:
            features: As for ``predict``.

        Returns:
            Array [n, n_classes] in the order of ``classes``; a class unseen in training has 0.
        """
        raw = self.pipeline.predict_proba(features)
        full = np.zeros((len(raw), len(self.classes)))
        full[:, np.asarray(self.pipeline.classes_, dtype=np.int64)] = raw
        return full


def save_model(path: Path, task: Task, pipeline: Any) -> None:
    """Store a fitted pipeline, as a whole or not at all.

    Args:
        path: Target file, ``model.skops``.
        task: The task that it was fitted on.
        pipeline: The fitted pipeline.
    """
    document = {
        "schema": SCHEMA,
        "pipeline": pipeline,
        "columns": [[name, kind] for name, kind in task.columns.items()],
        "classes": list(task.classes),
        "target": task.target_name,
        "task": task.name,
    }
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(skops.io.dumps(document))
    os.replace(beside, path)  # noqa: PTH105 - symmetrical to write_json, atomic on every system


def load_model(path: Path) -> FittedModel:
    """Load a stored model; nothing in the file is executed.

    Args:
        path: ``model.skops``, or the folder of a run with one in it.

    Raises:
        StoreError: If there is none, or it is damaged, of another schema or names a foreign type.
    """
    file = path / "model.skops" if path.is_dir() else path
    if not file.is_file():
        msg = f"No model in {path}. Name a folder that automl-meta fit wrote, or its model.skops."
        raise StoreError(msg)
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(file=file)) - TRUSTED)
    except Exception as error:
        raise StoreError(_damaged(file, error)) from error
    if unknown:
        msg = (
            f"{file} holds types that no automl-meta model consists of: {', '.join(unknown[:3])}. "
            "It is not opened: fit the model again, or load it with skops yourself."
        )
        raise StoreError(msg)
    try:
        document = skops.io.load(file, trusted=sorted(TRUSTED))
    except ImportError as error:
        msg = f"{file} needs the package {error.name}. Run: pip install 'automl-meta[boosting]'."
        raise StoreError(msg) from error
    except Exception as error:
        raise StoreError(_damaged(file, error)) from error
    return _unpack(file, document)


def _unpack(file: Path, document: Any) -> FittedModel:
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        msg = f"{file} has the schema {schema!r}, this version reads {SCHEMA!r}. Fit it again."
        raise StoreError(msg)
    return FittedModel(
        document["pipeline"],
        dict(document["columns"]),
        tuple(document["classes"]),
        document["target"],
        document["task"],
    )


def _damaged(file: Path, error: Exception) -> str:
    line = " ".join(str(error).split())[:160]
    return f"{file} cannot be read as a model ({type(error).__name__}: {line}). Fit it again."
