"""Several processes that train together, as ``torchrun`` starts them: gradients averaged, decisions shared."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Each computes the gradient of its own batch; the mean over all is applied by all, so that their parameters
    stay equal. The first alone validates, decides and writes.

    Attributes:
        rank: Number of this process, 0 to ``count - 1``.
        count: Number of processes.
        device: Where tensors must lie to be sent: the CPU for gloo, the process's own GPU for nccl.

    Example:
        >>> ALONE.agreed(0.25, 1.0)
        (0.25, 1.0)
    """

    rank: int = 0
    count: int = 1
    device: torch.device = _CPU

    @property
    def is_first(self) -> bool:
        """Whether this is the process that validates, decides and writes."""
        return self.rank == 0

    def mean(self, loss: Tensor, grads: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Average over the processes, in one message.

        Args:
            loss: A scalar.
            grads: Leaves of any shape, the same names in every process.

        Returns:
            The mean loss and the mean gradients, equal in every process.
        """
        if self.count == 1:
            return loss, dict(grads)
        parts = [loss.detach(), *(grads[name] for name in sorted(grads))]
        flat = torch.cat([part.flatten().to(self.device) for part in parts])
        torch.distributed.all_reduce(flat)
        flat = (flat / self.count).to(loss.device)
        pieces = torch.split(flat, [part.numel() for part in parts])
        means = [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]
        by_name = dict(zip(sorted(grads), means[1:], strict=True))
        return means[0], {name: by_name[name] for name in grads}

    def agreed(self, *values: float) -> tuple[float, ...]:
        """Return the first process's numbers in every process.

        Args:
            *values: As many in every process.
        """
        if self.count == 1:
            return values
        sent = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(sent, src=0)
        return tuple(sent.tolist())

    def gathered(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Return every process's tensor, in order, in every process.

        Args:
            tensor: Of the same shape and type in every process; on the CPU.
        """
        if self.count == 1:
            return (tensor,)
        mine = tensor.to(self.device)
        every = [torch.empty_like(mine) for _ in range(self.count)]
        torch.distributed.all_gather(every, mine)
        return tuple(part.cpu() for part in every)


#: The one process of a run without ``torchrun``.
ALONE = Ranks()


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` started; without it, yield ``ALONE``.

    Args:
        device: Where this process computes; the CPU talks through gloo, a GPU through nccl.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    cuda = device.type == "cuda"
    torch.distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Ranks(torch.distributed.get_rank(), count, device if cuda else _CPU)
    finally:
        torch.distributed.destroy_process_group()
