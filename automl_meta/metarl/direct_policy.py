"""Policies without a memory, whose parameters a task may change: each task has weights of its own.

| symbol | meaning |
|---|---|
| B | tasks at once |
| M | situations of a task |
| O | numbers that a policy observes |
| D, A | numbers of a continuous action, number of discrete actions |
| H | units of a hidden layer |
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, check_least
from automl_meta.metarl.distributions import ActionDistribution, Categorical, Normal
from automl_meta.metarl.policy import orthogonal

if TYPE_CHECKING:
    from gymnasium import Space

#: Smallest standard deviation in units of an action's bound: noise that falls to none cannot be learned from.
_LEAST_NOISE = 0.01


class DirectPolicy(Protocol):
    """A policy that is a function of the observation alone."""

    def init(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Make parameters of one policy, detached.

        Args:
            generator: Source of the initial weights, on the CPU.
        """
        ...

    def actions(self, params: Mapping[str, Tensor], observations: Tensor) -> ActionDistribution:
        """Say what to do, each task with its own parameters.

        Args:
            params: Task-batched, leaves [B, ...].
            observations: Shape [B, M, O].

        Returns:
            Distributions with front axes [B, M].
        """
        ...

    def describe(self) -> JSON:
        """Return what a result states of its policy."""
        ...


@dataclass(frozen=True)
class PerceptronPolicy:
    """Two hidden layers of hyperbolic tangents; one batched product per layer serves all tasks.

    With ``bound`` actions are normal, mean and standard deviation in units of the bound, and the deviation, bounded
    below by a hundredth, is a parameter that does not depend on the observation. Without it they are categorical.

    Args:
        n_inputs: O, >= 1.
        n_outputs: D or A, >= 1.
        hidden: H, >= 1.
        bound: Largest sensible size of a continuous action, > 0; None for discrete ones.

    Raises:
        InvalidParameterError: If a number is out of its range.

    Example:
        >>> policy = PerceptronPolicy(2, 2, hidden=8, bound=0.1)
        >>> params = policy.init(torch.Generator().manual_seed(0))
        >>> own = {name: torch.stack([leaf, leaf, leaf]) for name, leaf in params.items()}
        >>> policy.actions(own, torch.zeros(3, 5, 2)).draw(torch.Generator()).shape
        torch.Size([3, 5, 2])
    """

    n_inputs: int
    n_outputs: int
    hidden: int = 64
    bound: float | None = None

    def __post_init__(self) -> None:
        check_least(self, "PerceptronPolicy", {"n_inputs": 1, "n_outputs": 1, "hidden": 1})
        if self.bound is not None and not 0 < self.bound < math.inf:
            rule, value = "a finite number > 0, or None", self.bound
            raise InvalidParameterError.of("bound", "PerceptronPolicy", rule, value, "Try 1.0.")

    def init(self, generator: torch.Generator) -> dict[str, Tensor]:
        """See ``DirectPolicy.init``: orthogonal layers, the last one small."""
        sizes = (self.n_inputs, self.hidden, self.hidden, self.n_outputs)
        params = {}
        for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            small = 0.01 if i == 2 else 1.0
            params[f"weight{i}"] = small * orthogonal(fan_in, fan_out, generator)
            params[f"bias{i}"] = torch.zeros(fan_out)
        if self.bound is not None:
            params["log_std"] = torch.zeros(self.n_outputs)
        return params

    def actions(self, params: Mapping[str, Tensor], observations: Tensor) -> ActionDistribution:
        """See ``DirectPolicy.actions``."""
        values = observations
        for i in range(3):
            if i:
                values = values.tanh()
            bias = params[f"bias{i}"].unsqueeze(1)
            values = torch.baddbmm(bias, values, params[f"weight{i}"])
        if self.bound is None:
            return Categorical(values)
        # Below the least noise its gradient is 0, as in the papers' code: a policy that got there stays that sure.
        noise = params["log_std"].unsqueeze(1).clamp(min=math.log(_LEAST_NOISE))
        return Normal(self.bound * values, noise + math.log(self.bound))

    def describe(self) -> JSON:
        """See ``DirectPolicy.describe``."""
        leaves = self.init(torch.Generator()).values()
        return {
            "policy": "perceptron, " + ("categorical" if self.bound is None else "normal"),
            "hidden": [self.hidden, self.hidden],
            "inputs": self.n_inputs,
            "actions": self.n_outputs,
            "parameters": sum(leaf.numel() for leaf in leaves),
        }


def perceptron_for(
    observation_space: "Space[Any]", action_space: "Space[Any]", hidden: int
) -> PerceptronPolicy:
    """Return the policy that fits an environment.

    Args:
        observation_space: Of one episode, a flat ``Box``.
        action_space: ``Discrete``, or a flat ``Box`` whose bound is the same on all sides.
        hidden: H, >= 1.

    Example:
        >>> from gymnasium.spaces import Box, Discrete
        >>> perceptron_for(Box(-1, 1, (4,)), Discrete(2), 8)
        PerceptronPolicy(n_inputs=4, n_outputs=2, hidden=8, bound=None)
    """
    assert observation_space.shape is not None
    (n_inputs,) = observation_space.shape
    n_actions = getattr(action_space, "n", None)
    if n_actions is not None:
        return PerceptronPolicy(n_inputs, int(n_actions), hidden)
    assert action_space.shape is not None
    high = action_space.high  # type: ignore[attr-defined] # a Box
    return PerceptronPolicy(n_inputs, action_space.shape[0], hidden, bound=float(high[0]))
