"""A Gaussian process that knows the present task only: the safety net against a misleading past.

Matern 5/2 on the encoded configuration with one length scale, fitted by likelihood on a small grid: with a
few dozen trials a grid is as good as a gradient and never diverges.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.spatial.distance import cdist

from automl_meta._typing import FloatArray

_LENGTHS = np.array([0.2, 0.4, 0.7, 1.2, 2.0, 3.5])
_NOISES = np.array([0.001, 0.03, 0.2, 0.5])


@dataclass(frozen=True)
class TaskOnlyModel:
    """A fitted process.

    Attributes:
        x: Observed encodings, shape [n, d].
        scores: Observed scores, shape [n].
        length: Length scale.
        noise: Noise variance as a share of the signal's.
        factor: Lower Cholesky factor of the correlation, shape [n, n].
        weights: Correlation solved against the centred scores, shape [n].
        mean: Constant mean.
        variance: Signal variance.
    """

    x: FloatArray
    scores: FloatArray
    length: float
    noise: float
    factor: FloatArray
    weights: FloatArray
    mean: float
    variance: float

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the noise-free score, each [m].

        Args:
            x: Encodings, shape [m, d].
        """
        cross = matern52(cdist(x, self.x), self.length)
        mean = self.mean + cross @ self.weights
        solved = solve_triangular(self.factor, cross.T, lower=True)
        return mean, np.maximum(self.variance * (1.0 - np.sum(solved**2, axis=0)), 1e-10)

    @cached_property
    def best_expected(self) -> float | None:
        """The best expected score among the trials; None without any."""
        return float(self.predict(self.x)[0].max()) if len(self.scores) else None

    def believing(self, x: FloatArray) -> "TaskOnlyModel":
        """Return the model as if running trials had scored what it predicts.

        Args:
            x: Their encodings, shape [m, d].
        """
        joint = np.concatenate([self.x, x])
        scores = np.concatenate([self.scores, self.predict(x)[0]])
        return _fit(
            joint, scores, matern52(cdist(joint, joint), self.length), self.length, self.noise
        )[1]


def fit_task_only(x: FloatArray, y: FloatArray) -> TaskOnlyModel:
    """Fit by marginal likelihood, signal variance in closed form.

    Args:
        x: Encodings, shape [n, d], n >= 1.
        y: Scores, shape [n].
    """
    distance = cdist(x, x)
    best: tuple[float, TaskOnlyModel] | None = None
    for length in _LENGTHS * np.sqrt(x.shape[1] / 6.0):
        correlation = matern52(distance, float(length))
        for noise in _NOISES:
            score, model = _fit(x, y, correlation, float(length), float(noise))
            if best is None or score > best[0]:
                best = (score, model)
    assert best is not None
    return best[1]


def _fit(
    x: FloatArray, y: FloatArray, correlation: FloatArray, length: float, noise: float
) -> tuple[float, TaskOnlyModel]:
    n = len(y)
    factor = cholesky(correlation + (noise + 1e-8) * np.eye(n), lower=True)
    mean = float(y.mean())
    weights = cho_solve((factor, True), y - mean)
    variance = max(float((y - mean) @ weights) / n, 1e-8)
    likelihood = -0.5 * n * np.log(variance) - float(np.sum(np.log(np.diag(factor))))
    return likelihood, TaskOnlyModel(x, y, length, noise, factor, weights, mean, variance)


def matern52(distance: FloatArray, length: float) -> FloatArray:
    """Return the Matern 5/2 correlation of distances, any shape.

    Args:
        distance: Euclidean distances, >= 0.
        length: Length scale, > 0.
    """
    scaled = distance * (np.sqrt(5.0) / length)
    result: FloatArray = np.negative(scaled)
    np.exp(result, out=result)
    # 1 + s + s^2 / 3 = (s + 3/2)^2 / 3 + 1/4, in place: fresh memory would cost more than the arithmetic.
    scaled += 1.5
    scaled *= scaled
    scaled /= 3.0
    scaled += 0.25
    result *= scaled
    return result
