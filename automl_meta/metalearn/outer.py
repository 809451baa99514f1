"""The outer loop's gradient, exact: through every inner step."""

from collections.abc import Mapping

import torch
from torch import Tensor

from automl_meta.metalearn.inner import check_losses, gradients, leaves
from automl_meta.metalearn.params import Divisible, MetaParams, Params, TaskLoss
from automl_meta.metalearn.protocol import Algorithm


def through_the_inner_loop(
    algorithm: Algorithm,
    meta: Mapping[str, Tensor],
    support_loss: TaskLoss,
    query_loss: TaskLoss,
    n_tasks: int,
) -> tuple[Tensor, MetaParams]:
    """Differentiate the mean query loss after adaptation with respect to all meta-parameters.

    Every inner step keeps its graph, the last one too: without it a second derivative would be missing.

    Args:
        algorithm: How to adapt.
        meta: Meta-parameters.
        support_loss: Task-batched parameters to losses [T].
        query_loss: The same, for the adapted parameters.
        n_tasks: T.

    Returns:
        The loss, detached, and the gradient.

    Raises:
        InvalidParameterError: If a loss is not of shape [T] or has no gradient.
    """
    variables = leaves(meta)
    with torch.enable_grad():
        adapted = algorithm.adapt(variables, support_loss, n_tasks, create_graph=True)
        loss, outer = query_gradients(query_loss, adapted, n_tasks)
        grads = torch.autograd.grad(
            list(adapted.values()),
            list(variables.values()),
            list(outer.values()),
            materialize_grads=True,
        )
    return loss, dict(zip(variables, grads, strict=True))


def query_gradients(
    query_loss: TaskLoss, adapted: Mapping[str, Tensor], n_tasks: int
) -> tuple[Tensor, Params]:
    """Differentiate the mean query loss with respect to the adapted weights.

    The rest of the chain rule, through the inner loop, needs no more of the query than this, so its graph
    never coexists with all of the inner loop's backward pass. A ``Divisible`` loss is computed piece by
    piece: a large query then stays in a processor's caches.

    Args:
        query_loss: Task-batched parameters to losses [T].
        adapted: Leaves [T, ...], in a graph or not.
        n_tasks: T.

    Returns:
        The mean loss, detached, and gradients of ``adapted``'s names and shapes.

    Raises:
        InvalidParameterError: If the loss is not of shape [T] or has no gradient.

    Example:
        >>> loss, grads = query_gradients(lambda params: params["w"].square(), {"w": torch.tensor([1.0, 3.0])}, 2)
        >>> loss, grads["w"]
        (tensor(5.), tensor([1., 3.]))
    """
    pieces = (
        query_loss.pieces() if isinstance(query_loss, Divisible) else [(slice(None), query_loss)]
    )
    found = []
    for tasks, loss_of_some in pieces:
        some = leaves({name: leaf[tasks] for name, leaf in adapted.items()})
        size = len(range(n_tasks)[tasks])
        with torch.enable_grad():
            values = check_losses(loss_of_some(some), size, "query_loss")
            found.append((values.detach(), gradients(values.sum() / n_tasks, some)))
    losses = torch.cat([values for values, _ in found])
    if len(found) == 1:
        return losses.mean(), found[0][1]
    return check_losses(losses, n_tasks, "query_loss").mean(), {
        name: _joined([part[name] for _, part in found], like=leaf)
        for name, leaf in adapted.items()
    }


def _joined(parts: list[Tensor], *, like: Tensor) -> Tensor:
    """Join gradients of pieces in the memory layout of the weights, which the inner loop's backward pass keeps."""
    joined = torch.empty_like(like.detach())
    torch.cat(parts, out=joined)
    return joined
