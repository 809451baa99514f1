"""BOIL: an inner loop for the body, the head stays."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from automl_meta.metalearn.inner import check_rate, check_steps
from automl_meta.metalearn.outer import through_the_inner_loop
from automl_meta.metalearn.params import (
    MetaParams,
    Params,
    TaskLoss,
    copies,
    expand,
    join_meta,
    only_weights,
)
from automl_meta.metalearn.partial import adapt_part, divided


@dataclass(frozen=True)
class BOIL:
    """MAML whose inner loop changes the body alone, so that features must move, not decision boundaries.

    ANIL's mirror image. The head is learned by the outer loop, as one that suits all tasks.

    Attributes:
        rate: alpha > 0.
        steps: Inner steps, >= 1.
        head: What does not adapt: parameters of this name, or of a name that starts with it and a dot;
            several names as a tuple.

    Reference:
        Oh, Yoo, Kim and Yun (2021), BOIL: Towards Representation Change for Few-shot Learning, equations 3
        and 4. arXiv:2008.08882

    Example:
        >>> import torch
        >>> boil = BOIL(rate=0.5)
        >>> meta = boil.init({"body": torch.tensor(2.0), "head": torch.tensor(1.0)})
        >>> product = lambda params: params["body"] * params["head"]
        >>> boil.adapt(meta, product, n_tasks=1)
        {'body': tensor([1.5000]), 'head': tensor([1.])}
    """

    rate: float
    steps: int = 1
    head: str | tuple[str, ...] = "head"

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate", "BOIL")
        check_steps(self.steps, "BOIL")

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """See ``Algorithm.init``.

        Raises:
            InvalidParameterError: If no parameter has the head's name.
        """
        divided(params, self.head, "BOIL", "head")
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
        """See ``Algorithm.adapt``; the head's leaves are views of ``meta``."""
        n_steps = check_steps(self.steps if steps is None else steps, "adapt", least=0)
        weights = expand(only_weights(meta), n_tasks)
        body, head = divided(weights, self.head, "BOIL", "head")
        return adapt_part(
            body,
            head,
            rate=self.rate,
            support_loss=support_loss,
            n_tasks=n_tasks,
            steps=n_steps,
            create_graph=create_graph,
        )

    def meta_gradients(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        query_loss: TaskLoss,
        n_tasks: int,
    ) -> tuple[Tensor, MetaParams]:
        """See ``Algorithm.meta_gradients``."""
        return through_the_inner_loop(self, meta, support_loss, query_loss, n_tasks)
