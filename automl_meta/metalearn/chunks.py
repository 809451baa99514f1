"""A meta-batch in pieces: the same gradient with bounded memory, and often faster on a CPU's caches."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.params import MetaParams

_Result = TypeVar("_Result")


def chunked(
    gradients: Callable[[slice], tuple[Tensor, MetaParams]],
    n_tasks: int,
    chunk: int | None,
    *,
    workers: int = 1,
) -> tuple[Tensor, MetaParams]:
    """Average loss and gradient over a meta-batch, a few tasks at a time.

    Args:
        gradients: Some of the tasks to their mean loss and its gradient.
        n_tasks: T >= 1.
        chunk: Tasks at a time, >= 1; None for all at once.
        workers: Chunks at the same time, >= 1; see ``in_order``. The result does not depend on it.

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
    parts = [slice(start, min(start + chunk, n_tasks)) for start in range(0, n_tasks, chunk)]
    for some, (loss, grads) in zip(parts, in_order(gradients, parts, workers), strict=True):
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


def in_order(
    function: Callable[[slice], _Result], parts: list[slice], workers: int
) -> Iterator[_Result]:
    """Apply a function to parts of a meta-batch, several at the same time, and yield results in order.

    On a processor whole tasks divide better among its cores than each of thousands of small operations does: no
    core waits for another within an operation. Each worker takes the next part as soon as it is free. Under
    autocast or inference mode, which belong to the caller's thread, the parts are done one after the other.

    Args:
        function: Of a part; must not depend on the others.
        parts: What to apply it to.
        workers: Threads of Python, >= 1; PyTorch's threads are divided among them.

    Example:
        >>> list(in_order(lambda part: part.stop, [slice(0, 2), slice(2, 3)], 2))
        [2, 3]
    """
    n_workers = min(workers, len(parts))
    if n_workers == 1 or torch.is_autocast_enabled("cpu") or torch.is_inference_mode_enabled():
        yield from map(function, parts)
        return
    with _threads_restored() as n_threads:
        # The gradient mode belongs to a thread, and a new thread has the default.
        enabled = torch.is_grad_enabled()

        def start() -> None:
            torch.set_num_threads(max(1, n_threads // n_workers))

        def apply(part: slice) -> _Result:
            with torch.set_grad_enabled(enabled):
                return function(part)

        with ThreadPoolExecutor(n_workers, initializer=start) as executor:
            yield from executor.map(apply, parts)


@contextmanager
def _threads_restored() -> Iterator[int]:
    """Yield PyTorch's number of threads and restore it: a worker changes it for threads that are still to come."""
    before = torch.get_num_threads()
    try:
        yield before
    finally:
        torch.set_num_threads(before)
