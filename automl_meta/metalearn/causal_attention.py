"""Attention over the past of a sequence, as a causal block.

| symbol | meaning |
|---|---|
| B | sequences |
| T | positions of a sequence |
| S | positions of a past |
| Q | items, each of which would come next after the same past |
| d | length of an item |
"""

import math

import torch
from torch import Tensor

from automl_meta.metalearn.initial import drawn_linear
from automl_meta.metalearn.temporal import Causal, Memory, check_sizes


class CausalAttention(Causal):
    """Soft attention of each position to itself and the past, whose reading is put beside its input.

    ``[x_t, sum_s p_ts v(x_s)]`` with ``p_t = softmax_{s <= t}(q(x_t) . k(x_s) / sqrt(keys))`` and affine q, k, v.

    Args:
        inputs: d >= 1.
        keys: Length of keys and queries >= 1.
        values: Length of what is read >= 1; the width is its sum with d.
        generator: Source of the initial weights.

    Raises:
        InvalidParameterError: If a number is below 1.

    Reference:
        Mishra et al. (2018), section 3.1. arXiv:1707.03141
        Vaswani et al. (2017), Attention Is All You Need, equation 1. arXiv:1706.03762

    Example:
        >>> CausalAttention(3, 8, 2, generator=torch.Generator())(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 5, 5])
    """

    def __init__(self, inputs: int, keys: int, values: int, *, generator: torch.Generator) -> None:
        super().__init__()
        check_sizes("CausalAttention", inputs=inputs, keys=keys, values=values)
        self.query = drawn_linear(inputs, keys, generator=generator)
        self.key = drawn_linear(inputs, keys, generator=generator)
        self.value = drawn_linear(inputs, values, generator=generator)

    @property
    def width(self) -> int:
        """See ``Causal.width``."""
        return self.value.in_features + self.value.out_features

    def forward(self, x: Tensor) -> Tensor:
        """See ``Causal.forward``."""
        scores = self._scaled_query(x) @ self.key(x).transpose(1, 2)
        ahead = torch.ones(scores.shape[1:], dtype=torch.bool, device=x.device).triu(1)
        shares = scores.masked_fill(ahead, -math.inf).softmax(dim=2)
        return torch.cat([x, shares @ self.value(x)], dim=2)

    def following(self, past: Tensor, x: Tensor) -> Tensor:
        """See ``Causal.following``."""
        query = self._scaled_query(x)
        of_past = query @ self.key(past).transpose(1, 2)  # [B, Q, S]
        of_itself = (query * self.key(x)).sum(dim=2, keepdim=True)
        shares = torch.cat([of_past, of_itself], dim=2).softmax(dim=2)
        read = shares[..., :-1] @ self.value(past) + shares[..., -1:] * self.value(x)
        return torch.cat([x, read], dim=2)

    def step(self, memory: Memory, x: Tensor) -> tuple[Tensor, Memory]:
        """See ``Causal.step``; remembers keys and values, [B, t, keys] and [B, t, values]."""
        new = self.key(x).unsqueeze(1), self.value(x).unsqueeze(1)
        grown = (
            [torch.cat(pair, dim=1) for pair in zip(memory, new, strict=True)] if memory else new
        )
        keys, values = grown
        shares = (self._scaled_query(x).unsqueeze(1) @ keys.transpose(1, 2)).softmax(dim=2)
        return torch.cat([x, (shares @ values).squeeze(1)], dim=1), (keys, values)

    def _scaled_query(self, x: Tensor) -> Tensor:
        return torch.div(self.query(x), math.sqrt(self.query.out_features))
