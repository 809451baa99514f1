r"""The deep-kernel Gaussian process over encoded configurations, for a batch of tasks at once.

Notation: T tasks, n support points, m query points, d columns of the encoding, h hidden units, k columns
of the embedding. Suffixes name shapes: ``x_TND`` is [T, n, d].

A small network turns an encoded configuration into a prior mean and an embedding z; the covariance is

.. math:: k(x, x') = s_1^2 M_{5/2}(|z - z'|) + s_2^2 M_{5/2}(|x - x'| / \ell) + \sigma^2 [x = x'],

the first term transferred, the second one on the configuration itself, so that what the past does not
explain can still be learned from the present task's trials. Everything is a pure function of a
dictionary of parameters whose leaves carry the task axis first.

Reference: Wilson et al. (2016), Deep Kernel Learning, equation 5; Wistuba and Grabocka (2021), Few-Shot
Bayesian Optimization with Deep Kernel Surrogates.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.metalearn import Params

#: Added to the diagonal: scores are standardised, so this is a standard deviation of a hundredth.
JITTER = 1e-4
_SQRT5 = math.sqrt(5.0)


@dataclass(frozen=True)
class SurrogateShape:
    """Sizes of the surrogate's network.

    Attributes:
        n_columns: d, columns of the encoding, >= 1.
        hidden: h, units of each of the two hidden layers, >= 1.
        embedding: k, columns of the embedding, >= 1.
    """

    n_columns: int
    hidden: int = 32
    embedding: int = 8


def initial_params(shape: SurrogateShape, generator: torch.Generator) -> Params:
    """Return random parameters, leaves without a task axis.

    Args:
        shape: Sizes.
        generator: Source of randomness.

    Returns:
        Weights ``w1`` [d, h], ``w2`` [h, h], ``w3`` [h, k + 1] with biases ``b1``, ``b2``, ``b3``, and the
        logarithms of signal, residual signal, residual length and noise.
    """
    d, h, k = shape.n_columns, shape.hidden, shape.embedding

    def weight(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator) / math.sqrt(rows)

    return {
        "w1": weight(d, h) * 1.5,
        "b1": torch.zeros(h),
        "w2": weight(h, h),
        "b2": torch.zeros(h),
        "w3": weight(h, k + 1),
        "b3": torch.zeros(k + 1),
        "log_signal": torch.tensor(-0.5),
        "log_residual": torch.tensor(-1.0),
        "log_length": torch.tensor(0.0),
        "log_noise": torch.tensor(-1.5),
    }


def embed(params: Params, x_TND: Tensor) -> tuple[Tensor, Tensor]:
    """Return prior mean [T, n] and embedding [T, n, k] of encoded configurations.

    Args:
        params: Task-batched parameters.
        x_TND: Encodings in [0, 1].
    """
    hidden = torch.tanh(torch.baddbmm(params["b1"].unsqueeze(1), x_TND - 0.5, params["w1"]))
    hidden = torch.tanh(torch.baddbmm(params["b2"].unsqueeze(1), hidden, params["w2"]))
    output = torch.baddbmm(params["b3"].unsqueeze(1), hidden, params["w3"])
    return output[..., 0], output[..., 1:]


def matern52(a_TNK: Tensor, b_TMK: Tensor) -> Tensor:
    """Return the Matern 5/2 correlation [T, n, m] of points at unit length scale.

    Distances are offset by 1e-6: the square root at zero has no gradient of second order.
    """
    squared = (
        a_TNK.square().sum(-1).unsqueeze(2)
        + b_TMK.square().sum(-1).unsqueeze(1)
        - 2.0 * a_TNK @ b_TMK.transpose(1, 2)
    )
    scaled = _SQRT5 * torch.sqrt(squared.clamp_min(0.0) + 1e-6)
    return (1.0 + scaled + scaled.square() / 3.0) * torch.exp(-scaled)


def covariance(
    params: Params, z_TNK: Tensor, x_TND: Tensor, other_z_TMK: Tensor, other_x_TMD: Tensor
) -> Tensor:
    """Return the noise-free covariance [T, n, m] between two sets of configurations."""
    signal = torch.exp(2.0 * params["log_signal"])[:, None, None]
    residual = torch.exp(2.0 * params["log_residual"])[:, None, None]
    length = torch.exp(params["log_length"])[:, None, None]
    return signal * matern52(z_TNK, other_z_TMK) + residual * matern52(
        x_TND / length, other_x_TMD / length
    )


@dataclass(frozen=True)
class Posterior:
    """A surrogate conditioned on support points: what every prediction needs, factored once.

    Attributes:
        params: Task-batched parameters.
        x_TND: Support encodings.
        z_TNK: Support embeddings.
        factor_TNN: Lower Cholesky factor of the noisy support covariance.
        weights_TN1: Covariance solved against the centred scores.
        centred_TN1: Scores minus prior mean.
    """

    params: Params
    x_TND: Tensor
    z_TNK: Tensor
    factor_TNN: Tensor
    weights_TN1: Tensor
    centred_TN1: Tensor

    def predict(self, x_TMD: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the noise-free score, each [T, m].

        Args:
            x_TMD: Query encodings.
        """
        mean, z_TMK = embed(self.params, x_TMD)
        cross_TNM = covariance(self.params, self.z_TNK, self.x_TND, z_TMK, x_TMD)
        mean = mean + (cross_TNM.transpose(1, 2) @ self.weights_TN1).squeeze(-1)
        solved = torch.linalg.solve_triangular(self.factor_TNN, cross_TNM, upper=False)
        return mean, (prior_variance(self.params) - solved.square().sum(1)).clamp_min(1e-8)

    def negative_log_likelihood(self) -> Tensor:
        """Return the negative log marginal likelihood per support point, [T]."""
        n = self.x_TND.shape[1]
        fit = 0.5 * (self.centred_TN1 * self.weights_TN1).sum((1, 2))
        volume = self.factor_TNN.diagonal(dim1=1, dim2=2).log().sum(1)
        return (fit + volume) / n + 0.5 * math.log(2.0 * math.pi)


def prior_variance(params: Params) -> Tensor:
    """Return the prior variance of the noise-free score, [T, 1]."""
    variance = torch.exp(2.0 * params["log_signal"]) + torch.exp(2.0 * params["log_residual"])
    return variance[:, None]


def noise_variance(params: Params) -> Tensor:
    """Return the noise variance, [T, 1], at least the jitter."""
    return torch.exp(2.0 * params["log_noise"])[:, None] + JITTER


def condition(params: Params, x_TND: Tensor, y_TN: Tensor) -> Posterior:
    """Condition the surrogate on support points.

    Args:
        params: Task-batched parameters.
        x_TND: Support encodings.
        y_TN: Standardised scores.

    Returns:
        The posterior; n = 0 gives the prior.
    """
    mean, z_TNK = embed(params, x_TND)
    diagonal = torch.diag_embed(noise_variance(params).expand(-1, x_TND.shape[1]))
    kernel = covariance(params, z_TNK, x_TND, z_TNK, x_TND) + diagonal
    factor = torch.linalg.cholesky(kernel)
    centred = (y_TN - mean).unsqueeze(-1)
    weights = torch.cholesky_solve(centred, factor)
    return Posterior(params, x_TND, z_TNK, factor, weights, centred)


def support_loss(params: Params, x_TND: Tensor, y_TN: Tensor) -> Tensor:
    """Inner loss [T]: negative log marginal likelihood of the support, per point."""
    return condition(params, x_TND, y_TN).negative_log_likelihood()


def query_loss(
    params: Params, support: tuple[Tensor, Tensor], query: tuple[Tensor, Tensor]
) -> Tensor:
    """Outer loss [T]: negative log predictive density of the query given the support, per point.

    Args:
        params: Task-batched parameters.
        support: Encodings [T, n, d] and scores [T, n].
        query: Encodings [T, m, d] and scores [T, m].
    """
    mean, variance = condition(params, *support).predict(query[0])
    variance = variance + noise_variance(params)
    density = 0.5 * ((query[1] - mean).square() / variance + variance.log())
    return density.mean(1) + 0.5 * math.log(2.0 * math.pi)
