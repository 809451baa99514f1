"""The outer loop's gradient, exact: through every inner step."""

from collections.abc import Mapping

import torch
from torch import Tensor

from automl_meta.metalearn.inner import check_losses, gradients, leaves
from automl_meta.metalearn.params import MetaParams, TaskLoss
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
    """
    variables = leaves(meta)
    with torch.enable_grad():
        adapted = algorithm.adapt(variables, support_loss, n_tasks, create_graph=True)
        loss = check_losses(query_loss(adapted), n_tasks, "query_loss").mean()
        grads = gradients(loss, variables)
    return loss.detach(), grads
