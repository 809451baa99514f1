"""Scores agree with scikit-learn's scorers, and stay defined where those are not."""

import numpy as np
import pytest
from sklearn.metrics import get_scorer
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from automl_meta.evaluation.metrics import Predictions, metrics_for, score_all, score_output


@pytest.mark.parametrize(
    ("kind", "n_classes"), [("binary", 2), ("multiclass", 4), ("regression", 0)]
)
def test_agree_with_scikit_learn(kind, n_classes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X[:, 0] if kind == "regression" else rng.integers(n_classes, size=200)
    model = (KNeighborsRegressor() if kind == "regression" else KNeighborsClassifier()).fit(X, y)
    predictions = Predictions(model, X, y, n_classes)
    for metric in metrics_for(kind):
        assert predictions.score(metric) == pytest.approx(get_scorer(metric)(model, X, y)), metric


class Fixed:
    """Predicts fixed probabilities for classes 0 and 2 of three."""

    classes_ = np.array([0, 2])

    def predict_proba(self, X):
        return np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(1)]


def test_classes_unseen_in_training_or_absent_in_the_test_part():
    predictions = Predictions(Fixed(), None, np.array([0, 2, 0]), 3)
    assert predictions.score("roc_auc_ovr") == 1.0
    assert predictions.score("neg_log_loss") == pytest.approx(np.log([0.9, 0.8, 0.6]).mean())
    unseen = Predictions(Fixed(), None, np.array([0, 2, 1]), 3)
    assert np.isfinite(unseen.score("neg_log_loss"))
    assert unseen.score("balanced_accuracy") == pytest.approx(2 / 3)


def test_only_the_primary_metric_must_be_defined():
    one_class = Predictions(Fixed(), None, np.array([0, 0, 0]), 3)
    scores = score_all(one_class, "accuracy", metrics_for("multiclass"))
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert np.isnan(scores["roc_auc_ovr"])
    with pytest.raises(ValueError, match="roc_auc_ovr"):
        score_all(one_class, "roc_auc_ovr", metrics_for("multiclass"))


@pytest.mark.parametrize(
    ("kind", "n_classes", "metrics"),
    [
        ("binary", 2, ("f1", "average_precision", "neg_brier_score", "matthews_corrcoef")),
        ("multiclass", 4, ("f1_weighted", "roc_auc_ovo", "top_k_accuracy")),
        ("regression", 0, ("explained_variance", "neg_max_error")),
    ],
)
def test_stored_output_scores_as_the_model_did(kind, n_classes, metrics):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 3))
    y = X[:, 0] if kind == "regression" else rng.integers(n_classes, size=200)
    # Seven neighbours of two classes: no probability is tied, so labels are the most probable class.
    model = KNeighborsRegressor(7) if kind == "regression" else KNeighborsClassifier(7)
    model.set_params(weights="distance").fit(X[:120], y[:120])
    predictions = Predictions(model, X[120:], y[120:], n_classes)
    output = predictions.output()
    assert output.shape == (80, n_classes or 1)
    for metric in (*metrics_for(kind), *metrics):
        expected = predictions.score(metric)
        assert score_output(output, y[120:], n_classes, metric) == pytest.approx(expected), metric


def test_there_is_no_output_without_usable_probabilities():
    class Labels:
        def predict(self, X):
            return np.zeros(3)

    class Broken(Fixed):
        def predict_proba(self, X):
            return super().predict_proba(X) * np.nan

    assert Predictions(Labels(), None, np.zeros(3), 3).output() is None
    assert Predictions(Broken(), None, np.zeros(3), 3).output() is None
    np.testing.assert_allclose(Predictions(Fixed(), None, np.zeros(3), 3).output()[:, 1], 0.0)
