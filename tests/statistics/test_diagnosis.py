import numpy as np
import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.statistics.diagnosis import calibration_error, diagnosis


def test_figures_by_hand():
    ill = np.array([1, 1, 1, 0, 0])
    told = np.array([0.9, 0.5, 0.2, 0.6, 0.1])
    found = diagnosis(ill, told)
    assert found.auc == pytest.approx(4 / 6)  # pairs in the right order
    assert found.sensitivity == pytest.approx(2 / 3)
    assert found.specificity == pytest.approx(1 / 2)
    assert found.brier == pytest.approx((0.01 + 0.25 + 0.64 + 0.36 + 0.01) / 5)
    strict = diagnosis(ill, told, threshold=0.95)
    assert (strict.sensitivity, strict.specificity) == (0.0, 1.0)


def test_honest_probabilities_are_calibrated_and_sure_ones_are_not():
    rng = np.random.default_rng(0)
    told = rng.uniform(size=20000)
    ill = (rng.uniform(size=20000) < told).astype(int)
    assert calibration_error(ill, told) < 0.02
    sure = np.where(told > 0.5, 0.99, 0.01)
    assert calibration_error(ill, sure) == pytest.approx(0.24, abs=0.02)


def test_more_bins_than_patients_and_order_do_not_matter():
    ill, told = np.array([0, 1, 1]), np.array([0.2, 0.7, 0.4])
    expected = (0.2 + 0.3 + 0.6) / 3
    assert calibration_error(ill, told, bins=50) == pytest.approx(expected)
    assert calibration_error(ill[::-1], told[::-1], bins=50) == pytest.approx(expected)


def test_equal_probabilities_are_one_group_in_any_order():
    ill, told = np.repeat([0, 1], 50), np.full(100, 0.5)
    mixed = np.random.default_rng(0).permutation(ill)
    for labels in (ill, ill[::-1], mixed):
        assert calibration_error(labels, told) == 0.0
    assert calibration_error(ill, np.full(100, 0.4)) == pytest.approx(0.1)


def test_what_cannot_be_judged_is_refused():
    told = np.array([0.2, 0.7])
    with pytest.raises(InvalidParameterError, match="'ill' parameter of diagnosis"):
        diagnosis(np.array([1, 1]), told)
    with pytest.raises(InvalidParameterError, match="'ill' parameter of diagnosis"):
        diagnosis(np.array([1, 0, 1]), told)
    for odd in (np.array([0.2, np.nan]), np.array([0.2, 1.2]), np.array([])):
        with pytest.raises(InvalidParameterError, match="'probabilities' parameter"):
            calibration_error(np.array([0, 1])[: len(odd)], odd)
    with pytest.raises(InvalidParameterError, match="'bins' parameter"):
        calibration_error(np.array([0, 1]), told, bins=0)
