r"""A new task's response under the past's Gaussians: several exact processes, weighed by their evidence.

Notation: n trials, m candidates, S scales, C components.

A component is a warp, a share s of structure that the past does not have, and a noise; its covariance is

.. math:: (1 - s)\, \phi^T \Sigma \phi' + s\, v M_{5/2}(|x - x'| / \ell) + \tau^2,

with v the mean prior variance and :math:`\tau^2` the variance of the task's unknown offset. With s = 1 it
knows the present task only. The raw scores are :math:`y = a + b z`; the scale b is summed out on a grid, which
costs nothing: the covariance does not depend on it. The weights are the components' marginal likelihoods,
tempered, so that a past that misleads loses its say after a few trials.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from automl_meta._typing import FloatArray
from automl_meta.prior.acquisition import log_expected_improvement
from automl_meta.prior.responses import Responses, WarpPrior

#: Share of new structure, noise, prior weight.
COMPONENTS = ((0.05, 0.1, 1.0), (0.3, 0.1, 1.0), (1.0, 0.1, 1.0))
#: Evidence to this power: the model is not exact, and its likelihoods are too sure of themselves.
TEMPER = 0.25
#: Components and scales with less than this share of the largest weight are left out.
LEAST_WEIGHT = 0.05
#: Spread of the trials' warped scores that a scale may imply, where two trials or more tell of it.
_SPREADS = np.exp(np.linspace(np.log(0.05), np.log(2.5), 10))
_LENGTH = 0.6
#: Candidates that all components judge.
SCREENED = 150


@dataclass(frozen=True, eq=False)
class _Component:
    """One process with its scales: means are linear in the solved right-hand sides.

    Attributes:
        prior: The warp's Gaussian.
        share: s.
        factor: Lower Cholesky factor, shape [n, n].
        solved: Solutions for each scale, shape [n, S].
        targets: Warped trial scores for each scale, shape [n, S].
        log_weights: Tempered, unnormalised, shape [S].
        scales: b, shape [S].
        offsets: Centre of a, shape [S].
    """

    prior: WarpPrior
    share: float
    factor: FloatArray
    solved: FloatArray
    targets: FloatArray
    log_weights: FloatArray
    scales: FloatArray
    offsets: FloatArray

    def leading_scale(self) -> "_Component":
        """Return the component with its weightiest scale alone."""
        return self.with_scales(np.arange(len(self.scales)) == np.argmax(self.log_weights))

    def with_scales(self, keep: np.ndarray, shift: float = 0.0) -> "_Component":
        """Return the component with some of its scales, their log weights less a shift.

        Args:
            keep: One flag a scale.
            shift: What to subtract.
        """
        return replace(
            self,
            solved=self.solved[:, keep],
            targets=self.targets[:, keep],
            log_weights=self.log_weights[keep] - shift,
            scales=self.scales[keep],
            offsets=self.offsets[keep],
        )


class ResponseModel:
    """The past's prior, conditioned on a task's trials.

    Args:
        responses: What was learned.
        x: Encodings of the trials, shape [n, d], n >= 0.
        raw: Their scores, shape [n], greater is better; NaN for failed ones, which count as the worst.
    """

    def __init__(self, responses: Responses, x: FloatArray, raw: FloatArray) -> None:
        self._responses = responses
        self._x = x
        self._phi = responses.features(x)
        known = raw[np.isfinite(raw)]
        self._y = np.where(np.isfinite(raw), raw, known.min() if known.size else 0.0)
        self._blind = not known.size
        self._components = self._weighed()

    def log_gain(self, x: FloatArray) -> FloatArray:
        """Return the log expected improvement over the best trial, shape [m]; minus infinity for the hopeless.

        The weightiest component alone chooses ``SCREENED`` candidates, all of them judge those.

        Args:
            x: Encodings of candidates, shape [m, d].
        """
        order = np.argsort(-self._leading_gain(x))[:SCREENED]
        result = np.full(len(x), -np.inf)
        result[order] = self._gain(x[order], self._components)
        return result

    def _leading_gain(self, x: FloatArray) -> FloatArray:
        """Return the gain under the weightiest component alone: who is worth a closer look."""
        leader = max(self._components, key=lambda c: float(logsumexp(c.log_weights)))
        return self._gain(x, [leader.leading_scale()])

    def _gain(self, x: FloatArray, components: Sequence[_Component]) -> FloatArray:
        phi = self._responses.features(x)
        gains = []
        for component in components:
            mean, variance = self._predict(component, phi, x)
            best = np.max(mean if self._blind else component.targets, axis=0)
            sigma2 = np.broadcast_to(variance[:, None], mean.shape)
            gain = log_expected_improvement(mean - best, sigma2, 0.0)
            gains.append(gain - math.log(component.prior.unit) + component.log_weights)
        return np.asarray(logsumexp(np.concatenate(gains, axis=1), axis=1), dtype=np.float64)

    def mean(self, x: FloatArray) -> FloatArray:
        """Return the expected raw score, shape [m].

        Args:
            x: Encodings, shape [m, d].
        """
        phi = self._responses.features(x)
        total = np.zeros(len(x))
        for component in self._components:
            mean, _ = self._predict(component, phi, x)
            raw = component.offsets + component.scales * mean
            total += raw @ np.exp(component.log_weights)
        return total

    def trust(self) -> float:
        """Return the weight of the components that use the past, in [0, 1]."""
        return float(sum(np.exp(c.log_weights).sum() for c in self._components if c.share < 1.0))

    def believing(self, x: FloatArray) -> "ResponseModel":
        """Return the model as if running trials had scored what it expects.

        Args:
            x: Their encodings, shape [m, d].
        """
        if self._blind:
            return self
        return ResponseModel(
            self._responses,
            np.concatenate([self._x, x]),
            np.concatenate([self._y, self.mean(x)]),
        )

    def _predict(
        self, component: _Component, phi: FloatArray, x: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return means [m, S] and variance [m] on the warp's scale, the unknown offset included."""
        prior, share = component.prior, component.share
        root = phi @ prior.root
        inside = np.sum(root**2, axis=1)
        tau2 = prior.offset_variance
        level = self._level(prior)
        variance = (1.0 - share) * inside + share * level + tau2
        centre = _centre(prior, share, phi)[:, None]
        if not len(self._x) or self._blind:
            return centre, variance
        cross = (1.0 - share) * (self._phi @ prior.root) @ root.T + tau2
        cross += share * level * _matern(cdist(self._x, x), self._length)
        mean = centre + cross.T @ component.solved
        reduced = solve_triangular(component.factor, cross, lower=True)
        return mean, np.maximum(variance - np.sum(reduced**2, axis=0), 1e-6)

    @property
    def _length(self) -> float:
        return _LENGTH * math.sqrt(self._x.shape[1])

    def _level(self, prior: WarpPrior) -> float:
        """Return the mean prior variance over the trials' and the typical features."""
        root = self._phi @ prior.root if len(self._x) else np.ones((1, 1))
        return float(np.clip(np.mean(np.sum(root**2, axis=1)), 0.1, 2.0))

    def _weighed(self) -> list[_Component]:
        """Return the components that matter, weights adding up to 1."""
        made = [
            self._component(prior, share, noise, math.log(weight))
            for prior in self._responses.warps.values()
            for share, noise, weight in COMPONENTS
        ]
        pooled = np.concatenate([c.log_weights for c in made])
        floor = pooled.max() + math.log(LEAST_WEIGHT)
        total = logsumexp(pooled[pooled >= floor])
        chosen = [(c, c.log_weights >= floor) for c in made]
        return [c.with_scales(keep, float(total)) for c, keep in chosen if keep.any()]

    def _component(
        self, prior: WarpPrior, share: float, noise: float, log_prior: float
    ) -> _Component:
        n = len(self._x)
        if not n or self._blind:
            one = np.zeros((n, 1))
            scale, offset = np.array([math.exp(prior.log_scale[0])]), np.array([prior.offset[0]])
            weights = np.array([TEMPER * log_prior])
            return _Component(prior, share, np.zeros((n, n)), one, one, weights, scale, offset)
        root = self._phi @ prior.root
        kernel = (1.0 - share) * root @ root.T + prior.offset_variance
        kernel += share * self._level(prior) * _matern(cdist(self._x, self._x), self._length)
        factor = cholesky(kernel + (noise**2) * np.eye(n), lower=True)
        centre = _centre(prior, share, self._phi)
        scales, log_scales = _scales(prior, self._y)
        offsets = _offsets(prior, self._y, centre, scales)
        targets = (self._y[:, None] - offsets) / scales
        residual = targets - centre[:, None]
        solved = cho_solve((factor, True), residual)
        evidence = -0.5 * np.sum(residual * solved, axis=0) - n * np.log(scales)
        evidence -= float(np.sum(np.log(np.diag(factor))))
        weights = TEMPER * (evidence + log_prior + log_scales)
        return _Component(prior, share, factor, solved, targets, weights, scales, offsets)


def _centre(prior: WarpPrior, share: float, phi: FloatArray) -> FloatArray:
    """Return the prior mean, shape [n]: the past's, or nothing where the past has no say."""
    return phi @ prior.mean if share < 1.0 else np.zeros(len(phi))


def _scales(prior: WarpPrior, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return scales b to sum over and the logarithm of their prior density, each [S]."""
    location, width = prior.log_scale
    spread = float(np.std(y))
    if spread > 0:
        scales = spread / _SPREADS
    else:
        scales = np.exp(location + width * np.linspace(-2.0, 2.0, 7))
    # Heavy tails: a metric of another unit than the past's is no error.
    standard = (np.log(scales) - location) / width
    return scales, -2.5 * np.log1p(standard**2 / 4.0)


def _offsets(prior: WarpPrior, y: FloatArray, centre: FloatArray, scales: FloatArray) -> FloatArray:
    """Return the centre of the offset's prior for each scale, [S], never far from what the trials say."""
    location, width = prior.log_scale
    usual = np.clip(np.log(scales) - location, -2.0 * width, 2.0 * width)
    expected = prior.offset[0] + prior.offset[1] * usual
    seen = float(y.mean()) - scales * float(centre.mean())
    reach = 3.0 * scales * math.sqrt(prior.offset_variance)
    return np.asarray(seen + np.clip(expected - seen, -reach, reach), dtype=np.float64)


def _matern(distance: FloatArray, length: float) -> FloatArray:
    scaled = math.sqrt(5.0) * distance / length
    return np.asarray((1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled), dtype=np.float64)
