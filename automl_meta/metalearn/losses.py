"""Losses of a network on task-batched data: one number per task.

| symbol | meaning |
|---|---|
| T | tasks of a meta-batch |
| B | items of a task |
| N | classes |
| R | items, counted from the first, that give the batch-norm statistics |
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from torch import Tensor
from torch.nn import functional

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.forward import Forward
from automl_meta.metalearn.params import Params, TaskLoss

#: ``(outputs [T, B, ...], targets [T, B, ...]) -> [T]``.
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return each task's mean cross-entropy.

    Args:
        outputs: Logits, shape [T, B, N].
        targets: Classes 0 to N-1, int64, shape [T, B].

    Returns:
        Losses, shape [T].

    Raises:
        InvalidParameterError: If the shapes do not belong together.

    Example:
        >>> import torch
        >>> cross_entropy(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64))
        tensor([1.3863, 1.3863])
    """
    _check_shapes(
        "cross_entropy", outputs.shape[:-1] == targets.shape and outputs.ndim == 3, outputs, targets
    )
    losses = functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
    return losses.view(targets.shape).mean(dim=1)


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return each task's mean squared error.

    Args:
        outputs: Predictions, shape [T, B, d].
        targets: Targets, shape [T, B, d].

    Returns:
        Losses, shape [T].

    Raises:
        InvalidParameterError: If the shapes differ; broadcasting would hide a mistake.

    Example:
        >>> import torch
        >>> mean_squared_error(torch.zeros(2, 3, 1), torch.full((2, 3, 1), 2.0))
        tensor([4., 4.])
    """
    _check_shapes("mean_squared_error", outputs.shape == targets.shape, outputs, targets)
    return (outputs - targets).square().flatten(1).mean(dim=1)


@dataclass(frozen=True, eq=False)
class Split:
    """A network cut in two: ``outputs = head(body(inputs))``.

    Attributes:
        body: ``(params, [T, B, ...]) -> features [T, B, ...]``.
        head: ``(params, features) -> outputs``.
        body_names: Names of the body's parameters in the whole network.
    """

    body: Forward
    head: Forward
    body_names: frozenset[str]


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """The loss of a network on given data, as a function of task-batched parameters.

    Attributes:
        forward: The network, ``(params, [T, B, ...]) -> [T, B, ...]``.
        loss: Outputs and targets to losses [T].
        x: Inputs, shape [T, B, ...].
        y: Targets of all items, or of those after the first R, shape [T, B, ...].
        reference: R >= 1: the first R items only lend their batch-norm statistics to the others and count
            in no loss. None: every item counts, and all of them give the statistics.
        split: The network's two parts, where it has them: with the body fixed, features are computed once.
        piece: Tasks at a time when only the first derivative is wanted, >= 1; None for all.

    Example:
        >>> import torch
        >>> double = lambda params, x: params["w"][:, None, None] * x
        >>> loss = BatchLoss(double, mean_squared_error, torch.ones(2, 3, 1), torch.zeros(2, 3, 1))
        >>> loss({"w": torch.tensor([1.0, 2.0])})
        tensor([1., 4.])
    """

    forward: Forward
    loss: Loss
    x: Tensor
    y: Tensor
    reference: int | None = None
    split: Split | None = None
    piece: int | None = None

    def __call__(self, params: Params) -> Tensor:
        """Return the losses, shape [T]."""
        return self.loss(self.outputs(params), self.y)

    def outputs(self, params: Params) -> Tensor:
        """Return the network's outputs for the items that count, shape [T, B, ...].

        Args:
            params: Task-batched parameters.
        """
        return run(self.forward, params, self.x, self.reference)[:, self.reference :]

    def pieces(self) -> list[tuple[slice, TaskLoss]]:
        """See ``Divisible.pieces``."""
        size = self.piece or len(self.x)
        divided = [slice(start, start + size) for start in range(0, len(self.x), size)]
        return [(some, replace(self, x=self.x[some], y=self.y[some])) for some in divided]

    def fixing(self, fixed: Params) -> TaskLoss:
        """See ``Fixable.fixing``: a fixed body is run once, here."""
        split = self.split
        if split is None or self.reference is not None or split.body_names != set(fixed):
            return lambda params: self({**fixed, **params})
        features = run(split.body, fixed, self.x)
        return lambda params: self.loss(run(split.head, params, features), self.y)


def run(forward: Forward, params: Params, x: Tensor, reference: int | None = None) -> Tensor:
    """Run a network on a batch of tasks.

    Args:
        forward: The network.
        params: Task-batched parameters, leaves [T, ...].
        x: Inputs, shape [T, B, ...].
        reference: R, or None; see ``BatchLoss``.

    Returns:
        Outputs of all items, shape [T, B, ...].

    Raises:
        InvalidParameterError: If the network wrote into its input, which later steps read again.

    Example:
        >>> import torch
        >>> run(lambda params, x: x + params["w"], {"w": torch.ones(1)}, torch.zeros(1, 2))
        tensor([[1., 1.]])
    """
    version = x._version  # noqa: SLF001 - counts in-place writes; torch documents it in its autograd notes
    # Only the executions of this package know of a reference; any function will do without one.
    options: dict[str, Any] = {} if reference is None else {"reference": reference}
    outputs: Tensor = forward(params, x, **options)
    if x._version != version:  # noqa: SLF001
        raise InvalidParameterError.of(
            "network",
            "run",
            "free of in-place operations on its input",
            "a network that wrote into it",
            "Use the operation's other form, such as x * 2 for x.mul_(2).",
        )
    return outputs


def _check_shapes(where: str, fits: bool, outputs: Tensor, targets: Tensor) -> None:
    if not fits:
        raise InvalidParameterError.of(
            "targets",
            where,
            f"of a shape that fits the outputs' {tuple(outputs.shape)}",
            tuple(targets.shape),
            "Give one target per item.",
        )
