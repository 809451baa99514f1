"""How well a Gaussian process predicts each trial from the others: what two models are weighed by."""

import numpy as np
from scipy.linalg import cho_solve
from scipy.special import expit
from scipy.stats import norm

from automl_meta._typing import FloatArray

#: Neither the past nor the present task is ever given less than this.
LEAST_WEIGHT = 0.25


def leave_one_out(factor: FloatArray, centred: FloatArray) -> FloatArray:
    r"""Return the log density of each score given the others, shape [n].

    With K the noisy covariance and r the scores less their mean, the residual of point i is
    :math:`[K^{-1} r]_i / [K^{-1}]_{ii}` and its variance :math:`1 / [K^{-1}]_{ii}`.

    Args:
        factor: Lower Cholesky factor of K, shape [n, n].
        centred: r, shape [n].

    Reference:
        Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, equations 5.10 to 5.12.
    """
    inverse = cho_solve((factor, True), np.eye(len(centred)))
    precision = np.diag(inverse)
    density = norm.logpdf(inverse @ centred / precision, scale=1.0 / np.sqrt(precision))
    return np.asarray(density, dtype=np.float64)


def weight_of(ours: FloatArray, theirs: FloatArray) -> float:
    """Return the weight of a model against another one by their leave-one-out evidence.

    Args:
        ours: Log densities of the first model, shape [n].
        theirs: Of the second one, for the same scores.

    Returns:
        A number from ``LEAST_WEIGHT`` to ``1 - LEAST_WEIGHT``.

    Example:
        >>> weight_of(np.array([-1.0, -1.0]), np.array([-1.0, -1.0]))
        0.5
        >>> weight_of(np.array([-9.0]), np.array([90.0]))
        0.25
    """
    share = float(expit(np.sum(ours - theirs)))
    return LEAST_WEIGHT + (1.0 - 2.0 * LEAST_WEIGHT) * share
