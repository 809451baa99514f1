"""Optimisers as pure functions of parameters, gradients and state, so that a checkpoint is just tensors."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.training.settings import TrainingSettings

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class OptimizerState:
    """What an optimiser remembers.

    Attributes:
        updates: Number of updates done.
        first: Decayed mean of the gradients, or the momentum of gradient descent (empty without), shapes of
            the parameters.
        second: Decayed mean of their squares, shapes of the parameters; empty for gradient descent.
    """

    updates: int
    first: dict[str, Tensor]
    second: dict[str, Tensor]


def optimizer_init(params: Mapping[str, Tensor], settings: TrainingSettings) -> OptimizerState:
    """Return the state before the first update.

    Args:
        params: Leaves of any shape.
        settings: Name the optimiser.

    Returns:
        Zeros of the same shapes, types and devices, as far as the optimiser needs them.

    Example:
        >>> optimizer_init({"w": torch.ones(2)}, TrainingSettings(steps=1)).first
        {'w': tensor([0., 0.])}
    """
    if settings.optimizer == "sgd":
        return OptimizerState(0, _zeros(params) if settings.momentum else {}, {})
    return OptimizerState(0, _zeros(params), _zeros(params))


@torch.no_grad()
def optimizer_update(
    params: Mapping[str, Tensor],
    grads: Mapping[str, Tensor],
    state: OptimizerState,
    rate: float,
    settings: TrainingSettings,
) -> tuple[dict[str, Tensor], OptimizerState]:
    """Do one step.

    With ``d`` the weight decay and ``m``, ``v`` the state:

    - ``"sgd"``: ``g += d theta; m = momentum m + g; theta -= rate m``,
    - ``"adam"``: ``g += d theta``, then Adam's step (beta 0.9 and 0.999, epsilon 1e-8),
    - ``"adamw"``: ``theta -= rate d theta``, then Adam's step.

    Args:
        params: Leaves of any shape.
        grads: Gradients of the same names and shapes.
        state: From ``optimizer_init`` or the update before.
        rate: Learning rate > 0.
        settings: Name the optimiser, its momentum and weight decay.

    Returns:
        New parameters and new state; the inputs are unchanged.

    Reference:
        Kingma and Ba (2015), Adam, algorithm 1. arXiv:1412.6980
        Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, algorithm 2. arXiv:1711.05101

    Example:
        >>> params, settings = {"w": torch.tensor(1.0)}, TrainingSettings(steps=1)
        >>> start = optimizer_init(params, settings)
        >>> optimizer_update(params, {"w": torch.tensor(5.0)}, start, 0.25, settings)[0]
        {'w': tensor(0.7500)}
    """
    current, decay = dict(params), settings.weight_decay
    if decay and settings.optimizer == "adamw":
        current = {name: leaf * (1 - rate * decay) for name, leaf in current.items()}
    elif decay:
        grads = {name: grad + decay * current[name] for name, grad in grads.items()}
    if settings.optimizer == "sgd":
        return _descent(current, grads, state, rate, settings.momentum)
    return _adam(current, grads, state, rate)


def _adam(
    params: Mapping[str, Tensor], grads: Mapping[str, Tensor], state: OptimizerState, rate: float
) -> tuple[dict[str, Tensor], OptimizerState]:
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
    return moved, OptimizerState(updates, first, second)


def _descent(
    params: Mapping[str, Tensor],
    grads: Mapping[str, Tensor],
    state: OptimizerState,
    rate: float,
    momentum: float,
) -> tuple[dict[str, Tensor], OptimizerState]:
    first: dict[str, Tensor] = {}
    if momentum:
        first = {name: momentum * state.first[name] + grad for name, grad in grads.items()}
        grads = first
    moved = {name: leaf - rate * grads[name] for name, leaf in params.items()}
    return moved, OptimizerState(state.updates + 1, first, {})


def _zeros(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.zeros_like(leaf) for name, leaf in params.items()}


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
