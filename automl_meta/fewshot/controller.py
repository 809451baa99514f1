"""The controller of a memory-augmented network: an LSTM that writes to and reads from an external memory.

| symbol | meaning |
|---|---|
| T | episodes of a batch |
| L, B | items of a sequence, items that each could come next |
| N | classes of an episode |
| d | length of an item |
| U | units of the controller |
| H, M, W | heads, slots and their width, see ``metalearn.memory`` |
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from automl_meta.exceptions import InvalidParameterError, check_least
from automl_meta.metalearn import Params
from automl_meta.metalearn.memory import Memory, access, empty


@dataclass(frozen=True)
class MANNSizes:
    """Sizes of the controller and of its memory; the defaults are the paper's but for the sharpness.

    Attributes:
        units: U >= 1, of the LSTM controller.
        slots: M >= the number of heads.
        width: W >= 1.
        heads: H >= 1.
        decay: Of the slots' usage, in [0, 1].
        sharpness: Of the reading, > 0; the paper's is 1, see ``memory.read_weights``.

    Raises:
        InvalidParameterError: If a number breaks its rule.
    """

    units: int = 200
    slots: int = 128
    width: int = 40
    heads: int = 4
    decay: float = 0.99
    sharpness: float = 10.0

    def __post_init__(self) -> None:
        check_least(self, "MANN", {"units": 1, "width": 1, "heads": 1, "slots": self.heads})
        if not 0 <= self.decay <= 1:
            rule, remedy = "a number from 0 to 1", "Try 0.99."
            raise InvalidParameterError.of("decay", "MANN", rule, self.decay, remedy)
        if not 0 < self.sharpness < math.inf:
            rule, remedy = "a finite number > 0", "Try 10."
            raise InvalidParameterError.of("sharpness", "MANN", rule, self.sharpness, remedy)

    @property
    def read(self) -> int:
        """Length of what all heads read, H * W."""
        return self.heads * self.width

    def weights(self, inputs: int, ways: int, generator: torch.Generator) -> Params:
        """Draw initial weights by Glorot's rule; biases are zero, those of the forget gates one.

        Args:
            inputs: d.
            ways: N.
            generator: Source of the draw.

        Returns:
            Leaves of ``input`` (of an item and the label before it), ``back`` (of state and memory), ``heads``
            (keys and gates) and ``output``.
        """
        shapes = {
            "input.weight": (4 * self.units, inputs + ways),
            "back.weight": (4 * self.units, self.units + self.read),
            "heads.weight": (self.heads * (self.width + 1), self.units),
            "output.weight": (ways, self.units + self.read),
        }
        drawn = {
            name: nn.init.xavier_uniform_(torch.empty(shape), generator=generator)
            for name, shape in shapes.items()
        }
        rows = {"input": 4 * self.units, "heads": self.heads * (self.width + 1), "output": ways}
        drawn |= {f"{name}.bias": torch.zeros(n) for name, n in rows.items()}
        drawn["input.bias"][self.units : 2 * self.units] = 1.0
        return drawn


@dataclass(frozen=True, eq=False)
class State:
    """What goes from one item of a sequence to the next.

    Attributes:
        hidden: Output of the controller, shape [T, U].
        cell: Its cell, shape [T, U].
        read: What all heads read, shape [T, H * W].
        memory: The memory.
    """

    hidden: Tensor
    cell: Tensor
    read: Tensor
    memory: Memory


def follow(
    weights: Params, items: Tensor, labels: Tensor, sizes: MANNSizes
) -> tuple[Tensor, State]:
    """Watch sequences from the start, the label of each item one step after it.

    Args:
        weights: From ``MANNSizes.weights``.
        items: Shape [T, L, d].
        labels: int64, shape [T, L].
        sizes: Of controller and memory.

    Returns:
        Logits of every item, shape [T, L, N]; and the state after the last, whose label is not told yet.

    Reference:
        Santoro et al. (2016), section 2.

    Example:
        >>> sizes = MANNSizes(units=2, slots=3, width=2, heads=1)
        >>> weights = sizes.weights(4, 5, torch.Generator())
        >>> follow(weights, torch.zeros(1, 6, 4), torch.zeros(1, 6, dtype=torch.int64), sizes)[0].shape
        torch.Size([1, 6, 5])
    """
    told = functional.one_hot(labels, len(weights["output.bias"])).to(items.dtype)
    told = functional.pad(told[:, :-1], (0, 0, 1, 0))
    # All that does not wait for the step before is one product for all items.
    projected = _projected(weights, torch.cat([items, told], dim=2)).transpose(0, 1)
    state, outputs = _start(len(items), sizes, items), []
    for step in projected.contiguous():
        state = _advanced(weights, state, step, sizes)
        outputs.append(torch.cat([state.hidden, state.read], dim=1))
    return _classified(weights, torch.stack(outputs, dim=1)), state


def answers(weights: Params, items: Tensor, told: Tensor, state: State, sizes: MANNSizes) -> Tensor:
    """Say the class of each item as if it came next, without leaving a trace.

    Args:
        weights: From ``MANNSizes.weights``.
        items: Shape [T, B, d].
        told: Label of the item before, int64, shape [T].
        state: After that item.
        sizes: Of controller and memory.

    Returns:
        Logits, shape [T, B, N].
    """
    n_tasks, n_items = items.shape[:2]
    label = functional.one_hot(told, len(weights["output.bias"])).to(items.dtype)
    inputs = torch.cat([items, label.unsqueeze(1).expand(-1, n_items, -1)], dim=2)
    hidden, cell, read = (
        part.repeat_interleave(n_items, dim=0) for part in (state.hidden, state.cell, state.read)
    )
    each = State(hidden, cell, read, state.memory.repeated(n_items))
    each = _advanced(weights, each, _projected(weights, inputs).flatten(0, 1), sizes)
    logits = _classified(weights, torch.cat([each.hidden, each.read], dim=1))
    return logits.view(n_tasks, n_items, -1)


def _start(n_tasks: int, sizes: MANNSizes, like: Tensor) -> State:
    hidden, cell = like.new_zeros(2, n_tasks, sizes.units)
    read = like.new_zeros(n_tasks, sizes.read)
    return State(hidden, cell, read, empty(n_tasks, sizes.slots, sizes.width, sizes.heads, like))


def _advanced(weights: Params, state: State, projected: Tensor, sizes: MANNSizes) -> State:
    """Take one step: the controller, then the memory, which the next step's controller sees."""
    back = torch.cat([state.hidden, state.read], dim=1)
    sums = torch.addmm(projected, back, weights["back.weight"].T)
    gates, new = torch.split(sums, [3 * sizes.units, sizes.units], dim=1)
    enter, keep, leave = gates.sigmoid().chunk(3, dim=1)
    cell = torch.addcmul(keep * state.cell, enter, new.tanh())
    hidden = leave * cell.tanh()
    emitted = functional.linear(hidden, weights["heads.weight"], weights["heads.bias"])
    keys, shares = torch.split(emitted, [sizes.read, sizes.heads], dim=1)
    memory, read = access(
        state.memory,
        keys.tanh().view(-1, sizes.heads, sizes.width),
        shares.sigmoid(),
        decay=sizes.decay,
        sharpness=sizes.sharpness,
    )
    return State(hidden, cell, read.flatten(1), memory)


def _projected(weights: Params, inputs: Tensor) -> Tensor:
    return functional.linear(inputs, weights["input.weight"], weights["input.bias"])


def _classified(weights: Params, outputs: Tensor) -> Tensor:
    return functional.linear(outputs, weights["output.weight"], weights["output.bias"])
