"""The elementwise part of a gated recurrent unit, with a derivative that is written out.

On a processor autograd's own spends more time on pieces of the gates (each a full array of zeros with a copy
in it) than on the products of the unit.

| symbol | meaning |
|---|---|
| B | trials at once |
| H | units of the memory |
| r, z, n | gate that resets, gate that keeps, new content |
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def gated_update(seen: Tensor, kept: Tensor, before: Tensor) -> Tensor:
    """Compute ``r, z = sigmoid(seen + kept)``, ``n = tanh(seen + r kept)``, ``z before + (1 - z) n``.

    Args:
        seen: What the input adds to r, z and n, side by side, shape [B, 3 H].
        kept: What the memory adds to them, shape [B, 3 H].
        before: The memory, shape [B, H].

    Returns:
        The memory after the step, shape [B, H]; differentiable once.

    Reference:
        Cho et al. (2014), Learning Phrase Representations using RNN Encoder-Decoder. arXiv:1406.1078

    Example:
        >>> gated_update(torch.zeros(1, 3), torch.zeros(1, 3), torch.ones(1, 1))
        tensor([[0.5000]])
    """
    after: Tensor = _GatedUpdate.apply(seen, kept, before)  # type: ignore[no-untyped-call]
    return after


class _GatedUpdate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, seen: Tensor, kept: Tensor, before: Tensor) -> Tensor:
        size = before.shape[1]
        gates = torch.sigmoid(seen[:, : 2 * size] + kept[:, : 2 * size])
        reset, keep = gates[:, :size], gates[:, size:]
        kept_content = kept[:, 2 * size :]
        new = torch.addcmul(seen[:, 2 * size :], reset, kept_content).tanh()
        ctx.save_for_backward(gates, new, kept_content, before)
        return torch.lerp(new, before, keep)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (grad,) = grads
        gates, new, kept_content, before = ctx.saved_tensors
        size = before.shape[1]
        reset, keep = gates[:, :size], gates[:, size:]
        to_before = grad * keep
        # Each part is written where it belongs, instead of being put together from pieces.
        to_seen = grad.new_empty(len(grad), 3 * size)
        to_gates, content = to_seen[:, : 2 * size], to_seen[:, 2 * size :]
        torch.mul(grad - to_before, 1 - new * new, out=content)
        torch.mul(content, kept_content, out=to_seen[:, :size])
        torch.mul(grad, before - new, out=to_seen[:, size : 2 * size])
        to_gates *= gates * (1 - gates)
        to_kept = to_seen.clone()
        to_kept[:, 2 * size :] *= reset
        return to_seen, to_kept, to_before
