"""What a two-class diagnosis is worth: what it finds, what it wrongly fears, and whether its probabilities mean it.

| symbol | meaning |
|---|---|
| n | patients |
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import brier_score_loss, recall_score, roc_auc_score

from automl_meta._typing import FloatArray, IntArray
from automl_meta.exceptions import InvalidParameterError

#: Each figure in words, in the order of a table.
FIGURES = {
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier score",
    "calibration_error": "calibration error",
}


@dataclass(frozen=True)
class Diagnosis:
    """Figures of one model on one group of patients.

    Attributes:
        auc: Area under the receiver operating characteristic, in [0, 1].
        sensitivity: Share of the ill that are called ill, in [0, 1].
        specificity: Share of the healthy that are called healthy, in [0, 1].
        brier: Mean squared error of the probabilities, in [0, 1].
        calibration_error: See ``calibration_error``.
    """

    auc: float
    sensitivity: float
    specificity: float
    brier: float
    calibration_error: float


def diagnosis(ill: IntArray, probabilities: FloatArray, *, threshold: float = 0.5) -> Diagnosis:
    """Judge the probabilities of being ill.

    Args:
        ill: 1 for the ill, 0 for the healthy, both present, shape [n].
        probabilities: Of being ill, in [0, 1], shape [n].
        threshold: From which on a patient is called ill, in [0, 1].

    Returns:
        The figures.

    Raises:
        InvalidParameterError: If shapes differ, a class is missing or a probability is none.

    Example:
        >>> found = diagnosis(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]))
        >>> found.auc, found.sensitivity, found.specificity
        (0.75, 0.5, 0.5)
    """
    if ill.shape != probabilities.shape or set(np.unique(ill)) != {0, 1}:
        rule, remedy = "0 and 1, both, one for each probability", "Check the labels."
        raise InvalidParameterError.of("ill", "diagnosis", rule, np.unique(ill).tolist(), remedy)
    _check_probabilities(probabilities, "diagnosis")
    called = (probabilities >= threshold).astype(int)
    return Diagnosis(
        auc=float(roc_auc_score(ill, probabilities)),
        sensitivity=float(recall_score(ill, called)),
        specificity=float(recall_score(ill, called, pos_label=0)),
        brier=float(brier_score_loss(ill, probabilities)),
        calibration_error=calibration_error(ill, probabilities),
    )


def calibration_error(ill: IntArray, probabilities: FloatArray, *, bins: int = 10) -> float:
    """Return the expected calibration error: how far shares lie from the probabilities that were told.

    Patients are sorted by probability and divided into bins of equal size; in each the share of the ill is compared
    with the mean probability. Those of equal probability count with their common share, whatever bins they fall into.
    A few patients a bin leave a floor: of 50 patients even true probabilities have some .1.

    Args:
        ill: 1 for the ill, 0 for the healthy, shape [n], n >= 1.
        probabilities: Of being ill, in [0, 1], shape [n].
        bins: >= 1; at most n are used.

    Returns:
        The mean absolute difference, weighed by patients, in [0, 1].

    Raises:
        InvalidParameterError: If there is no patient, a number is no probability or ``bins`` is below 1.

    Reference:
        Naeini, Cooper and Hauskrecht (2015), Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI;
        here with bins of equal size.

    Example:
        >>> calibration_error(np.array([0, 1, 1, 1]), np.array([0.25, 0.25, 0.75, 1.0]), bins=2)
        0.1875
    """
    if bins < 1:
        rule = "an int >= 1"
        raise InvalidParameterError.of("bins", "calibration_error", rule, bins, "Try 10.")
    _check_probabilities(probabilities, "calibration_error")
    _, place = np.unique(probabilities, return_inverse=True)
    share = (np.bincount(place, ill) / np.bincount(place))[place]
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [len(part) * abs(share[part].mean() - probabilities[part].mean()) for part in parts]
    return float(sum(gaps) / len(order))


def _check_probabilities(probabilities: FloatArray, where: str) -> None:
    if not len(probabilities) or not bool(((probabilities >= 0) & (probabilities <= 1)).all()):
        rule, remedy = "at least one number, all in [0, 1]", "Give predict_proba's column."
        raise InvalidParameterError.of("probabilities", where, rule, probabilities, remedy)
