"""A meta-batch in pieces: the same gradient with bounded memory, and often faster on a CPU's caches."""

from collections.abc import Callable

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.params import MetaParams


def chunked(
    gradients: Callable[[slice], tuple[Tensor, MetaParams]], n_tasks: int, chunk: int | None
) -> tuple[Tensor, MetaParams]:
    """Average loss and gradient over a meta-batch, a few tasks at a time.

    Args:
        gradients: Some of the tasks to their mean loss and its gradient.
        n_tasks: T >= 1.
        chunk: Tasks at a time, >= 1; None for all at once.

    Returns:
        Mean loss over all tasks and its gradient.

    Raises:
        InvalidParameterError: If ``chunk`` is not an int >= 1.

    Example:
        >>> values = torch.tensor([1.0, 2.0, 6.0])
        >>> chunked(lambda some: (values[some].mean(), {"w": values[some].mean()}), 3, 2)
        (tensor(3.), {'w': tensor(3.)})
    """
    if chunk is None or chunk >= n_tasks:
        return gradients(slice(0, n_tasks))
    if chunk < 1:
        raise InvalidParameterError.of("chunk", "chunked", "None or an int >= 1", chunk, "Try 4.")
    total: Tensor | None = None
    sums: MetaParams = {}
    for start in range(0, n_tasks, chunk):
        some = slice(start, min(start + chunk, n_tasks))
        loss, grads = gradients(some)
        share = (some.stop - some.start) / n_tasks
        with torch.no_grad():
            if total is None:
                total, sums = loss * share, {name: leaf * share for name, leaf in grads.items()}
                continue
            total = total + loss * share
            for name, leaf in grads.items():
                sums[name].add_(leaf, alpha=share)
    assert total is not None  # n_tasks >= 1
    return total, sums
