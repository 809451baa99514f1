"""Inner loops on minibatches of the support, as in Reptile's recipe."""

import torch
from torch import Tensor


def draw_minibatches(
    n_tasks: int, n_items: int, size: int, steps: int, generator: torch.Generator
) -> Tensor:
    """Draw which items of its support each task uses at each step.

    The items are shuffled and dealt in turn; when they run out they are shuffled again (the procedure of
    Reptile's authors), so every item is used once before any is used twice.

    Args:
        n_tasks: T.
        n_items: Items of a support, >= 1.
        size: Items of a minibatch, >= 1.
        steps: Number of minibatches, >= 1.
        generator: Source of randomness, on the CPU.

    Returns:
        Item numbers, int64, shape [steps, T, size].

    Example:
        >>> draw_minibatches(1, 4, 2, 2, torch.Generator().manual_seed(0)).flatten().sort().values
        tensor([0, 1, 2, 3])
    """
    rounds = -(-steps * size // n_items)
    shuffled = torch.rand(n_tasks, rounds, n_items, generator=generator).argsort(dim=2)
    dealt = shuffled.flatten(1)[:, : steps * size]
    return dealt.view(n_tasks, steps, size).transpose(0, 1)


def take(items: Tensor, picks: Tensor) -> Tensor:
    """Return the picked items of each task.

    Args:
        items: Shape [T, S, ...].
        picks: Item numbers, shape [T, size].

    Returns:
        Shape [T, size, ...].

    Example:
        >>> take(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1], [0]]))
        tensor([[2.],
                [3.]])
    """
    rows = torch.arange(len(items), device=items.device).unsqueeze(1)
    return items[rows, picks.to(items.device)]
