"""Parameters as plain dictionaries, with and without a leading task axis.

Notation used in this package:

| name | shape | meaning |
|---|---|---|
| ``params`` | each leaf [...] | one set of weights |
| task-batched ``params`` | each leaf [T, ...] | one set of weights for each of T tasks |
| ``meta`` | flat, ``weights.NAME`` and ``rates.NAME`` | what the outer loop learns |
| S | | steps of the inner loop; what is learned for each step has a leading axis of that size |
| a loss | task-batched params -> [T] | one loss per task; entry t depends on slice t alone |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor, nn

from automl_meta.exceptions import InvalidParameterError, check_int

#: Name to tensor. Task-batched where every leaf carries a leading task axis.
Params: TypeAlias = dict[str, Tensor]
#: What the outer loop learns: initial weights under ``weights.``, learning rates under ``rates.``.
MetaParams: TypeAlias = dict[str, Tensor]
#: Task-batched parameters (leaves [T, ...]) to one loss per task, shape [T].
TaskLoss: TypeAlias = Callable[[Params], Tensor]


@dataclass(frozen=True)
class StepLoss:
    """A support loss that is another one at every inner step, as with minibatches of the support.

    It may stand wherever a ``TaskLoss`` may.

    Attributes:
        at: Inner step, counted from 0, to the loss of that step.

    Example:
        >>> import torch
        >>> loss = StepLoss(lambda step: lambda params: step * params["w"])
        >>> loss.at(2)({"w": torch.ones(3)})
        tensor([2., 2., 2.])
    """

    at: Callable[[int], TaskLoss]

    def __call__(self, params: Params) -> Tensor:
        """Return the losses of the first step, shape [T]."""
        return self.at(0)(params)


@runtime_checkable
class Divisible(Protocol):
    """A loss that can be computed for some of its tasks."""

    def pieces(self) -> list[tuple[slice, TaskLoss]]:
        """Return parts that cover all tasks in order, each a slice and the loss of those tasks."""
        ...


@runtime_checkable
class Fixable(Protocol):
    """A loss that can compute once what depends on parameters that will not change."""

    def fixing(self, fixed: Params) -> TaskLoss:
        """Return the loss as a function of the other parameters.

        Args:
            fixed: Task-batched parameters; the result stays in their graph.
        """
        ...


def loss_at(loss: TaskLoss, step: int) -> TaskLoss:
    """Return the loss of an inner step.

    Args:
        loss: Any loss.
        step: From 0.

    Example:
        >>> loss_at(len, 3) is len
        True
    """
    return loss.at(step) if isinstance(loss, StepLoss) else loss


def fixing(loss: TaskLoss | Fixable, fixed: Params) -> TaskLoss:
    """Return a loss as a function of those parameters that are not given yet.

    Args:
        loss: A function of all parameters.
        fixed: Some of them, task-batched; the result stays in their graph.

    Example:
        >>> import torch
        >>> total = lambda params: params["a"] + params["b"]
        >>> fixing(total, {"a": torch.ones(1)})({"b": torch.ones(1)})
        tensor([2.])
    """
    if isinstance(loss, StepLoss):
        return StepLoss(lambda step: fixing(loss_at(loss, step), fixed))
    if isinstance(loss, Fixable):
        return loss.fixing(fixed)
    return lambda params: loss({**fixed, **params})


_WEIGHTS = "weights."
_RATES = "rates."


def expand(params: Mapping[str, Tensor], n_tasks: int) -> Params:
    """Give every task its own view of the same parameters.

    Args:
        params: Leaves of shape [...].
        n_tasks: T >= 1.

    Returns:
        Leaves of shape [T, ...], views that share memory and stay in the autograd graph.

    Raises:
        InvalidParameterError: If ``n_tasks`` is not an int >= 1.

    Example:
        >>> import torch
        >>> expand({"w": torch.zeros(3)}, 2)["w"].shape
        torch.Size([2, 3])
    """
    remedy = "Give the number of tasks in the batch."
    check_int(n_tasks, "n_tasks", "expand", 1, remedy=remedy)
    return {name: leaf.expand(n_tasks, *leaf.shape) for name, leaf in params.items()}


def join_meta(
    weights: Mapping[str, Tensor], rates: Mapping[str, Tensor] | None = None
) -> MetaParams:
    """Put initial weights and learning rates into one flat dictionary.

    A flat one is what optimisers and safetensors files want.

    Args:
        weights: Initial weights, leaves [...].
        rates: Learning rates of the inner loop for some or all of the weights, or None. A leaf is [...] (one
            rate per entry) or [] (one for the tensor), or either with a leading axis of inner steps.

    Returns:
        A dictionary with the names ``weights.NAME`` and ``rates.NAME``.

    Raises:
        InvalidParameterError: If ``weights`` is empty, or a rate has no weight or does not fit its shape.

    Example:
        >>> import torch
        >>> sorted(join_meta({"w": torch.ones(2)}, {"w": torch.full((2,), 0.1)}))
        ['rates.w', 'weights.w']
    """
    if not weights:
        raise InvalidParameterError.of(
            "weights", "join_meta", "a non-empty mapping", {}, "Give the initial parameters."
        )
    meta = {_WEIGHTS + name: leaf for name, leaf in weights.items()}
    for name, rate in (rates or {}).items():
        if name not in weights or not _fits(rate, weights[name]):
            raise InvalidParameterError.of(
                "rates",
                "join_meta",
                "of the weights' names and of shape [...] or [], with or without a leading axis of steps",
                f"{name} of shape {tuple(rate.shape)}",
                "Make one rate per weight.",
            )
        meta[_RATES + name] = rate
    return meta


def _fits(rate: Tensor, weight: Tensor) -> bool:
    return any(shape in {weight.shape, ()} for shape in (tuple(rate.shape), tuple(rate.shape[1:])))


def split_meta(meta: Mapping[str, Tensor]) -> tuple[Params, Params]:
    """Take apart what ``join_meta`` put together.

    Args:
        meta: Flat meta-parameters.

    Returns:
        Initial weights and learning rates; the latter is empty for algorithms that learn none.

    Raises:
        InvalidParameterError: If a name has neither prefix, or there are no weights.

    Example:
        >>> import torch
        >>> split_meta({"weights.w": torch.tensor(1.0)})
        ({'w': tensor(1.)}, {})
    """
    weights, rates = below(meta, _WEIGHTS), below(meta, _RATES)
    if not weights or len(weights) + len(rates) != len(meta):
        raise InvalidParameterError.of(
            "meta",
            "split_meta",
            "a mapping of 'weights.NAME' and 'rates.NAME'",
            sorted(meta),
            "Make it with Algorithm.init.",
        )
    return weights, rates


def module_params(module: nn.Module) -> Params:
    """Copy a module's parameters into a dictionary; the module itself is never touched again.

    Args:
        module: Any module.

    Returns:
        Detached copies, leaves of the parameters' shapes.

    Example:
        >>> sorted(module_params(nn.Linear(2, 1)))
        ['bias', 'weight']
    """
    return {name: leaf.detach().clone() for name, leaf in module.named_parameters()}


def below(params: Mapping[str, Tensor], prefix: str, *, to: str = "") -> Params:
    """Return the parameters whose names begin with a prefix, with another one in its place.

    Args:
        params: Leaves of any shape.
        prefix: Such as ``"head."``.
        to: What takes its place.

    Example:
        >>> import torch
        >>> below({"head.w": torch.ones(1), "body.w": torch.zeros(1)}, "head.")
        {'w': tensor([1.])}
    """
    return {
        to + name.removeprefix(prefix): leaf
        for name, leaf in params.items()
        if name.startswith(prefix)
    }


def copies(params: Mapping[str, Tensor]) -> Params:
    """Return detached copies of parameters.

    Args:
        params: Leaves of any shape.

    Example:
        >>> import torch
        >>> copies({"w": torch.ones(1, requires_grad=True)})
        {'w': tensor([1.])}
    """
    return {name: leaf.detach().clone() for name, leaf in params.items()}


def only_weights(meta: Mapping[str, Tensor]) -> Params:
    """Return the weights of meta-parameters that hold no learned rates.

    Args:
        meta: Flat meta-parameters.

    Returns:
        Initial weights.

    Raises:
        InvalidParameterError: If there are learned rates, which the caller would silently ignore.

    Example:
        >>> import torch
        >>> only_weights({"weights.w": torch.tensor(1.0)})
        {'w': tensor(1.)}
    """
    weights, rates = split_meta(meta)
    if rates:
        raise InvalidParameterError.of(
            "meta",
            "adapt",
            "free of learned rates for an algorithm with a fixed one",
            sorted(meta),
            "Use MetaSGD, or make it with this algorithm's init.",
        )
    return weights
