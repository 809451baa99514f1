"""Where a run computes and how precisely: chosen once, and torch's global switches restored afterwards."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

from automl_meta.exceptions import InvalidParameterError

#: What each precision asks of matrix products in float32.
_PRODUCTS = {"float32": "highest", "tf32": "high", "bf16": "medium"}

#: Of glibc's ``mallopt``, malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MOST_ARENAS = -1, -3, -8
_MOST_BYTES = 2**31 - 1


@dataclass(frozen=True)
class Place:
    """Where a run computes.

    Attributes:
        device: The device; with several processes each has its own.
        precision: What is really used.
        threads: PyTorch's threads.
        notes: What was asked for and could not be had.
    """

    device: torch.device
    precision: str
    threads: int
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The GPU's name, or ``"cpu"``."""
        on_gpu = self.device.type == "cuda"
        return torch.cuda.get_device_name(self.device) if on_gpu else "cpu"

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context for learning and predicting: bfloat16 on a GPU where asked for, else nothing."""
        if self.precision == "bf16" and self.device.type == "cuda":
            # Without the cache of cast weights, whose memory a CUDA graph would keep beyond its time.
            return torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=False)
        return nullcontext()


@contextmanager
def computing_on(
    device: str = "auto",
    precision: str = "float32",
    threads: int | None = None,
    *,
    where: str = "train",
) -> Iterator[Place]:
    """Set PyTorch's global switches for a run, and restore them.

    Args:
        device: ``"auto"`` (a GPU where there is one), ``"cpu"`` or ``"cuda"``.
        precision: ``"float32"``; ``"tf32"`` lets matrix products of a GPU round to TF32; ``"bf16"`` computes
            in bfloat16 on a GPU, and lets a processor use it inside float32 products.
        threads: PyTorch's threads; None leaves them.
        where: The command, for errors.

    Yields:
        The place.

    Raises:
        InvalidParameterError: If a GPU is asked for where there is none.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        rule = "'auto' or 'cpu' where PyTorch sees no GPU"
        raise InvalidParameterError.of("device", where, rule, device, "Try --device auto.")
    on_gpu = available and device != "cpu"
    index = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = torch.device("cuda", index) if on_gpu else torch.device("cpu")
    used, notes = _possible(precision, chosen)
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    convolutions = torch.backends.cudnn.allow_tf32
    if not on_gpu:
        keep_freed_memory()
    try:
        torch.set_float32_matmul_precision(_PRODUCTS[used])
        torch.backends.cudnn.allow_tf32 = used != "float32"
        torch.set_num_threads(threads or before[1])
        with imports_unwatched(), _current(chosen):
            yield Place(chosen, used, torch.get_num_threads(), notes)
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.set_num_threads(before[1])


@contextmanager
def imports_unwatched() -> Iterator[None]:
    """Let Python's garbage collector pass by what there is already, unless the caller froze something before.

    What the imports made never dies: looking through it again and again took 4 % of a training's time.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the current one: with several processes streams and graphs would else be the first GPU's."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def keep_freed_memory() -> bool:
    """Let the C library keep large blocks that were freed, for the rest of the process.

    By default glibc returns them to the system, and each new activation of a network costs thousands of page
    faults: a meta-gradient takes up to half as long again.

    Returns:
        Whether the C library knows how; others are left alone.

    Example:
        >>> isinstance(keep_freed_memory(), bool)
        True
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    options = {
        _TRIM_THRESHOLD: _MOST_BYTES,
        _MMAP_THRESHOLD: _MOST_BYTES,
        # Threads share one heap: those of their own give large blocks back whatever the thresholds say.
        _MOST_ARENAS: 1,
    }
    # A list, so that each is set whatever became of the others.
    return all([mallopt(option, value) for option, value in options.items()])  # noqa: C419


def _possible(precision: str, device: torch.device) -> tuple[str, tuple[str, ...]]:
    if precision == "tf32" and device.type == "cpu":
        return "float32", ("TF32 was asked for; a processor has none, so float32 was used.",)
    if precision != "float32" and device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        if major < 8:
            note = f"{precision} was asked for; this GPU has none, so float32 was used."
            return "float32", (note,)
    return precision, ()
