"""Search curves: the best score so far, and how far it is from the best known one."""

import numpy as np
from numpy.typing import ArrayLike

from automl_meta._typing import FloatArray
from automl_meta.exceptions import InvalidParameterError


def incumbent(scores: ArrayLike) -> FloatArray:
    """Return the best score up to each trial.

    Args:
        scores: Shape [..., n_trials], greater is better; NaN for a failed trial.

    Returns:
        Shape [..., n_trials]; NaN until the first trial that did not fail.

    Example:
        >>> incumbent([float("nan"), 0.5, 0.4, 0.7]).tolist()
        [nan, 0.5, 0.5, 0.7]
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim == 0:
        raise InvalidParameterError.of(
            "scores", "incumbent", "an array of one or more dimensions", values, "Give a list."
        )
    best = np.maximum.accumulate(np.where(np.isnan(values), -np.inf, values), axis=-1)
    return np.where(np.isneginf(best), np.nan, best)


def normalised_regret(scores: ArrayLike, best: ArrayLike, worst: ArrayLike) -> FloatArray:
    """Return the regret on a scale where ``best`` is 0 and ``worst`` is 1.

    ``regret = clip((best - score) / (best - worst), 0, 1)``; 1 for a missing score (no trial succeeded
    yet), and 0 where ``best`` equals ``worst``: on such a task every score is as good.

    Args:
        scores: Any shape, greater is better; usually the incumbent.
        best: Best known score, broadcastable to ``scores``.
        worst: Worst known score, broadcastable to ``scores``, at most ``best``.

    Returns:
        The broadcast shape, values in [0, 1].

    Raises:
        InvalidParameterError: If ``worst`` exceeds ``best`` or either is not finite.

    Example:
        >>> normalised_regret([0.5, 0.75, 1.0], best=1.0, worst=0.5).tolist()
        [1.0, 0.5, 0.0]
    """
    values = np.asarray(scores, dtype=np.float64)
    high, low = np.asarray(best, dtype=np.float64), np.asarray(worst, dtype=np.float64)
    if not np.all(np.isfinite(high)) or not np.all(np.isfinite(low)) or np.any(low > high):
        raise InvalidParameterError.of(
            "worst",
            "normalised_regret",
            f"finite and at most best ({best!r})",
            worst,
            "Check the direction: greater is better.",
        )
    gap = high - low
    regret = np.clip((high - values) / np.where(gap > 0, gap, 1.0), 0.0, 1.0)
    regret = np.where(gap > 0, regret, 0.0)
    return np.where(np.isnan(values), 1.0, regret)
