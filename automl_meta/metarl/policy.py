"""Policies with an explicit memory, as pure functions of their parameters.

| symbol | meaning |
|---|---|
| B | trials at once |
| T | steps of a trial |
| I | numbers that describe what the learner sees in a step |
| A | actions |
| H | units of the memory |
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from automl_meta._typing import JSON
from automl_meta.exceptions import check_least
from automl_meta.metarl.gates import gated_update

#: What a policy remembers of its trials, in a form of its own.
State: TypeAlias = tuple[Any, ...]
#: Added to the gate that keeps the memory: at first most of it is kept.
_KEEP = 1.0


class Policy(Protocol):
    """A learner whose learning happens in its state, and whose parameters are meta-learned."""

    def init(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Make parameters.

        Args:
            generator: Source of the initial weights, on the CPU.

        Returns:
            Name to tensor, detached.
        """
        ...

    def start(self, params: Mapping[str, Tensor], n_trials: int) -> State:
        """Return the memory before the first step.

        Args:
            params: From ``init`` or training; decide the device.
            n_trials: B.
        """
        ...

    def step(
        self, params: Mapping[str, Tensor], inputs: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See one step of each trial and judge the actions.

        Args:
            params: Parameters.
            inputs: What it sees, shape [B, I].
            state: The memory.

        Returns:
            Logits of the actions [B, A], features for ``value`` [B, F], and the memory after the step.
        """
        ...

    def value(self, params: Mapping[str, Tensor], features: Tensor) -> Tensor:
        """Estimate the mean reward of each of a trial's remaining steps.

        Args:
            params: Parameters.
            features: From ``step``, shape [..., F].

        Returns:
            Shape [...].
        """
        ...

    def describe(self) -> JSON:
        """Return what a result states of its policy."""
        ...


@runtime_checkable
class Replayable(Protocol):
    """A policy that reads whole trials at once, so that no gradient runs step by step."""

    def replay(self, params: Mapping[str, Tensor], inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ``step`` said at every step.

        Args:
            params: Parameters; the result is in their graph.
            inputs: Of each step, shape [T, B, I].

        Returns:
            Logits [T, B, A] and features [T, B, F].
        """
        ...


@dataclass(frozen=True)
class RecurrentPolicy:
    """RL^2's policy: a gated recurrent unit whose state lives through all episodes of a trial.

    ``r, z = sigmoid(U x + V h + b)``, ``n = tanh(U' x + r (V' h + c) + b')``, ``h = z h + (1 - z) n``; the
    logits and the value are linear in ``h``. Both products of a step are one matrix each.

    Args:
        n_inputs: I, >= 1.
        n_actions: A, >= 2.
        hidden: H, >= 1.

    Raises:
        InvalidParameterError: If a number is too small.

    Reference:
        Duan et al. (2016), RL^2. arXiv:1611.02779
        Wang et al. (2016), Learning to Reinforcement Learn. arXiv:1611.05763
        Cho et al. (2014), Learning Phrase Representations using RNN Encoder-Decoder. arXiv:1406.1078

    Example:
        >>> policy = RecurrentPolicy(n_inputs=4, n_actions=2, hidden=8)
        >>> params = policy.init(torch.Generator().manual_seed(0))
        >>> logits, features, _ = policy.step(params, torch.zeros(3, 4), policy.start(params, 3))
        >>> logits.shape, features.shape, policy.value(params, features).shape
        (torch.Size([3, 2]), torch.Size([3, 8]), torch.Size([3]))
    """

    n_inputs: int
    n_actions: int
    hidden: int = 64

    def __post_init__(self) -> None:
        check_least(self, "RecurrentPolicy", {"n_inputs": 1, "n_actions": 2, "hidden": 1})

    def init(self, generator: torch.Generator) -> dict[str, Tensor]:
        """See ``Policy.init``: orthogonal recurrent blocks, small heads, a memory that keeps at first."""
        size = self.hidden
        bias = torch.zeros(3 * size)
        bias[size : 2 * size] = _KEEP
        blocks = [orthogonal(size, size, generator) for _ in range(3)]
        bound = math.sqrt(6 / (self.n_inputs + size))
        return {
            "input": (2 * torch.rand(3 * size, self.n_inputs, generator=generator) - 1) * bound,
            "recurrent": torch.cat(blocks),
            "input_bias": bias,
            "recurrent_bias": torch.zeros(3 * size),
            "action": 0.01 * orthogonal(self.n_actions, size, generator),
            "action_bias": torch.zeros(self.n_actions),
            "value": 0.1 * orthogonal(1, size, generator),
            "value_bias": torch.zeros(1),
        }

    def start(self, params: Mapping[str, Tensor], n_trials: int) -> State:
        """See ``Policy.start``: zeros."""
        return (params["recurrent"].new_zeros(n_trials, self.hidden),)

    def step(
        self, params: Mapping[str, Tensor], inputs: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See ``Policy.step``; the features are the new memory."""
        (before,) = state
        seen = functional.linear(inputs, params["input"], params["input_bias"])
        kept = functional.linear(before, params["recurrent"], params["recurrent_bias"])
        # Under autocast products are coarser than the memory, which is kept as precise as the weights.
        memory = gated_update(seen.to(before.dtype), kept.to(before.dtype), before)
        return functional.linear(memory, params["action"], params["action_bias"]), memory, (memory,)

    def value(self, params: Mapping[str, Tensor], features: Tensor) -> Tensor:
        """See ``Policy.value``."""
        return functional.linear(features, params["value"], params["value_bias"]).squeeze(-1)

    def describe(self) -> JSON:
        """See ``Policy.describe``."""
        leaves = self.init(torch.Generator()).values()
        return {
            "policy": "gated recurrent unit",
            "hidden": self.hidden,
            "inputs": self.n_inputs,
            "actions": self.n_actions,
            "parameters": sum(leaf.numel() for leaf in leaves),
        }


def orthogonal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Return a matrix whose rows (or columns, if they are fewer) are orthonormal."""
    tall = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    q, r = torch.linalg.qr(tall)
    turned: Tensor = q * r.diagonal().sign()
    return (turned if rows >= columns else turned.T).contiguous()
