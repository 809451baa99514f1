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
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cholesky
from scipy.linalg.lapack import dtrtri
from scipy.spatial.distance import cdist

from automl_meta._typing import FloatArray
from automl_meta.prior.acquisition import log_expected_improvement
from automl_meta.prior.responses import Responses, WarpPrior
from automl_meta.prior.task_only import matern52

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
class _View:
    """Configurations under one warp.

    Attributes:
        root: Features times the Gaussian's root, shape [n, h].
        centre: The past's prior mean, shape [n].
    """

    root: FloatArray
    centre: FloatArray

    @property
    def variance(self) -> FloatArray:
        """The past's prior variance, shape [n]."""
        return np.asarray(np.sum(self.root**2, axis=1), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Component:
    """One process with its scales: means are linear in the solved right-hand sides.

    Attributes:
        warp: Name of the warp.
        share: s.
        whitener: Inverse of the lower Cholesky factor, shape [n, n]: products with it are faster than solutions.
        solved: Solutions for each scale, shape [n, S].
        targets: Warped trial scores for each scale, shape [n, S].
        log_weights: Tempered, unnormalised, shape [S].
        scales: b, shape [S].
        offsets: Centre of a, shape [S].
    """

    warp: str
    share: float
    whitener: FloatArray
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
        self._seen = self._views(x, responses.warps)
        self._levels = {name: _level(view) for name, view in self._seen.items()}
        self._length = _LENGTH * math.sqrt(x.shape[1])
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
        if len(x) <= SCREENED:
            return self._gain(x, self._components)
        order = np.argsort(-self._leading_gain(x))[:SCREENED]
        result = np.full(len(x), -np.inf)
        result[order] = self._gain(x[order], self._components)
        return result

    def _leading_gain(self, x: FloatArray) -> FloatArray:
        """Return the gain under the weightiest component alone: who is worth a closer look."""
        leader = max(self._components, key=lambda c: float(np.logaddexp.reduce(c.log_weights)))
        return self._gain(x, [leader.leading_scale()])

    def _gain(self, x: FloatArray, components: Sequence[_Component]) -> FloatArray:
        gains = []
        for component, mean, variance in self._predictions(x, components):
            best = np.max(mean if self._blind else component.targets, axis=0)
            sigma2 = np.broadcast_to(variance[:, None], mean.shape)
            gain = log_expected_improvement(mean - best, sigma2, 0.0)
            gains.append(
                gain - math.log(self._responses.warps[component.warp].unit) + component.log_weights
            )
        # SciPy's logsumexp gives the same, slower: its checks cost more than the sum.
        joint: FloatArray = np.logaddexp.reduce(np.concatenate(gains, axis=1), axis=1)
        return joint

    def mean(self, x: FloatArray) -> FloatArray:
        """Return the expected raw score, shape [m].

        Args:
            x: Encodings, shape [m, d].
        """
        total = np.zeros(len(x))
        for component, mean, _ in self._predictions(x, self._components):
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

    def _predictions(
        self, x: FloatArray, components: Sequence[_Component]
    ) -> Iterator[tuple[_Component, FloatArray, FloatArray]]:
        """Yield each component with means [m, S] and variance [m] on its warp's scale, offset included."""
        views = self._views(x, {component.warp for component in components})
        fresh = matern52(cdist(x, self._x), self._length)
        # What the past knows of candidates and trials together is the same for every share of it.
        past = {name: view.root @ self._seen[name].root.T for name, view in views.items()}
        variances = {name: view.variance for name, view in views.items()}
        for component in components:
            name = component.warp
            yield (
                component,
                *self._predict(component, views[name], variances[name], past[name], fresh),
            )

    def _predict(
        self,
        component: _Component,
        view: _View,
        known: FloatArray,
        past: FloatArray,
        fresh: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Return means [m, S] and variance [m] of candidates.

        Args:
            component: The component.
            view: The candidates under its warp.
            known: The past's prior variance of them, shape [m].
            past: Its covariance of candidates and trials, shape [m, n].
            fresh: Correlation of new structure, shape [m, n].
        """
        share, level = component.share, self._levels[component.warp]
        tau2 = self._responses.warps[component.warp].offset_variance
        variance = (1.0 - share) * known + share * level + tau2
        centre = _centre(view, share)[:, None]
        if self._blind:
            return centre, variance
        cross = (1.0 - share) * past + tau2
        cross += share * level * fresh
        mean = centre + cross @ component.solved
        reduced = cross @ component.whitener.T
        return mean, np.maximum(variance - np.einsum("mn,mn->m", reduced, reduced), 1e-6)

    def _views(self, x: FloatArray, names: Collection[str]) -> dict[str, _View]:
        phi = self._responses.features(x)
        warps = self._responses.warps
        return {name: _View(phi @ warps[name].root, phi @ warps[name].mean) for name in names}

    def _weighed(self) -> list[_Component]:
        """Return the components that matter, weights adding up to 1."""
        fresh = matern52(cdist(self._x, self._x), self._length)
        past = {name: view.root @ view.root.T for name, view in self._seen.items()}
        made = [
            self._component(name, share, noise, math.log(weight), past[name], fresh)
            for name in self._responses.warps
            for share, noise, weight in COMPONENTS
        ]
        pooled = np.concatenate([c.log_weights for c in made])
        floor = pooled.max() + math.log(LEAST_WEIGHT)
        total = np.logaddexp.reduce(pooled[pooled >= floor])
        chosen = [(c, c.log_weights >= floor) for c in made]
        return [c.with_scales(keep, float(total)) for c, keep in chosen if keep.any()]

    def _component(
        self,
        warp: str,
        share: float,
        noise: float,
        log_prior: float,
        past: FloatArray,
        fresh: FloatArray,
    ) -> _Component:
        n, prior, view = len(self._x), self._responses.warps[warp], self._seen[warp]
        if self._blind:
            one = np.zeros((n, 1))
            scale, offset = np.array([math.exp(prior.log_scale[0])]), np.array([prior.offset[0]])
            weights = np.array([TEMPER * log_prior])
            return _Component(warp, share, np.zeros((n, n)), one, one, weights, scale, offset)
        kernel = (1.0 - share) * past + prior.offset_variance
        kernel += share * self._levels[warp] * fresh
        factor = cholesky(kernel + (noise**2) * np.eye(n), lower=True)
        whitener, _ = dtrtri(factor, lower=True)
        centre = _centre(view, share)
        scales, log_scales = _scales(prior, self._y)
        offsets = _offsets(prior, self._y, centre, scales)
        targets = (self._y[:, None] - offsets) / scales
        residual = targets - centre[:, None]
        solved = whitener.T @ (whitener @ residual)
        evidence = -0.5 * np.sum(residual * solved, axis=0) - n * np.log(scales)
        evidence -= float(np.sum(np.log(np.diag(factor))))
        weights = TEMPER * (evidence + log_prior + log_scales)
        return _Component(warp, share, whitener, solved, targets, weights, scales, offsets)


def _centre(view: _View, share: float) -> FloatArray:
    """Return the prior mean, shape [n]: the past's, or nothing where the past has no say."""
    return view.centre if share < 1.0 else np.zeros(len(view.centre))


def _level(seen: _View) -> float:
    """Return the variance of new structure: the past's at the trials, within reason."""
    return float(np.clip(np.mean(seen.variance), 0.1, 2.0)) if len(seen.root) else 1.0


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
