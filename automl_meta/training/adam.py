"""Adam as a pure function of parameters, gradients and state, so that a checkpoint is just tensors."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class AdamState:
    """Adam's moments.

    Attributes:
        updates: Number of updates done.
        first: Decayed mean of the gradients, shapes of the parameters.
        second: Decayed mean of their squares, shapes of the parameters.
    """

    updates: int
    first: dict[str, Tensor]
    second: dict[str, Tensor]


def adam_init(params: Mapping[str, Tensor]) -> AdamState:
    """Return the state before the first update.

    Args:
        params: Leaves of any shape.

    Returns:
        Zero moments of the same shapes, types and devices.

    Example:
        >>> adam_init({"w": torch.ones(2)}).first
        {'w': tensor([0., 0.])}
    """
    zeros = {name: torch.zeros_like(leaf) for name, leaf in params.items()}
    return AdamState(0, zeros, {name: leaf.clone() for name, leaf in zeros.items()})


@torch.no_grad()
def adam_update(
    params: Mapping[str, Tensor], grads: Mapping[str, Tensor], state: AdamState, rate: float
) -> tuple[dict[str, Tensor], AdamState]:
    """Do one step of Adam (beta 0.9 and 0.999, epsilon 1e-8).

    ``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g^2``,
    ``theta = theta - rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)``.

    Args:
        params: Leaves of any shape.
        grads: Gradients of the same names and shapes.
        state: Moments.
        rate: Learning rate > 0.

    Returns:
        New parameters and new state; the inputs are unchanged.

    Reference:
        Kingma and Ba (2015), Adam: A Method for Stochastic Optimization, algorithm 1. arXiv:1412.6980

    Example:
        >>> params = {"w": torch.tensor(1.0)}
        >>> adam_update(params, {"w": torch.tensor(5.0)}, adam_init(params), 0.25)[0]
        {'w': tensor(0.7500)}
    """
    updates = state.updates + 1
    first = {name: _BETA1 * state.first[name] + (1 - _BETA1) * g for name, g in grads.items()}
    second = {
        name: _BETA2 * state.second[name] + (1 - _BETA2) * g.square() for name, g in grads.items()
    }
    scale1, scale2 = 1 - _BETA1**updates, 1 - _BETA2**updates
    moved = {
        name: leaf - rate * (first[name] / scale1) / ((second[name] / scale2).sqrt() + _EPSILON)
        for name, leaf in params.items()
    }
    return moved, AdamState(updates, first, second)


def global_norm(grads: Mapping[str, Tensor]) -> Tensor:
    """Return the Euclidean norm over all gradients together.

    Args:
        grads: Leaves of any shape.

    Returns:
        A scalar.

    Example:
        >>> global_norm({"a": torch.tensor([3.0]), "b": torch.tensor(4.0)})
        tensor(5.)
    """
    return torch.stack([leaf.detach().square().sum() for leaf in grads.values()]).sum().sqrt()


def clip_by_norm(grads: Mapping[str, Tensor], norm: Tensor, limit: float) -> dict[str, Tensor]:
    """Scale all gradients by one factor so that their joint norm is at most ``limit``.

    Args:
        grads: Leaves of any shape.
        norm: Their joint norm, from ``global_norm``.
        limit: > 0.

    Returns:
        New gradients.

    Example:
        >>> clip_by_norm({"a": torch.tensor([8.0])}, torch.tensor(8.0), 2.0)
        {'a': tensor([2.])}
    """
    factor = (limit / norm).clamp(max=1.0)
    return {name: leaf * factor for name, leaf in grads.items()}
