"""Batch normalisation and ReLU as one operation over all tasks, differentiable twice.

Elementary operations would read and write every activation some twenty times for a second-order gradient;
here each order is a handful of passes, written out by hand and checked by finite differences.

| symbol | shape | meaning |
|---|---|---|
| x, y | [T, M, C] | inputs and outputs; M is images times positions |
| w, b | [T, C] | affine weight and bias |
| r | [T, C] | 1 / sqrt(var + eps) |
| z | [T, M, C] | (x - mean) * r, the normalised input; never stored |
| g | [T, M, C] | gradient of y, masked by the ReLU |
| u | [T, M, C] | gradient of the gradient of x |
| P(v) | [T, M, C] | v - mean(v) - z * mean(v * z), the projection in the derivative of z |

First order: ``dx = w r P(g)``, ``dw = sum(g z)``, ``db = sum(g)``. Second order: with ``A = sum(u P(g))`` the
derivative of ``sum(u dx)`` is ``w r P(u)`` for g, ``r A`` for w, and for x
``-w r^2 (A z + sum(u z) P(g) + sum(g z) P(u)) / M``, from ``dr/dx = -r^2 z / M`` and ``dz/dx = r P``.
Every result is a sum of g, u and x with one coefficient a channel, so each costs one pass a term.
"""

from typing import Any

import torch
from torch import Tensor

_relu_backward = torch.ops.aten.threshold_backward


def norm_relu(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Normalise by the statistics of each task's batch, scale, shift and rectify.

    Args:
        x: [T, M, C].
        weight: [T, C].
        bias: [T, C].
        eps: Added to the (biased) variance, > 0.

    Returns:
        ``relu(weight * (x - mean) / sqrt(var + eps) + bias)``, shape [T, M, C]; differentiable twice, a third
        time raises.

    Reference:
        Ioffe and Szegedy (2015), Batch Normalization, algorithm 1. arXiv:1502.03167

    Example:
        >>> norm_relu(torch.tensor([[[0.0], [2.0]]]), torch.ones(1, 1), torch.zeros(1, 1), 1e-5).round()
        tensor([[[0.],
                 [1.]]])
    """
    y: Tensor = _NormReLU.apply(x, weight, bias, eps)  # type: ignore[no-untyped-call]
    return y


class _NormReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        mean = x.mean(1)
        # Not torch.var_mean: over a middle axis it is twenty times slower on a CPU.
        inverse = (x - mean.unsqueeze(1)).square_().mean(1).add_(eps).rsqrt_()
        scale = weight * inverse
        y = _combine(bias - mean * scale, (x, scale)).relu_()
        ctx.save_for_backward(x, weight, y, mean, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, y, mean, inverse = ctx.saved_tensors
        # PyTorch's own, with its own derivative: g then stays in the graph, as a third derivative must see it.
        g = _relu_backward(grads[0], y, 0)
        dx, dw, db = _NormReLUBackward.apply(g, x, weight, mean, inverse)  # type: ignore[no-untyped-call]
        return dx, dw, db, None


class _NormReLUBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        size = x.shape[1]
        sum_g = g.sum(1)
        sum_gz = inverse * ((g * x).sum(1) - mean * sum_g)
        scale = weight * inverse
        of_x = -scale * inverse * sum_gz / size
        dx = _combine(-scale * sum_g / size - of_x * mean, (x, of_x), (g, scale))
        ctx.save_for_backward(g, x, weight, mean, inverse, sum_g, sum_gz)
        return dx, sum_gz, sum_g

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        of_g, of_x, of_weight = _NormReLUSecond.apply(*grads, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return of_g, of_x, of_weight, None, None


class _NormReLUSecond(torch.autograd.Function):
    """The second derivative; a function of its own, so that whatever follows a third one to the inputs raises.

    ``once_differentiable`` would not do: its error hangs on detached copies, and ``torch.autograd.grad`` passes
    by what does not lead to the leaves it was asked for.
    """

    @staticmethod
    def forward(_: Any, *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u, of_dw, of_db, g, x, weight, mean, inverse, sum_g, sum_gz = tensors
        size = x.shape[1]
        sum_u = u.sum(1)
        sum_uz = inverse * ((u * x).sum(1) - mean * sum_u)
        projected = (u * g).sum(1) - (sum_g * sum_u + sum_gz * sum_uz) / size  # A
        scale = weight * inverse
        along_z = of_dw - scale * sum_uz / size
        of_x = along_z * inverse
        constant = of_db - scale * sum_u / size - of_x * mean
        for_g = _combine(constant, (x, of_x), (u, scale))
        of_g = along_z * inverse
        of_u = -scale * inverse * sum_gz / size
        along_z = -(scale * inverse * projected + of_g * sum_gz + of_u * sum_uz) / size
        of_x = along_z * inverse
        constant = -(of_g * sum_g + of_u * sum_u) / size - of_x * mean
        for_x = _combine(constant, (x, of_x), (g, of_g), (u, of_u))
        return for_g, for_x, inverse * projected

    @staticmethod
    def backward(_: Any, *__: Tensor) -> tuple[Tensor, ...]:
        raise RuntimeError(
            "norm_relu is differentiable twice, not three times: use BatchNorm and nn.ReLU looped"
        )


def _combine(constant: Tensor, *terms: tuple[Tensor, Tensor]) -> Tensor:
    """Return ``constant + sum_i factor_i * values_i`` with constants and factors [T, C], values [T, M, C]."""
    (values, factor), *others = terms
    total = torch.addcmul(constant.unsqueeze(1), values, factor.unsqueeze(1))
    for values, factor in others:
        total.addcmul_(values, factor.unsqueeze(1))
    return total
