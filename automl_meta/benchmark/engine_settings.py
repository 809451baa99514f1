"""What the engine's benchmark measures, and the global switches under which everyone is measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from automl_meta.exceptions import InvalidParameterError, check_least
from automl_meta.training.device import imports_unwatched, keep_freed_memory

WHERE = "benchmark engine"
EXECUTIONS = ("folded", "vectorized", "looped")
_CHOICES = {
    "order": ("second", "first"),
    "net": ("stride", "max"),
    "device": ("auto", "cpu", "cuda"),
    "data": ("synthetic", "omniglot"),
    "matmul": ("highest", "high", "medium"),
}


@dataclass(frozen=True)
class EngineSettings:
    """One meta-iteration of MAML and how it is measured.

    Attributes:
        ways: Classes N of a task, >= 2.
        shots: Support images of a class, >= 1.
        queries: Query images of a class, >= 1.
        steps: Inner steps, >= 1.
        order: ``"second"`` for MAML, ``"first"`` for first-order MAML.
        tasks: Tasks of the meta-batch, >= 1.
        net: ``conv4`` with strides or with max-pooling.
        filters: Of each convolution, >= 1.
        inner_rate: Learning rate of the inner loop, > 0.
        device: ``"auto"`` takes a GPU where there is one.
        threads: PyTorch's threads, the same for everyone.
        repeats: Measured rounds, >= 2.
        chunk: Tasks at once of the folded execution; None for the fastest of a short search.
        executions: Which of ours.
        peers: Whether to measure other libraries where they can be imported.
        data: ``"synthetic"`` draws images of noise, ``"omniglot"`` episodes of its training characters.
        data_folder: Where Omniglot is; None for the shared data.
        matmul: ``torch.set_float32_matmul_precision``, the same for everyone.
        memory: Whether to measure peak memory; on a processor each competitor then runs once more, in a
            process of its own.
        seed: Of weights and data.

    Raises:
        InvalidParameterError: If an attribute breaks its rule.

    Example:
        >>> EngineSettings(tasks=4).order
        'second'
    """

    ways: int = 5
    shots: int = 1
    queries: int = 15
    steps: int = 5
    order: str = "second"
    tasks: int = 32
    net: str = "stride"
    filters: int = 64
    inner_rate: float = 0.1
    device: str = "auto"
    threads: int = 2
    repeats: int = 5
    chunk: int | None = None
    executions: tuple[str, ...] = EXECUTIONS
    peers: bool = True
    data: str = "synthetic"
    data_folder: str | None = None
    matmul: str = "highest"
    memory: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        ones = ("shots", "queries", "steps", "tasks", "filters", "threads")
        check_least(self, WHERE, {"ways": 2, "repeats": 2, **dict.fromkeys(ones, 1)})
        if self.chunk is not None:
            check_least(self, WHERE, {"chunk": 1})
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise _refused(name, f"one of {', '.join(choices)}", getattr(self, name))
        unknown = [name for name in self.executions if name not in EXECUTIONS]
        if unknown or len(set(self.executions)) != len(self.executions) or not self.executions:
            raise _refused("executions", f"different ones of {', '.join(EXECUTIONS)}", unknown)
        if self.data_folder is not None and not Path(self.data_folder).is_dir():
            raise _refused("data_folder", "an existing folder", self.data_folder)


@contextmanager
def same_for_everyone(settings: EngineSettings) -> Iterator[torch.device]:
    """Set PyTorch's global switches for a run, and restore them.

    Args:
        settings: Of the run.

    Yields:
        The device.

    Raises:
        InvalidParameterError: If a GPU is asked for where there is none.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise _refused("device", "auto or cpu where PyTorch sees no GPU", settings.device)
    on_gpu = torch.cuda.is_available() and settings.device != "cpu"
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    convolutions = torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision(settings.matmul)
        # A GPU's convolutions have a switch of their own, which is on by default.
        torch.backends.cudnn.allow_tf32 = settings.matmul != "highest"
        torch.set_num_threads(settings.threads)
        if not on_gpu:
            keep_freed_memory()  # as `fewshot` does; the one switch that stays, to the end of the process
        with imports_unwatched():
            yield torch.device("cuda" if on_gpu else "cpu")
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.set_num_threads(before[1])


def _refused(name: str, rule: str, value: object) -> InvalidParameterError:
    return InvalidParameterError.of(
        name, WHERE, rule, value, "See automl-meta benchmark engine --help."
    )
