"""An external memory that is read by content and written where it was least used, as pure functions.

| symbol | meaning |
|---|---|
| T | memories of a batch, one an episode |
| M | slots of a memory |
| W | length of a slot |
| H | heads: keys that read and write at the same time |
| R | weights over the slots with which the memory was read, [T, H, M] |
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

#: Added to squared lengths: an empty slot is similar to no key, with a derivative.
_EPS = 1e-8


@dataclass(frozen=True, eq=False)
class Memory:
    """What a memory holds, and how it was used.

    Attributes:
        slots: Shape [T, M, W].
        reads: Weights of the last reading, shape [T, H, M].
        usage: Decayed sum of the weights of all readings and writings, without gradient, shape [T, M].
    """

    slots: Tensor
    reads: Tensor
    usage: Tensor

    def repeated(self, times: int) -> "Memory":
        """Return every memory several times in a row, shape [T * times, ...].

        Args:
            times: >= 1.
        """
        parts = (self.slots, self.reads, self.usage)
        return Memory(*(part.repeat_interleave(times, dim=0) for part in parts))


def empty(n_memories: int, n_slots: int, width: int, heads: int, like: Tensor) -> Memory:
    """Make memories that hold nothing and were never used.

    Args:
        n_memories: T >= 1.
        n_slots: M >= 1.
        width: W >= 1.
        heads: H, from 1 to M.
        like: Gives type and device.

    Example:
        >>> empty(1, 2, 3, 1, torch.zeros(())).slots.shape
        torch.Size([1, 2, 3])
    """
    return Memory(
        like.new_zeros(n_memories, n_slots, width),
        like.new_zeros(n_memories, heads, n_slots),
        like.new_zeros(n_memories, n_slots),
    )


def access(
    memory: Memory, keys: Tensor, gates: Tensor, *, decay: float, sharpness: float = 1.0
) -> tuple[Memory, Tensor]:
    """Read a memory by keys, then write them to it: one step of least-recently-used access.

    Head h writes its key where it read in the step before and to the h-th least used slot, in shares that its
    gate tells. It reads first: after the writing, a key would find itself before all else.

    Args:
        memory: As the step before left it.
        keys: Shape [T, H, W].
        gates: Share of what was read in the step before, in [0, 1], shape [T, H].
        decay: Of the usage, in [0, 1].
        sharpness: Of the reading, > 0.

    Returns:
        The new memory, and what each head reads, shape [T, H, W].

    Reference:
        Santoro, Bartunov, Botvinick, Wierstra and Lillicrap (2016), One-shot Learning with Memory-Augmented
        Neural Networks, equations 2 to 8. arXiv:1605.06065

    Example:
        >>> memory, key = empty(1, 2, 2, 1, torch.zeros(())), torch.tensor([[[3.0, 4.0]]])
        >>> memory, _ = access(memory, key, torch.zeros(1, 1), decay=0.99)
        >>> memory.slots
        tensor([[[3., 4.],
                 [0., 0.]]])
        >>> _, read = access(memory, key, torch.zeros(1, 1), decay=0.99)
        >>> read
        tensor([[[2.1932, 2.9242]]])
    """
    reads = read_weights(keys, memory.slots, sharpness)
    free = least_used(memory.usage, keys.shape[1])
    writes = write_weights(gates, memory.reads, free)
    slots = written(memory.slots, free, writes, keys)
    usage = used(memory.usage, reads, writes, decay)
    return Memory(slots, reads, usage), reads @ memory.slots


def cosine(keys: Tensor, slots: Tensor) -> Tensor:
    """Return the cosine of the angle between each key and each slot.

    ``k . m / (|k| |m|)``; 0 for a slot or key of length 0.

    Args:
        keys: Shape [T, H, W].
        slots: Shape [T, M, W].

    Returns:
        Similarities in [-1, 1], shape [T, H, M].

    Reference:
        Santoro et al. (2016), equation 2.

    Example:
        >>> cosine(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[2.0, 0.0], [0.0, 5.0]]]))
        tensor([[[1., 0.]]])
    """
    directions = keys * (keys.square().sum(-1, keepdim=True) + _EPS).rsqrt()
    lengths = (slots.square().sum(-1) + _EPS).rsqrt()
    return (directions @ slots.transpose(1, 2)) * lengths.unsqueeze(1)


def read_weights(keys: Tensor, slots: Tensor, sharpness: float = 1.0) -> Tensor:
    """Return the weights with which keys read slots: the softmax of their cosines over the slots.

    Args:
        keys: Shape [T, H, W].
        slots: Shape [T, M, W].
        sharpness: What cosines are multiplied with, > 0; 1 in the paper, where the best of many slots weighs
            e^2 times as much as the worst at most.

    Returns:
        Shape [T, H, M], positive, summing to 1 over M. What is read is ``weights @ slots`` (equation 4).

    Reference:
        Santoro et al. (2016), equation 3; the sharpness is the key strength of Graves, Wayne and Danihelka (2014),
        Neural Turing Machines, equation 5. arXiv:1410.5401

    Example:
        >>> read_weights(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[2.0, 0.0], [0.0, 5.0]]]))
        tensor([[[0.7311, 0.2689]]])
    """
    return (sharpness * cosine(keys, slots)).softmax(-1)


def used(usage: Tensor, reads: Tensor, writes: Tensor, decay: float) -> Tensor:
    """Return the usage after a step: ``decay * usage + reads + writes``, summed over heads.

    Args:
        usage: Before it, shape [T, M].
        reads: Weights of this step's reading, shape [T, H, M].
        writes: Weights of this step's writing, shape [T, H, M].
        decay: In [0, 1].

    Returns:
        Shape [T, M], without gradient: only its order is ever looked at.

    Reference:
        Santoro et al. (2016), equation 5.

    Example:
        >>> used(torch.ones(1, 2), torch.tensor([[[0.5, 0.5]]]), torch.tensor([[[1.0, 0.0]]]), 0.5)
        tensor([[2., 1.]])
    """
    with torch.no_grad():
        return decay * usage + (reads + writes).sum(1)


def least_used(usage: Tensor, heads: int) -> Tensor:
    """Return a one-hot vector for each of the least used slots, one a head.

    Their sum is the paper's vector, which is 1 where the usage is at most its H-th smallest value. Of slots
    used alike the first counts as less used.

    Args:
        usage: Shape [T, M].
        heads: H, from 1 to M.

    Returns:
        Shape [T, H, M], the least used slot first.

    Reference:
        Santoro et al. (2016), equation 6.

    Example:
        >>> least_used(torch.tensor([[0.3, 0.1, 0.2]]), 2)
        tensor([[[0., 1., 0.],
                 [0., 0., 1.]]])
    """
    order = usage.argsort(dim=-1, stable=True)[:, :heads]
    return functional.one_hot(order, usage.shape[-1]).to(usage.dtype)


def write_weights(gates: Tensor, reads: Tensor, free: Tensor) -> Tensor:
    """Return the weights of a writing: ``gate * reads + (1 - gate) * free``.

    Args:
        gates: In [0, 1], shape [T, H].
        reads: Weights of the previous reading, shape [T, H, M].
        free: From ``least_used``, shape [T, H, M].

    Returns:
        Shape [T, H, M].

    Reference:
        Santoro et al. (2016), equation 7.

    Example:
        >>> reads, free = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
        >>> write_weights(torch.tensor([[0.25]]), reads, free)
        tensor([[[0.2500, 0.7500]]])
    """
    shares = gates.unsqueeze(-1)
    return shares * reads + (1 - shares) * free


def written(slots: Tensor, free: Tensor, writes: Tensor, keys: Tensor) -> Tensor:
    """Return the slots after a writing: the least used are emptied, then every head adds its key.

    Args:
        slots: Before it, shape [T, M, W].
        free: One-hot vectors of the slots to empty, shape [T, H, M].
        writes: Weights, shape [T, H, M].
        keys: Shape [T, H, W].

    Returns:
        Shape [T, M, W].

    Reference:
        Santoro et al. (2016), equation 8, and the sentence before it.

    Example:
        >>> slots, free = torch.tensor([[[1.0], [7.0]]]), torch.tensor([[[0.0, 1.0]]])
        >>> written(slots, free, torch.tensor([[[0.5, 0.5]]]), torch.tensor([[[4.0]]])).flatten()
        tensor([3., 2.])
    """
    kept = slots * (1 - free.sum(1)).unsqueeze(-1)
    return torch.baddbmm(kept, writes.transpose(1, 2), keys)
