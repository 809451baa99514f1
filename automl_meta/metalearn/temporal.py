"""Blocks that read a sequence causally: what they have in common, temporal convolutions and chains of blocks.

A block keeps the length of a sequence, and no output depends on later positions. So the past is the same for all
that may come next: ``following`` computes many next items after one past, whose work is done once. And a sequence
that is still growing needs no part of it read twice: ``step`` maps one more item with what the block remembers.

| symbol | meaning |
|---|---|
| B | sequences |
| T | positions of a sequence |
| S | positions of a past |
| Q | items, each of which would come next after the same past |
| d, D | length of an item before and after a block |
| R | dilation: how many positions back a convolution looks |
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.initial import drawn_linear

#: What a block keeps of the items so far, as each kind of block likes it; empty before the first.
Memory: TypeAlias = tuple[Any, ...]


class Causal(nn.Module, ABC):
    """A map of sequences that never looks ahead."""

    @property
    @abstractmethod
    def width(self) -> int:
        """D, the length of an item after the block."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map whole sequences.

        Args:
            x: Shape [B, T, d], T >= 0.

        Returns:
            Shape [B, T, D].
        """

    @abstractmethod
    def following(self, past: Tensor, x: Tensor) -> Tensor:
        """Map items that each come right after a past, as if they stood in a sequence of S + 1 of their own.

        Args:
            past: Inputs at the earlier positions, shape [B, S, d], S >= 0.
            x: Inputs at position S, any number of alternatives, shape [B, Q, d].

        Returns:
            Outputs at position S, shape [B, Q, D].
        """

    @abstractmethod
    def step(self, memory: Memory, x: Tensor) -> tuple[Tensor, Memory]:
        """Map the next item of growing sequences, with the work of one item, not of all.

        Args:
            memory: From the last step; empty before the first.
            x: The item, shape [B, d].

        Returns:
            What ``forward`` would say at its position, shape [B, D], and the memory for the next.
        """


class CausalConvolution(Causal):
    """A convolution of two taps, here and R positions back, where before the start there are zeros.

    ``y_t = W x_t + V x_{t-R} + b``.

    Args:
        inputs: d >= 1.
        filters: D >= 1.
        dilation: R >= 1.
        generator: Source of the initial weights.

    Raises:
        InvalidParameterError: If a number is below 1.

    Reference:
        Van den Oord et al. (2016), WaveNet, section 2.1. arXiv:1609.03499

    Example:
        >>> layer = CausalConvolution(1, 1, 2, generator=torch.Generator())
        >>> _ = nn.init.ones_(layer.here.weight), nn.init.ones_(layer.back.weight)
        >>> layer(torch.tensor([[[1.0], [2.0], [4.0], [8.0]]])).flatten().tolist()
        [1.0, 2.0, 5.0, 10.0]
    """

    def __init__(
        self, inputs: int, filters: int, dilation: int, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        check_sizes("CausalConvolution", inputs=inputs, filters=filters, dilation=dilation)
        self.dilation = dilation
        self.here = drawn_linear(inputs, filters, generator=generator, taps=2)
        self.back = drawn_linear(inputs, filters, generator=generator, taps=2, bias=False)

    @property
    def width(self) -> int:
        """See ``Causal.width``."""
        return self.here.out_features

    def forward(self, x: Tensor) -> Tensor:
        """See ``Causal.forward``."""
        n_reached = max(0, x.shape[1] - self.dilation)
        earlier = self.back(x[:, :n_reached])
        return torch.add(self.here(x), functional.pad(earlier, (0, 0, x.shape[1] - n_reached, 0)))

    def following(self, past: Tensor, x: Tensor) -> Tensor:
        """See ``Causal.following``."""
        here: Tensor = self.here(x)
        start = past.shape[1] - self.dilation
        return here if start < 0 else here + self.back(past[:, start : start + 1])

    def step(self, memory: Memory, x: Tensor) -> tuple[Tensor, Memory]:
        """See ``Causal.step``; remembers the products ``V x`` of the last R items, oldest first."""
        here: Tensor = self.here(x)
        y = here + memory[0] if len(memory) == self.dilation else here
        return y, (*memory, self.back(x))[-self.dilation :]


class DenseBlock(Causal):
    """A gated causal convolution, whose output is put beside its input.

    ``[x, tanh(f(x)) * sigmoid(g(x))]`` with causal convolutions f and g (here the halves of one).

    Args:
        inputs: d >= 1.
        filters: Of each convolution, >= 1; the width is their sum with d.
        dilation: R >= 1.
        generator: Source of the initial weights.

    Raises:
        InvalidParameterError: If a number is below 1.

    Reference:
        Mishra et al. (2018), A Simple Neural Attentive Meta-Learner, section 3.1. arXiv:1707.03141

    Example:
        >>> DenseBlock(3, 4, 1, generator=torch.Generator())(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 5, 7])
    """

    def __init__(
        self, inputs: int, filters: int, dilation: int, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        check_sizes("DenseBlock", filters=filters)
        self.inputs = inputs
        self.convolution = CausalConvolution(inputs, 2 * filters, dilation, generator=generator)

    @property
    def width(self) -> int:
        """See ``Causal.width``."""
        return self.inputs + self.convolution.width // 2

    def forward(self, x: Tensor) -> Tensor:
        """See ``Causal.forward``."""
        return _beside(x, self.convolution(x))

    def following(self, past: Tensor, x: Tensor) -> Tensor:
        """See ``Causal.following``."""
        return _beside(x, self.convolution.following(past, x))

    def step(self, memory: Memory, x: Tensor) -> tuple[Tensor, Memory]:
        """See ``Causal.step``."""
        convolved, memory = self.convolution.step(memory, x)
        return _beside(x, convolved), memory


class CausalChain(Causal):
    """Causal blocks one after the other.

    Args:
        blocks: At least one, each of the width that the next one takes.

    Raises:
        InvalidParameterError: If there is none.

    Example:
        >>> generator = torch.Generator()
        >>> first = DenseBlock(3, 2, 1, generator=generator)
        >>> chain = CausalChain([first, DenseBlock(first.width, 4, 2, generator=generator)])
        >>> chain(torch.zeros(2, 5, 3)).shape, chain.width
        (torch.Size([2, 5, 9]), 9)
    """

    def __init__(self, blocks: Sequence[Causal]) -> None:
        super().__init__()
        if not blocks:
            rule = "one block at least"
            raise InvalidParameterError.of("blocks", "CausalChain", rule, blocks, "Give one.")
        self.blocks = nn.ModuleList(blocks)

    @property
    def width(self) -> int:
        """See ``Causal.width``."""
        return self._in_order()[-1].width

    def forward(self, x: Tensor) -> Tensor:
        """See ``Causal.forward``."""
        for block in self.blocks:
            x = block(x)
        return x

    def following(self, past: Tensor, x: Tensor) -> Tensor:
        """See ``Causal.following``."""
        *early, last = self._in_order()
        for block in early:  # of the last one, the past's outputs are not needed
            past, x = block(past), block.following(past, x)
        return last.following(past, x)

    def step(self, memory: Memory, x: Tensor) -> tuple[Tensor, Memory]:
        """See ``Causal.step``; remembers what each block does."""
        blocks, remembered = self._in_order(), []
        for block, own in zip(blocks, memory or [()] * len(blocks), strict=True):
            x, after = block.step(own, x)
            remembered.append(after)
        return x, tuple(remembered)

    def _in_order(self) -> list[Causal]:
        return [block for block in self.blocks if isinstance(block, Causal)]


def temporal_convolutions(
    inputs: int, length: int, filters: int, *, generator: torch.Generator
) -> CausalChain:
    """Make a TC block: dense blocks of dilations 1, 2, 4, ... that together see a whole sequence.

    ``ceil(log2 T)`` of them reach ``2^ceil(log2 T) >= T`` positions. (The paper's listing counts dilations from 2; then
    no position would see one at an odd distance, against its text and against WaveNet, which it follows.)

    Args:
        inputs: d >= 1.
        length: T >= 2, the longest sequence.
        filters: Of each convolution, >= 1.
        generator: Source of the initial weights.

    Returns:
        A chain of width ``d + filters * ceil(log2 T)``.

    Raises:
        InvalidParameterError: If a number breaks its rule.

    Reference:
        Mishra et al. (2018), section 3.1 and figure 2. arXiv:1707.03141

    Example:
        >>> block = temporal_convolutions(10, 6, 4, generator=torch.Generator())
        >>> [dense.convolution.dilation for dense in block.blocks], block.width
        ([1, 2, 4], 22)
    """
    if length < 2:
        rule, remedy = "an int >= 2", "Give the number of positions."
        raise InvalidParameterError.of("length", "temporal_convolutions", rule, length, remedy)
    numbers = range((length - 1).bit_length())  # ceil(log2(length)) of them
    sizes = [(inputs + number * filters, filters, 2**number) for number in numbers]
    return CausalChain([DenseBlock(*size, generator=generator) for size in sizes])


def _beside(x: Tensor, convolved: Tensor) -> Tensor:
    signal, gate = convolved.chunk(2, dim=-1)
    return torch.cat([x, torch.tanh(signal) * torch.sigmoid(gate)], dim=-1)


def check_sizes(where: str, **sizes: int) -> None:
    """Refuse sizes below 1.

    Args:
        where: Name of the block.
        **sizes: Its arguments.

    Raises:
        InvalidParameterError: Names the first that is below 1.
    """
    for name, size in sizes.items():
        if size < 1:
            raise InvalidParameterError.of(name, where, "an int >= 1", size, "Try 64.")
