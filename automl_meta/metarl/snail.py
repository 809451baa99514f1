"""SNAIL as a policy: the whole trial is a sequence, read by temporal convolutions and attention.

| symbol | meaning |
|---|---|
| B | trials at once |
| T | steps of a trial |
| t | steps so far |
| I | numbers that describe what the learner sees in a step |
| A | actions |
| F | width of the last block |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from automl_meta._typing import JSON
from automl_meta.exceptions import check_least
from automl_meta.metalearn import module_params
from automl_meta.metalearn.causal_attention import CausalAttention
from automl_meta.metalearn.initial import drawn_linear
from automl_meta.metalearn.params import below
from automl_meta.metalearn.temporal import (
    Causal,
    CausalChain,
    Memory,
    temporal_convolutions,
)
from automl_meta.metarl.policy import State

_BODY = "body."


@dataclass(frozen=True)
class SnailPolicy:
    """An embedding of each step, two TC blocks and one attention block over the trial so far.

    Acting, every block remembers what later steps need of it, so that a step costs the same throughout a trial,
    but for the attention, whose keys and values grow; training, ``replay`` reads whole trials at once.

    Args:
        n_inputs: I, >= 1.
        n_actions: A, >= 2.
        steps: T, >= 2; the convolutions reach that far back.
        hidden: Filters of each convolution, length of keys and of values, >= 1; 32 in the paper.

    Raises:
        InvalidParameterError: If a number is too small.

    Reference:
        Mishra et al. (2018), A Simple Neural Attentive Meta-Learner, section 5.2 and the appendix on multi-armed
        bandits. arXiv:1707.03141

    Example:
        >>> policy = SnailPolicy(n_inputs=4, n_actions=2, steps=10, hidden=8)
        >>> params = policy.init(torch.Generator().manual_seed(0))
        >>> logits, features, _ = policy.step(params, torch.zeros(3, 4), policy.start(params, 3))
        >>> logits.shape, policy.value(params, features).shape
        (torch.Size([3, 2]), torch.Size([3]))
    """

    n_inputs: int
    n_actions: int
    steps: int
    hidden: int = 32

    def __post_init__(self) -> None:
        least = {"n_inputs": 1, "n_actions": 2, "steps": 2, "hidden": 1}
        check_least(self, "SnailPolicy", least)

    def init(self, generator: torch.Generator) -> dict[str, Tensor]:
        """See ``Policy.init``: Glorot's rule, small heads."""
        body = self._made(generator)
        action = drawn_linear(body.width, self.n_actions, generator=generator)
        value = drawn_linear(body.width, 1, generator=generator)
        embedding = drawn_linear(self.n_inputs, self.hidden, generator=generator)
        return {
            **{f"embedding.{name}": leaf for name, leaf in module_params(embedding).items()},
            **{_BODY + name: leaf for name, leaf in module_params(body).items()},
            "action": 0.01 * action.weight.detach().clone(),
            "action_bias": torch.zeros(self.n_actions),
            "value": 0.1 * value.weight.detach().clone(),
            "value_bias": torch.zeros(1),
        }

    def start(
        self,
        params: Mapping[str, Tensor],  # noqa: ARG002 - of the protocol
        n_trials: int,  # noqa: ARG002
    ) -> State:
        """See ``Policy.start``: nothing is remembered yet."""
        return ()

    def step(
        self, params: Mapping[str, Tensor], inputs: Tensor, state: State
    ) -> tuple[Tensor, Tensor, State]:
        """See ``Policy.step``; the features are the last block's output."""
        own = below(params, _BODY, to="body.")
        features, state = functional_call(
            self._stepping, own, (state, self._embedded(params, inputs))
        )
        return self._judged(params, features), features, state

    def replay(self, params: Mapping[str, Tensor], inputs: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Replayable.replay``."""
        x = self._embedded(params, inputs.transpose(0, 1))
        read: Tensor = functional_call(self._body, below(params, _BODY), (x,))
        features = read.transpose(0, 1)
        return self._judged(params, features), features

    def value(self, params: Mapping[str, Tensor], features: Tensor) -> Tensor:
        """See ``Policy.value``."""
        return functional.linear(features, params["value"], params["value_bias"]).squeeze(-1)

    def describe(self) -> JSON:
        """See ``Policy.describe``."""
        leaves = self.init(torch.Generator()).values()
        return {
            "policy": "SNAIL",
            "hidden": self.hidden,
            "inputs": self.n_inputs,
            "actions": self.n_actions,
            "parameters": sum(leaf.numel() for leaf in leaves),
        }

    def _embedded(self, params: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        return functional.linear(inputs, params["embedding.weight"], params["embedding.bias"])

    def _judged(self, params: Mapping[str, Tensor], features: Tensor) -> Tensor:
        return functional.linear(features, params["action"], params["action_bias"])

    def _made(self, generator: torch.Generator) -> CausalChain:
        blocks: list[Causal] = []
        width = self.hidden
        for _ in range(2):
            blocks.append(
                temporal_convolutions(width, self.steps, self.hidden, generator=generator)
            )
            width = blocks[-1].width
        blocks.append(CausalAttention(width, self.hidden, self.hidden, generator=generator))
        return CausalChain(blocks)

    @cached_property
    def _body(self) -> CausalChain:
        """Only its code is used; parameters are handed in."""
        return self._made(torch.Generator())

    @cached_property
    def _stepping(self) -> "_Stepping":
        return _Stepping(self._body)


class _Stepping(nn.Module):
    """A body whose call is ``Causal.step``, for ``functional_call``."""

    def __init__(self, body: Causal) -> None:
        super().__init__()
        self.body = body

    def forward(self, memory: Memory, x: Tensor) -> tuple[Tensor, Memory]:
        """See ``Causal.step``."""
        return self.body.step(memory, x)
