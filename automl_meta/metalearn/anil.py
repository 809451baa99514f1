"""ANIL: almost no inner loop, only the head adapts."""

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
class ANIL:
    """MAML whose inner loop changes the head alone; the body is learned by the outer loop, through it.

    A support loss that is ``Fixable`` computes the body's features once, not at every step.

    Attributes:
        rate: alpha > 0.
        steps: Inner steps, >= 1.
        head: What adapts: parameters of this name, or of a name that starts with it and a dot; several
            names as a tuple.

    Reference:
        Raghu, Raghu, Bengio and Vinyals (2020), Rapid Learning or Feature Reuse? Towards Understanding the
        Effectiveness of MAML, section 4. arXiv:1909.09157

    Example:
        >>> import torch
        >>> anil = ANIL(rate=0.5)
        >>> meta = anil.init({"body": torch.tensor(2.0), "head": torch.tensor(1.0)})
        >>> product = lambda params: params["body"] * params["head"]
        >>> anil.adapt(meta, product, n_tasks=1)
        {'head': tensor([0.]), 'body': tensor([2.])}
    """

    rate: float
    steps: int = 1
    head: str | tuple[str, ...] = "head"

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate", "ANIL")
        check_steps(self.steps, "ANIL")

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """See ``Algorithm.init``."""
        self.parts(params)
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
        """See ``Algorithm.adapt``; the body's leaves are views of ``meta``."""
        n_steps = check_steps(self.steps if steps is None else steps, "adapt", least=0)
        body, head = self.parts(expand(only_weights(meta), n_tasks))
        return adapt_part(
            head,
            body,
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

    def parts(self, params: Mapping[str, Tensor]) -> tuple[Params, Params]:
        """Divide parameters into body and head.

        Args:
            params: Leaves of any shape.

        Raises:
            InvalidParameterError: If no parameter has the head's name.

        Example:
            >>> import torch
            >>> ANIL(0.1, head="b").parts({"a.b": torch.ones(1), "b.c": torch.zeros(1)})
            ({'a.b': tensor([1.])}, {'b.c': tensor([0.])})
        """
        return divided(params, self.head, "ANIL", "head")
