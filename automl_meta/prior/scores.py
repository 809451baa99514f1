"""Scores of one task on a common scale.

Tasks differ in the range, the noise and the tail of their scores: an AUC of 0.99 may be the best or the
median. What they share is the order. Scores become normal quantiles of their ranks, so the
surrogate sees the same distribution on every task and a single awful configuration cannot flatten the
difference between good ones.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from automl_meta._typing import FloatArray


def normal_scores(scores: Sequence[float | None] | FloatArray) -> FloatArray:
    """Return normal quantiles of the ranks, shape [n]; greater stays better.

    Args:
        scores: Greater is better. None or NaN marks a failed evaluation, which ties with the worst.

    Example:
        >>> normal_scores([0.7, None, 0.9, 0.8]).round(2).tolist()
        [-0.32, -1.15, 1.15, 0.32]
    """
    values = np.array([np.nan if s is None else s for s in scores], dtype=np.float64)
    if values.size == 0:
        return values
    known = values[np.isfinite(values)]
    floor = known.min() - 1.0 if known.size else 0.0
    filled = np.where(np.isfinite(values), values, floor)
    quantiles = (rankdata(filled) - 0.5) / len(filled)
    return np.asarray(ndtri(quantiles), dtype=np.float64)


#: Distances from best to median below the best at which scores are cut off.
_REACH = 2.0
#: Share of the scores that ``trimmed`` cuts off.
_WORST = 0.1


def bounded(raw: FloatArray) -> FloatArray:
    """Return scores cut off as far below the median as the best is above it, shape [n].

    A few awful ones, a logarithmic loss of a sure and wrong model for instance, would else set the scale on which all
    good ones look the same.

    Args:
        raw: Greater is better, one is known; NaN for failed evaluations, which stay so. Where half of them are as
            good as the best there is no such distance, and nothing is cut off.

    Example:
        >>> bounded(np.array([0.9, 0.8, -20.0])).round(2).tolist()
        [0.9, 0.8, 0.7]
    """
    best, median = np.nanmax(raw), np.nanmedian(raw)
    return np.maximum(raw, best - _REACH * (best - median)) if best > median else raw


def trimmed(raw: FloatArray) -> FloatArray:
    """Return scores of which the worst tenth is cut off at its end, shape [n].

    Milder than ``bounded``: the awful ones no longer set the scale, and all others keep their distances.

    Args:
        raw: Greater is better, one is known; NaN for failed evaluations, which stay so. Where all others are as good
            as the best, nothing is cut off.

    Example:
        >>> trimmed(np.array([-20.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])).tolist()[:3]
        [0.5, 0.5, 0.6]
    """
    least = np.nanquantile(raw, _WORST)
    return np.maximum(raw, least) if least < np.nanmax(raw) else raw
