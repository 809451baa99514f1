"""Classifiers that want the classes 0 to k-1, fitted on rows that may lack some of a task's classes."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from automl_meta._typing import FloatArray, IntArray


class CodedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """A classifier fitted on the numbers of the classes that are there.

    Args:
        classifier: Unfitted; a copy is fitted.

    Attributes:
        classes_: The classes of the training rows, ascending, shape [k].
        classifier_: The fitted copy, of classes 0 to k-1.

    Example:
        >>> from sklearn.dummy import DummyClassifier
        >>> model = CodedClassifier(DummyClassifier()).fit(np.zeros((3, 1)), np.array([2, 5, 5]))
        >>> model.classes_.tolist(), model.classifier_.classes_.tolist(), model.predict(np.zeros((1, 1))).tolist()
        ([2, 5], [0, 1], [5])
    """

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def fit(self, X: Any, y: IntArray) -> Self:
        """Fit.

        Args:
            X: Rows, whatever the classifier takes.
            y: Their classes, shape [n].
        """
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.classifier_ = clone(self.classifier).fit(X, codes)
        return self

    def predict(self, X: Any) -> IntArray:
        """Return the likeliest class of each row, shape [n]."""
        predicted: IntArray = self.classes_[self.classifier_.predict(X)]
        return predicted

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probabilities of ``classes_``, shape [n, k]."""
        if len(self.classes_) == 1:  # of which XGBoost makes two
            return np.ones((X.shape[0], 1))
        probabilities: FloatArray = self.classifier_.predict_proba(X)
        return probabilities
