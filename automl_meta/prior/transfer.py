"""The transferred model of one task: the meta-learned surrogate, adapted to the trials so far."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from automl_meta._typing import FloatArray
from automl_meta.metalearn import Algorithm, MetaParams, expand, split_meta
from automl_meta.prior import surrogate
from automl_meta.prior.scores import normal_scores
from automl_meta.prior.surrogate import Posterior

#: Spread of the observed scores on the scale of the past: 1 is a random sample of the space, a small
#: value a set of configurations that are alike in quality, as warm starts are.
SPREADS = (0.15, 0.3, 0.5, 0.75, 1.0, 1.3)
#: Trials that the model reads at most; a Cholesky factor of more would cost more than it tells.
MAX_SUPPORT = 256


@dataclass(frozen=True, eq=False)
class TransferModel:
    """The adapted surrogate.

    Attributes:
        posterior: Surrogate conditioned on the trials.
        x: Encodings of the trials, shape [n, d].
        scores: Their scores on the scale of the past, shape [n].
    """

    posterior: Posterior
    x: FloatArray
    scores: FloatArray

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the noise-free score, each [m].

        Args:
            x: Encodings, shape [m, d].
        """
        with torch.no_grad():
            mean, variance = self.posterior.predict(_tensor(x)[None])
        return mean[0].double().numpy(), variance[0].double().numpy()

    def believing(self, x: FloatArray) -> "TransferModel":
        """Return the model as if running trials had scored what it predicts.

        Args:
            x: Their encodings, shape [m, d].
        """
        joint = np.concatenate([self.x, x])
        scores = np.concatenate([self.scores, self.predict(x)[0]])
        with torch.no_grad():
            posterior = surrogate.condition(
                self.posterior.params, _tensor(joint)[None], _tensor(scores)[None]
            )
        return TransferModel(posterior, joint, scores)


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
    x_1ND = _tensor(x)[None]
    own = torch.tensor(normal_scores(raw), dtype=torch.float32)
    weights, _ = split_meta(meta)
    scores_1N = match_scale(weights, x_1ND, own)
    params = (
        algorithm.adapt(meta, lambda p: surrogate.support_loss(p, x_1ND, scores_1N), 1)
        if len(own)
        else expand(weights, 1)
    )
    with torch.no_grad():
        posterior = surrogate.condition(params, x_1ND, scores_1N)
    return TransferModel(posterior, x, scores_1N[0].double().numpy())


def match_scale(weights: MetaParams, x_1ND: Tensor, own: Tensor) -> Tensor:
    r"""Place the trials' own normal scores on the scale of the past, shape [1, n].

    With :math:`y = a + b u` and the surrogate's covariance K and prior mean m, :math:`a` is the generalised
    least squares solution for each spread b in ``SPREADS``, and b maximises the likelihood of u, which is
    that of y times :math:`b^n`.

    Args:
        weights: Initial weights without a task axis.
        x_1ND: Encodings.
        own: Normal scores u among the trials, shape [n].
    """
    n, spreads = len(own), torch.tensor(SPREADS)
    if n == 0:
        return own[None]
    with torch.no_grad():
        params = expand(weights, 1)
        prior = surrogate.condition(params, x_1ND, torch.zeros(1, n))
        factor = prior.factor_TNN[0]
        mean = -prior.centred_TN1[0, :, 0]
        gap = mean[None] - spreads[:, None] * own[None]  # [b, n]
        ones = torch.ones(n, 1)
        solved_ones = torch.cholesky_solve(ones, factor)
        offset = (gap @ solved_ones) / solved_ones.sum()  # [b, 1]
        residual = offset - gap
        fit = (residual * torch.cholesky_solve(residual.T, factor).T).sum(1)
        likelihood = -0.5 * fit + n * spreads.log()
        best = int(likelihood.argmax())
        return (offset[best] + spreads[best] * own)[None]


def _tensor(values: FloatArray) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)
