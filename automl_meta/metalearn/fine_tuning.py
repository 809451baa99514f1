"""Fine-tuning: what every meta-learner has to beat."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.metalearn.inner import check_rate, check_steps, descend, leaves
from automl_meta.metalearn.outer import query_gradients
from automl_meta.metalearn.params import (
    MetaParams,
    Params,
    TaskLoss,
    copies,
    expand,
    join_meta,
    only_weights,
    split_meta,
)


@dataclass(frozen=True)
class FineTuning:
    """One network trained on all tasks alike, whose weights are the start of plain descent on a new one.

    The outer loop never adapts: it minimises the mean of support and query loss at the shared weights, which is
    ordinary training on everything that the tasks hold. It needs labels that mean the same on every task.

    Attributes:
        rate: alpha > 0, of the descent on a new task.
        steps: Its steps, >= 0.

    Example:
        >>> tuning = FineTuning(rate=0.5, steps=1)
        >>> meta = tuning.init({"w": torch.tensor(1.0)})
        >>> square = lambda params: params["w"].square()
        >>> tuning.meta_gradients(meta, square, square, n_tasks=1)
        (tensor(1.), {'weights.w': tensor(2.)})
        >>> tuning.adapt(meta, square, n_tasks=1)
        {'w': tensor([0.])}
    """

    rate: float
    steps: int = 50

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate", "FineTuning")
        check_steps(self.steps, "FineTuning", least=0)

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """See ``Algorithm.init``."""
        return join_meta(copies(params))

    def adapt(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        n_tasks: int,
        *,
        create_graph: bool = False,
        steps: int | None = None,
    ) -> Params:
        """See ``Algorithm.adapt``."""
        n_steps = check_steps(self.steps if steps is None else steps, "adapt", least=0)
        weights = expand(only_weights(meta), n_tasks)
        return descend(
            weights, self.rate, support_loss, n_tasks, n_steps, create_graph=create_graph
        )

    def meta_gradients(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        query_loss: TaskLoss,
        n_tasks: int,
    ) -> tuple[Tensor, MetaParams]:
        """See ``Algorithm.meta_gradients``; the loss is the mean of both, before any adaptation."""
        weights, _ = split_meta(meta)
        shared = leaves(expand(weights, n_tasks))
        losses, parts = zip(
            *(query_gradients(loss, shared, n_tasks) for loss in (support_loss, query_loss)),
            strict=True,
        )
        grads = {n: sum(part[n].sum(dim=0) for part in parts) / 2 for n in weights}
        return torch.stack(losses).mean(), join_meta(grads)
