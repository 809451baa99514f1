"""A small family of tasks in float64, with a loss that is neither linear nor quadratic in the weights."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

N_TASKS = 3


@dataclass(frozen=True)
class Family:
    params: dict[str, torch.Tensor]
    support: Callable
    query: Callable
    one: Callable  # (which, task) -> the same loss for a batch of that task alone
    permuted: Callable  # order of the 6 support items -> support loss


def _network_loss(x: torch.Tensor, y: torch.Tensor) -> Callable:
    def loss(params: dict[str, torch.Tensor]) -> torch.Tensor:
        hidden = torch.tanh(x @ params["first"] + params["bias"].unsqueeze(1))
        return ((hidden @ params["second"]) - y).square().mean(dim=(1, 2))

    return loss


@pytest.fixture
def family() -> Family:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    data = {
        "support": (draw(N_TASKS, 6, 2), draw(N_TASKS, 6, 1)),
        "query": (draw(N_TASKS, 5, 2), draw(N_TASKS, 5, 1)),
    }
    params = {"first": draw(2, 4), "bias": draw(4), "second": draw(4, 1)}
    return Family(
        params=params,
        support=_network_loss(*data["support"]),
        query=_network_loss(*data["query"]),
        one=lambda which, task: _network_loss(*(part[task : task + 1] for part in data[which])),
        permuted=lambda order: _network_loss(*(part[:, order] for part in data["support"])),
    )


class Held:
    """A saved tensor that counts as long as a graph holds it."""

    now = peak = 0

    def __init__(self, tensor):
        self.tensor = tensor
        Held.now += tensor.numel()
        Held.peak = max(Held.peak, Held.now)

    def __del__(self):
        Held.now -= self.tensor.numel()

    @staticmethod
    def counting():
        """Count what is saved within this context."""
        return torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.tensor)


@pytest.fixture
def held():
    """Entries of saved tensors: now, and at most."""
    Held.now = Held.peak = 0
    return Held
