"""Advantage actor-critic: generalised advantages and the loss of a recorded rollout.

| symbol | meaning |
|---|---|
| B | trials at once |
| T | steps of a trial |
| A | actions |
| gamma | discount of a step |
| lambda | how far an advantage trusts rewards rather than values |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.metarl.play import PolicyPlayer, Trials


def generalised_advantages(
    rewards: Tensor, values: Tensor, *, discount: float, trace: float
) -> Tensor:
    """Estimate how much better each action was than the policy on average.

    ``delta_t = r_t + gamma V_{t+1} - V_t``, ``A_t = delta_t + gamma lambda A_{t+1}``, with ``V_T = A_T = 0``:
    a trial ends, and within it values reach across the ends of episodes.

    Args:
        rewards: Shape [T, B].
        values: Estimated returns before each step, shape [T, B].
        discount: gamma, in [0, 1].
        trace: lambda, in [0, 1].

    Returns:
        Shape [T, B].

    Reference:
        Schulman et al. (2016), High-Dimensional Continuous Control Using Generalized Advantage Estimation.
        arXiv:1506.02438

    Example:
        >>> rewards, values = torch.ones(2, 1), torch.full((2, 1), 0.5)
        >>> generalised_advantages(rewards, values, discount=1.0, trace=0.5).squeeze(1)
        tensor([1.2500, 0.5000])
    """
    advantages = torch.empty_like(values)
    following = after = torch.zeros_like(values[0])
    for t in range(len(rewards) - 1, -1, -1):
        delta = rewards[t] + discount * after - values[t]
        following = delta + discount * trace * following
        advantages[t], after = following, values[t]
    return advantages


def remaining_steps(n_steps: int, discount: float, *, device: torch.device | None = None) -> Tensor:
    """Return the discounted number of steps from each step to the end: ``sum_{k < T - t} gamma^k``.

    Args:
        n_steps: T.
        discount: gamma, in [0, 1].
        device: Where the result shall lie; None is the processor.

    Returns:
        float32, shape [T].

    Example:
        >>> remaining_steps(3, 0.5)
        tensor([1.7500, 1.5000, 1.0000])
    """
    powers = discount ** torch.arange(n_steps, dtype=torch.float64, device=device)
    return powers.cumsum(0).flip(0).float()


@dataclass(frozen=True)
class LossWeights:
    """What the loss weighs.

    Attributes:
        discount: gamma, in [0, 1].
        trace: lambda, in [0, 1].
        value: Of the critic's error.
        entropy: Of the policy's entropy; a scalar tensor where a CUDA graph shall read it anew at each replay.
    """

    discount: float = 1.0
    trace: float = 0.95
    value: float = 0.5
    entropy: float | Tensor = 0.01


def a2c_loss(
    params: Mapping[str, Tensor], player: PolicyPlayer, trials: Trials, weights: LossWeights
) -> Tensor:
    """Return the loss whose gradient is the policy gradient plus the critic's and the entropy's.

    The critic says the mean reward of a remaining step; times the discounted number of those, which training
    knows, that is the value. So its task is the same at all times, whatever the length of a trial. Advantages
    are standardised over the batch and constant in the gradient.

    Args:
        params: The player's parameters.
        player: Has recorded the trials.
        trials: What it played.
        weights: Of the parts.

    Returns:
        A scalar.

    Reference:
        Mnih et al. (2016), Asynchronous Methods for Deep Reinforcement Learning. arXiv:1602.01783
    """
    means = player.policy.value(params, torch.stack(player.features))
    steps = remaining_steps(len(means), weights.discount, device=means.device)
    steps = steps.to(means.dtype).unsqueeze(1)
    values = (steps * means).detach()
    advantages = generalised_advantages(
        trials.rewards.to(values), values, discount=weights.discount, trace=weights.trace
    )
    targets = (advantages + values) / steps
    return (
        policy_loss(
            torch.stack(player.logits), trials.actions, standardised(advantages), weights.entropy
        )
        + weights.value * (means - targets).square().mean()
    )


def policy_loss(
    logits: Tensor, actions: Tensor, advantages: Tensor, entropy: float | Tensor
) -> Tensor:
    """Return minus the mean of ``A log pi(a) + entropy H(pi)``.

    Args:
        logits: Shape [T, B, A].
        actions: int64, shape [T, B].
        advantages: Constants, shape [T, B].
        entropy: Weight of the entropy, >= 0.

    Returns:
        A scalar.
    """
    logs = torch.log_softmax(logits, dim=-1)
    chosen = logs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    disorder = -(logs.exp() * logs).sum(-1)
    return -(advantages * chosen + entropy * disorder).mean()


def standardised(advantages: Tensor) -> Tensor:
    """Shift and scale to mean 0 and standard deviation 1.

    Args:
        advantages: Any shape.

    Example:
        >>> standardised(torch.tensor([1.0, 3.0]))
        tensor([-1.,  1.])
    """
    centred = advantages - advantages.mean()
    return centred / (centred.square().mean().sqrt() + 1e-8)
