"""Adaptation by context: a few numbers beside the network's weights are all that a task changes."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
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
class ContextAdaptation:
    r"""An inner loop over context parameters phi, with the network's weights theta frozen there.

    .. math:: \phi_{t+1} = \phi_t - \alpha \nabla_\phi L(\phi_t, \theta), \quad \theta \leftarrow \theta - \beta \nabla_\theta
        L(\phi_k(\theta), \theta)

    In CAVIA every task starts from :math:`\phi_0 = 0` and theta alone is learned. With a learned start phi_0 is
    learned too: prompt tuning, where phi are vectors that a transformer reads beside its input.

    Attributes:
        rate: alpha > 0.
        steps: Inner steps, >= 1.
        context: Name of phi among the parameters, or of the layer that holds it; several as a tuple.
        learned_start: Whether phi_0 is learned; else it is 0 and its gradient vanishes.

    Reference:
        Zintgraf, Shiarlis, Kurin, Hofmann and Whiteson (2019), Fast Context Adaptation via Meta-Learning,
        section 3 and algorithm 1. arXiv:1810.03642. Prompts as what adapts: Lester, Al-Rfou and Constant (2021),
        The Power of Scale for Parameter-Efficient Prompt Tuning. arXiv:2104.08691

    Example:
        >>> cavia = ContextAdaptation(rate=0.5)
        >>> meta = cavia.init({"w": torch.tensor(2.0), "context": torch.tensor(1.0)})
        >>> product = lambda params: params["w"] * params["context"]
        >>> cavia.adapt(meta, product, n_tasks=1)
        {'context': tensor([-1.]), 'w': tensor([2.])}
    """

    rate: float
    steps: int = 1
    context: str | tuple[str, ...] = "context"
    learned_start: bool = False

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate", "ContextAdaptation")
        check_steps(self.steps, "ContextAdaptation")

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """See ``Algorithm.init``; without a learned start the context is zero.

        Raises:
            InvalidParameterError: If no parameter has the context's name.
        """
        weights, context = self.parts(params)
        if not self.learned_start:
            context = {name: torch.zeros_like(leaf) for name, leaf in context.items()}
        return join_meta(copies({name: {**weights, **context}[name] for name in params}))

    def adapt(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        n_tasks: int,
        *,
        create_graph: bool = False,
        steps: int | None = None,
    ) -> Params:
        """See ``Algorithm.adapt``; all leaves but the context are views of ``meta``."""
        n_steps = check_steps(self.steps if steps is None else steps, "adapt", least=0)
        weights, context = self.parts(expand(only_weights(meta), n_tasks))
        if not self.learned_start:
            context = {name: torch.zeros_like(leaf) for name, leaf in context.items()}
        return adapt_part(
            context,
            weights,
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
        """Divide parameters into the network's weights and the context.

        Args:
            params: Leaves of any shape.

        Raises:
            InvalidParameterError: If no parameter has the context's name.
        """
        return divided(params, self.context, "ContextAdaptation", "context")
