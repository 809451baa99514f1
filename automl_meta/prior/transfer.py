"""The transferred model of one task: the meta-learned surrogate, adapted to the trials so far."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from automl_meta._typing import FloatArray
from automl_meta.metalearn import Algorithm, MetaParams, Params, expand, split_meta
from automl_meta.prior import surrogate
from automl_meta.prior.scores import normal_scores
from automl_meta.prior.surrogate import Posterior

#: Spread of the observed scores on the scale of the past: 1 is a random sample of the space, a small
#: value a set of configurations that are alike in quality, as warm starts are.
SPREADS = (0.15, 0.3, 0.5, 0.75, 1.0, 1.3)
#: Trials that the model reads at most; a Cholesky factor of more would cost more than it tells.
MAX_SUPPORT = 256


@dataclass(frozen=True)
class Scale:
    """Where the trials' own normal scores u lie on the scale of the past: y = offset + spread u.

    Attributes:
        offset: Any number.
        spread: > 0.
    """

    offset: float = 0.0
    spread: float = 1.0


@dataclass(frozen=True, eq=False)
class TransferModel:
    """The adapted surrogate; it speaks on the scale of the trials' own normal scores.

    Attributes:
        posterior: Surrogate conditioned on the trials, on the scale of the past.
        x: Encodings of the trials, shape [n, d].
        scores: Their normal scores, shape [n].
        scale: From normal scores to the scale of the past.
    """

    posterior: Posterior
    x: FloatArray
    scores: FloatArray
    scale: Scale

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the noise-free score, each [m].

        Args:
            x: Encodings, shape [m, d].
        """
        with torch.no_grad():
            mean, variance = self.posterior.predict(_tensor(x)[None])
        own = (mean[0].double().numpy() - self.scale.offset) / self.scale.spread
        return own, variance[0].double().numpy() / self.scale.spread**2

    @cached_property
    def best_expected(self) -> float | None:
        """The best expected score among the trials; None without any."""
        if not len(self.scores):
            return None
        # Of the trials themselves the expected score is the observed one, less the noise's part of it.
        noise = surrogate.noise_variance(self.posterior.params)
        smoothed = (noise * self.posterior.weights_TN1[..., 0])[0].double().numpy()
        return float((self.scores - smoothed / self.scale.spread).max())

    def believing(self, x: FloatArray) -> "TransferModel":
        """Return the model as if running trials had scored what it predicts.

        Args:
            x: Their encodings, shape [m, d].
        """
        joint = np.concatenate([self.x, x])
        scores = np.concatenate([self.scores, self.predict(x)[0]])
        return _conditioned(self.posterior.params, joint, scores, self.scale)


def fit_transfer(
    meta: MetaParams, algorithm: Algorithm, x: FloatArray, raw: FloatArray
) -> TransferModel:
    """Adapt the surrogate to the trials of a task.

    The scores become normal quantiles among themselves; how these lie on the scale of the past (the
    trials may all be good ones) is found by the surrogate's own likelihood, then the surrogate is adapted
    to them by the inner loop it was meta-trained for.

    Args:
        meta: Meta-parameters.
        algorithm: The algorithm that learned them.
        x: Encodings of the trials, shape [n, d], n >= 0.
        raw: Their scores, shape [n]; NaN for failed ones.
    """
    own = normal_scores(raw)
    weights, _ = split_meta(meta)
    if not len(own):
        return _conditioned(expand(weights, 1), x, own, Scale())
    scale = match_scale(weights, x, own)
    x_1ND, y_1N = _tensor(x)[None], _tensor(scale.offset + scale.spread * own)[None]
    params = algorithm.adapt(meta, lambda p: surrogate.support_loss(p, x_1ND, y_1N), 1)
    return _conditioned(params, x, own, scale)


def match_scale(weights: MetaParams, x: FloatArray, own: FloatArray) -> Scale:
    r"""Place the trials' own normal scores on the scale of the past.

    With :math:`y = a + b u` and the surrogate's covariance K and prior mean m, :math:`a` is the generalised
    least squares solution for each spread b in ``SPREADS``, and b maximises the likelihood of u, which is
    that of y times :math:`b^n`.

    Args:
        weights: Initial weights without a task axis.
        x: Encodings, shape [n, d], n >= 1.
        own: Normal scores u among the trials, shape [n].
    """
    n, spreads = len(own), torch.tensor(SPREADS)
    u_N = _tensor(own)
    with torch.no_grad():
        prior = surrogate.condition(expand(weights, 1), _tensor(x)[None], torch.zeros(1, n))
        factor = prior.factor_TNN[0]
        mean = -prior.centred_TN1[0, :, 0]
        gap_BN = mean[None] - spreads[:, None] * u_N[None]
        ones = torch.cholesky_solve(torch.ones(n, 1), factor)
        offset_B1 = (gap_BN @ ones) / ones.sum()
        residual_BN = offset_B1 - gap_BN
        fit = (residual_BN * torch.cholesky_solve(residual_BN.T, factor).T).sum(1)
        best = int((n * spreads.log() - 0.5 * fit).argmax())
    return Scale(float(offset_B1[best]), float(spreads[best]))


def _conditioned(params: Params, x: FloatArray, own: FloatArray, scale: Scale) -> TransferModel:
    y = scale.offset + scale.spread * own
    with torch.no_grad():
        posterior = surrogate.condition(params, _tensor(x)[None], _tensor(y)[None])
    return TransferModel(posterior, x, own, scale)


def _tensor(values: FloatArray) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)
