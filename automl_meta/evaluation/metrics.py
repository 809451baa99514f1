"""Scores of a fitted pipeline. Every metric is a scikit-learn scorer name; greater is better."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    get_scorer,
    log_loss,
    mean_absolute_error,
    r2_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
)

from automl_meta._typing import FloatArray, TaskKind

_CLASSIFICATION = ("accuracy", "balanced_accuracy", "neg_log_loss", "f1_macro")
_REGRESSION = ("neg_root_mean_squared_error", "neg_mean_absolute_error", "r2")


def metrics_for(kind: TaskKind) -> tuple[str, ...]:
    """Return the metrics that every evaluation records for a kind of task.

    Args:
        kind: ``"binary"``, ``"multiclass"`` or ``"regression"``.

    Example:
        >>> metrics_for("regression")
        ('neg_root_mean_squared_error', 'neg_mean_absolute_error', 'r2')
    """
    if kind == "regression":
        return _REGRESSION
    return ("roc_auc" if kind == "binary" else "roc_auc_ovr", *_CLASSIFICATION)


class Predictions:
    """Scores one fitted pipeline on one set of rows; predictions are made once and shared.

    Args:
        model: Fitted pipeline with ``predict`` and, for classification, ``predict_proba``.
        features: Rows to predict, shape [n, n_columns].
        target: True targets, shape [n].
        n_classes: Number of classes, 0 for regression.
    """

    def __init__(self, model: Any, features: Any, target: Any, n_classes: int) -> None:
        self._model, self._features = model, features
        self._target, self._n_classes = np.asarray(target), n_classes
        self._predicted: Any = None
        self._probabilities: FloatArray | None = None

    def score(self, metric: str) -> float:
        """Return one score.

        Args:
            metric: A scikit-learn scorer name.

        Raises:
            ValueError: If the prediction or the score is not finite: such a fold has failed.
        """
        function = getattr(self, f"_{metric}", None)
        value = float(
            function()
            if function
            else get_scorer(metric)(self._model, self._features, self._target)
        )
        if not math.isfinite(value):
            msg = f"The score {metric} is {value}: the predictions are unusable."
            raise ValueError(msg)
        return value

    def output(self) -> FloatArray | None:
        """Return what an ensemble averages: probabilities [n, n_classes] or values [n, 1].

        Returns:
            Finite numbers, or None where the model has no usable ones.
        """
        try:
            raw = self._proba if self._n_classes else np.reshape(self._labels, (-1, 1))
        except (AttributeError, ValueError):  # a classifier without probabilities
            return None
        values = np.asarray(raw, dtype=np.float64)
        return values if np.isfinite(values).all() else None

    @property
    def _labels(self) -> Any:
        if self._predicted is None:
            # CatBoost returns a column for several classes.
            self._predicted = np.ravel(self._model.predict(self._features))
        return self._predicted

    @property
    def _proba(self) -> FloatArray:
        """Class probabilities [n, n_classes]; a class unseen in training has probability 0."""
        if self._probabilities is None:
            raw = self._model.predict_proba(self._features)
            full = np.zeros((len(raw), self._n_classes))
            full[:, np.asarray(self._model.classes_, dtype=np.int64)] = raw
            self._probabilities = full / full.sum(axis=1, keepdims=True)
        return self._probabilities

    def _accuracy(self) -> float:
        return float(accuracy_score(self._target, self._labels))

    def _balanced_accuracy(self) -> float:
        # Classes that were predicted but do not occur here have no recall to average.
        present = np.unique(self._target)
        recall = recall_score(
            self._target, self._labels, labels=present, average="macro", zero_division=0.0
        )
        return float(recall)

    def _f1_macro(self) -> float:
        return float(f1_score(self._target, self._labels, average="macro", zero_division=0.0))

    def _neg_log_loss(self) -> float:
        return -float(log_loss(self._target, self._proba, labels=np.arange(self._n_classes)))

    def _roc_auc(self) -> float:
        return float(roc_auc_score(self._target, self._proba[:, 1]))

    def _roc_auc_ovr(self) -> float:
        """Macro average over the classes that occur here: the others have no curve."""
        present = [
            c for c in range(self._n_classes) if 0 < np.sum(self._target == c) < len(self._target)
        ]
        areas = [roc_auc_score(self._target == c, self._proba[:, c]) for c in present]
        return float(np.mean(areas)) if areas else math.nan

    def _neg_root_mean_squared_error(self) -> float:
        return -float(root_mean_squared_error(self._target, self._labels))

    def _neg_mean_absolute_error(self) -> float:
        return -float(mean_absolute_error(self._target, self._labels))

    def _r2(self) -> float:
        return float(r2_score(self._target, self._labels))


class _GivenClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose features are the probabilities that it predicts, so that any scorer can judge them."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self.classes_ = np.arange(n_classes)

    def predict_proba(self, X: FloatArray) -> FloatArray:
        return X

    def predict(self, X: FloatArray) -> Any:
        return X.argmax(axis=1)


class _GivenRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor whose features are the values that it predicts."""

    def predict(self, X: FloatArray) -> FloatArray:
        return np.ravel(X)


def score_output(output: FloatArray, target: Any, n_classes: int, metric: str) -> float:
    """Score predictions that were made before, or averaged; labels are the most probable classes.

    Args:
        output: Probabilities [n, n_classes], or values [n, 1].
        target: True targets, shape [n].
        n_classes: Number of classes, 0 for regression.
        metric: A scikit-learn scorer name.

    Raises:
        ValueError: If the score is not defined or not finite.

    Example:
        >>> score_output(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 1]), 2, "accuracy")
        1.0
    """
    model = _GivenClassifier(n_classes) if n_classes else _GivenRegressor()
    return Predictions(model, output, target, n_classes).score(metric)


def score_all(predictions: Predictions, primary: str, metrics: Sequence[str]) -> dict[str, float]:
    """Return every score that can be computed; only the primary one must succeed.

    Args:
        predictions: The pipeline's predictions.
        primary: The task's metric.
        metrics: The metrics recorded beside it; one that fails is NaN.

    Raises:
        ValueError: If the primary score cannot be computed.
    """
    scores = {primary: predictions.score(primary)}
    for metric in metrics:
        if metric == primary:
            continue
        try:
            scores[metric] = predictions.score(metric)
        except (ValueError, AttributeError):
            scores[metric] = math.nan
    return scores
