import numpy as np
import pytest
from sklearn.metrics import get_scorer
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from automl_meta.pipelines import average

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 2))


def test_probabilities_are_averaged_with_the_weights_and_labels_follow() -> None:
    y = np.where(X[:, 0] > 0, 7, 3)  # codes need not start at 0
    members = [KNeighborsClassifier(k).fit(X, y) for k in (1, 9)]
    model = average(members, [3, 1], regression=False)
    expected = 0.75 * members[0].predict_proba(X) + 0.25 * members[1].predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), expected)
    np.testing.assert_array_equal(model.predict(X), np.array([3, 7])[expected.argmax(1)])
    assert get_scorer("roc_auc")(model, X, y) == pytest.approx(1.0)
    assert get_scorer("f1_macro")(model, X, y) == pytest.approx(1.0)


def test_values_are_averaged_with_the_weights() -> None:
    members = [KNeighborsRegressor(k).fit(X, X[:, 0]) for k in (1, 9)]
    model = average(members, [1, 4], regression=True)
    expected = 0.2 * members[0].predict(X) + 0.8 * members[1].predict(X)
    np.testing.assert_allclose(model.predict(X), expected)
    assert get_scorer("r2")(model, X, X[:, 0]) > 0.8


def test_one_member_stays_what_it_is() -> None:
    member = KNeighborsRegressor().fit(X, X[:, 0])
    assert average([member], [0.3], regression=True) is member
