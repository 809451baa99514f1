"""The inner loop: gradient descent on every task of a batch at once.

Rates come in three forms: one number, one leaf per parameter, or a sequence of the latter, one for each step.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from automl_meta.exceptions import InvalidParameterError, check_int
from automl_meta.metalearn.params import Params, TaskLoss, loss_at

#: Learning rates of the inner loop. Steps beyond the end of a sequence use its last element.
Rates: TypeAlias = float | Params | Sequence[Params]


def descend(
    params: Params,
    rates: Rates,
    loss: TaskLoss,
    n_tasks: int,
    steps: int,
    *,
    create_graph: bool = False,
    recompute: bool = False,
) -> Params:
    """Run ``steps`` steps of descent, each task on its own loss, and return where they end.

    The arguments are those of ``trajectory``.

    Returns:
        Leaves [T, ...]: in the graph of ``params`` and ``rates`` with ``create_graph``, else detached.

    Raises:
        InvalidParameterError: If the loss is not of shape [T] or has no gradient.
    """
    last = params if create_graph else {name: leaf.detach() for name, leaf in params.items()}
    for current in trajectory(
        params, rates, loss, n_tasks, steps, create_graph=create_graph, recompute=recompute
    ):
        last = current
    return last


def trajectory(
    params: Params,
    rates: Rates,
    loss: TaskLoss,
    n_tasks: int,
    steps: int,
    *,
    create_graph: bool = False,
    first_order: bool = False,
    recompute: bool = False,
) -> Iterator[Params]:
    """Run descent, each task on its own loss, and yield the parameters after each step.

    ``phi_t <- phi_t - alpha o grad S_t(phi_t)``

    Args:
        params: Task-batched start, leaves [T, ...].
        rates: Learning rates; a leaf is [...] or [].
        loss: Task-batched parameters to losses [T]; a ``StepLoss`` gives each step its own.
        n_tasks: T.
        steps: Number of steps, >= 0.
        create_graph: Keep the graph of every step.
        first_order: With ``create_graph``: the gradients are constants in that graph, which then holds
            little more than ``params`` and ``rates``.
        recompute: With ``create_graph``: keep only the parameters after each step and compute a step's graph
            again when it is differentiated. Less memory from about five steps on, a third to a half more
            time, the same numbers.

    Yields:
        Leaves [T, ...]: in the graph of ``params`` and ``rates`` with ``create_graph``, else detached.

    Raises:
        InvalidParameterError: If the loss is not of shape [T] or has no gradient.
    """
    second_order = create_graph and not first_order
    current = params

    def after(step: int, params: Params) -> Params:
        start, grads = support_gradients(
            loss_at(loss, step), params, n_tasks, create_graph=second_order
        )
        with torch.set_grad_enabled(create_graph):
            # Detached where no graph is wanted: the caller's graph must not hold on to every step.
            start = start if second_order else params
            return _step(start, grads, _rates_at(rates, step))

    for step in range(steps):
        current = (
            _recomputed(after, step, current)
            if recompute and second_order
            else after(step, current)
        )
        yield current


def _recomputed(after: Callable[[int, Params], Params], step: int, params: Params) -> Params:
    """Do a step whose graph is forgotten, and made again in the backward pass."""

    def run(*leaves: Tensor) -> tuple[Tensor, ...]:
        return tuple(after(step, dict(zip(params, leaves, strict=True))).values())

    # Nothing random happens in a step; saving a random state would make a GPU wait.
    moved = checkpoint(run, *params.values(), use_reentrant=False, preserve_rng_state=False)
    return dict(zip(params, moved, strict=True))


def support_gradients(
    loss: TaskLoss, params: Params, n_tasks: int, *, create_graph: bool = False
) -> tuple[Params, Params]:
    """Differentiate every task's support loss with respect to its own parameters.

    Args:
        loss: Task-batched parameters to losses [T].
        params: Where, leaves [T, ...].
        n_tasks: T.
        create_graph: Keep the graph of the gradients; ``params`` then stay in theirs.

    Returns:
        The parameters that were differentiated, and the gradients, leaves [T, ...].

    Raises:
        InvalidParameterError: If the loss is not of shape [T] or has no gradient.
    """
    with torch.enable_grad():
        # A start that nobody differentiates is no leaf yet, and the inner gradient needs one.
        start = _differentiable(params) if create_graph else leaves(params)
        total = check_losses(loss(start), n_tasks, "support_loss").sum()
        return start, gradients(total, start, create_graph=create_graph)


def _differentiable(params: Params) -> Params:
    return {
        name: leaf if leaf.requires_grad else leaf.detach().requires_grad_()
        for name, leaf in params.items()
    }


def _rates_at(rates: Rates, step: int) -> float | Params:
    if isinstance(rates, Sequence):
        return rates[min(step, len(rates) - 1)]
    return rates


def _step(params: Params, grads: Params, rates: float | Params) -> Params:
    # One pass over the weights each, and the same rounding for one rate as for equal ones.
    if isinstance(rates, Mapping):
        return {
            name: torch.addcmul(leaf, rates[name], grads[name], value=-1)
            for name, leaf in params.items()
        }
    return {name: torch.add(leaf, grads[name], alpha=-rates) for name, leaf in params.items()}


def gradients(loss: Tensor, variables: Params, *, create_graph: bool = False) -> Params:
    """Differentiate a scalar with respect to a dictionary; what it does not depend on gets zeros.

    Args:
        loss: A scalar in the graph of ``variables``.
        variables: Tensors that require gradients.
        create_graph: Make the gradients themselves differentiable.

    Returns:
        Gradients with the names and shapes of ``variables``.

    Raises:
        InvalidParameterError: If the loss depends on no variable at all.

    Example:
        >>> w = torch.tensor(3.0, requires_grad=True)
        >>> gradients(w.square(), {"w": w})
        {'w': tensor(6.)}
    """
    if not loss.requires_grad:
        raise InvalidParameterError.of(
            "loss",
            "the inner loop",
            "a differentiable function of the parameters it is given",
            loss.detach(),
            "Compute it from its argument, without detach() or torch.no_grad().",
        )
    values = torch.autograd.grad(
        loss, list(variables.values()), create_graph=create_graph, materialize_grads=True
    )
    return dict(zip(variables, values, strict=True))


def leaves(params: Mapping[str, Tensor]) -> Params:
    """Detach from any graph and require gradients.

    Args:
        params: Leaves of any shape.

    Returns:
        The same values as fresh leaves.

    Example:
        >>> leaves({"w": torch.ones(1)})["w"].requires_grad
        True
    """
    return {name: leaf.detach().requires_grad_() for name, leaf in params.items()}


def check_losses(losses: Tensor, n_tasks: int, name: str) -> Tensor:
    """Return the losses if there is one per task.

    Args:
        losses: What a loss returned.
        n_tasks: T.
        name: Name of the loss, for the message.

    Returns:
        ``losses``, shape [T].

    Raises:
        InvalidParameterError: If the shape is another one, such as a mean over the tasks.

    Example:
        >>> check_losses(torch.zeros(2), 2, "support_loss")
        tensor([0., 0.])
    """
    if not isinstance(losses, Tensor) or losses.shape != (n_tasks,):
        received = tuple(losses.shape) if isinstance(losses, Tensor) else losses
        raise InvalidParameterError.of(
            name,
            "the inner loop",
            f"a function that returns one loss per task, shape ({n_tasks},)",
            received,
            "Reduce over everything but the task axis.",
        )
    return losses


def check_rate(rate: float, name: str, where: str) -> float:
    """Return a learning rate if it is a positive finite number, else raise InvalidParameterError.

    Example:
        >>> check_rate(0.1, "rate", "MAML")
        0.1
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise InvalidParameterError.of(name, where, "a finite number > 0", rate, "Try 0.01.")
    return rate


def check_steps(steps: int, where: str, *, least: int = 1) -> int:
    """Return a number of inner steps if it is an int >= ``least``, else raise InvalidParameterError.

    Example:
        >>> check_steps(5, "MAML")
        5
    """
    return check_int(steps, "steps", where, least, remedy="Try 5.")
