"""The usual interval of a mean over many independent values."""

import math

import numpy as np
from numpy.typing import ArrayLike

#: Two-sided 95 % quantile of the normal distribution.
_Z95 = 1.96


def half_interval(values: ArrayLike) -> float:
    """Return half the 95 % confidence interval of a mean: ``1.96 s / sqrt(n)``, s with n - 1.

    Args:
        values: Of independent episodes, trials or draws, shape [n]; many, for the quantile is the normal's.

    Returns:
        The half interval; NaN for fewer than two values, or where one is not finite.

    Example:
        >>> round(half_interval([0.8, 1.0, 0.9]), 3)
        0.113
    """
    given = np.asarray(values, dtype=np.float64)
    if len(given) < 2 or not np.isfinite(given).all():
        return math.nan
    return _Z95 * float(given.std(ddof=1)) / math.sqrt(len(given))
