"""Fitted pipelines that answer together: the weighted average of their predictions.

scikit-learn's voting estimators fit their members themselves; these take members that are fitted already,
so that one that cannot be fitted is left out before, and are stored with skops like any pipeline.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from automl_meta._typing import FloatArray


class AverageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Averages class probabilities; the label is the most probable class.

    Args:
        members: Fitted classifiers with the same classes, at least one.
        weights: One share for each member, summing to 1.
    """

    def __init__(self, members: Sequence[Any], weights: Sequence[float]) -> None:
        self.members = members
        self.weights = weights

    @property
    def classes_(self) -> Any:
        """The classes of every member."""
        return self.members[0].classes_

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the averaged probabilities, shape [n, n_classes]."""
        return _average([member.predict_proba(X) for member in self.members], self.weights)

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row, shape [n]."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class AverageRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Averages predicted values.

    Args:
        members: Fitted regressors, at least one.
        weights: One share for each member, summing to 1.
    """

    def __init__(self, members: Sequence[Any], weights: Sequence[float]) -> None:
        self.members = members
        self.weights = weights

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> FloatArray:
        """Return the averaged values, shape [n]."""
        return _average([np.ravel(member.predict(X)) for member in self.members], self.weights)


def average(members: Sequence[Any], weights: Sequence[float], *, regression: bool) -> Any:
    """Return one estimator for several fitted ones; a single one is returned as it is.

    Args:
        members: Fitted pipelines, at least one.
        weights: One positive number for each; they are scaled to sum to 1.
        regression: Whether they predict numbers.
    """
    if len(members) == 1:
        return members[0]
    kind = AverageRegressor if regression else AverageClassifier
    total = sum(weights)
    return kind(list(members), [float(weight) / total for weight in weights])


def _average(predictions: Sequence[Any], weights: Sequence[float]) -> FloatArray:
    return np.asarray(
        np.average(np.asarray(predictions, dtype=np.float64), axis=0, weights=weights)
    )
