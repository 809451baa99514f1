"""MAML and Meta-SGD: the outer gradient runs through the inner loop.

Each algorithm is a frozen record of its settings with three pure methods. A task is whatever its losses
say: the support loss drives the inner loop, the query loss judges the adapted parameters. Tasks are
independent, so the gradient of the *sum* of their losses holds every task's own gradient.

| symbol | meaning |
|---|---|
| theta | initial weights, shared by all tasks |
| phi_t | adapted weights of task t |
| S_t, Q_t | support and query loss of task t |
| alpha | learning rate of the inner loop |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.inner import (
    check_losses,
    check_rate,
    check_steps,
    descend,
    gradients,
    leaves,
)
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
from automl_meta.metalearn.protocol import Algorithm


@dataclass(frozen=True)
class MAML:
    """Model-agnostic meta-learning, with exact second-order gradients.

    ``phi_t = theta - alpha * grad S_t(theta)``, repeated ``steps`` times; the outer loop minimises
    ``mean_t Q_t(phi_t)`` over theta, through the inner loop.

    Attributes:
        rate: alpha > 0.
        steps: Inner steps, >= 1.

    Reference:
        Finn, Abbeel and Levine (2017), Model-Agnostic Meta-Learning, equation 1. arXiv:1703.03400

    Example:
        >>> maml = MAML(rate=0.25, steps=1)
        >>> meta = maml.init({"w": torch.tensor(2.0)})
        >>> maml.adapt(meta, lambda params: params["w"].square(), n_tasks=1)["w"]
        tensor([1.])
    """

    rate: float
    steps: int = 1

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate", "MAML")
        check_steps(self.steps, "MAML")

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
        """See ``Algorithm.meta_gradients``."""
        return _through_the_inner_loop(self, meta, support_loss, query_loss, n_tasks)


@dataclass(frozen=True)
class MetaSGD:
    """Meta-SGD: the inner loop's learning rates are learned too, one per parameter entry.

    ``phi_t = theta - alpha o grad S_t(theta)`` with ``alpha`` of theta's shape and ``o`` the entrywise
    product (equation 2), repeated ``steps`` times; the outer loop minimises ``mean_t Q_t(phi_t)`` over theta
    *and* alpha (equation 3). A learned rate may become zero (an entry that is not adapted) or negative.

    Attributes:
        initial_rate: What every entry of alpha starts from, > 0.
        steps: Inner steps, >= 1.

    Reference:
        Li, Zhou, Chen and Li (2017), Meta-SGD: Learning to Learn Quickly for Few-Shot Learning, equations
        2 and 3. arXiv:1707.09835

    Example:
        >>> MetaSGD(initial_rate=0.5).init({"w": torch.ones(2)})
        {'weights.w': tensor([1., 1.]), 'rates.w': tensor([0.5000, 0.5000])}
    """

    initial_rate: float
    steps: int = 1

    def __post_init__(self) -> None:
        check_rate(self.initial_rate, "initial_rate", "MetaSGD")
        check_steps(self.steps, "MetaSGD")

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """See ``Algorithm.init``; every rate starts at ``initial_rate``."""
        weights = copies(params)
        rates = {name: torch.full_like(leaf, self.initial_rate) for name, leaf in weights.items()}
        return join_meta(weights, rates)

    def adapt(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        n_tasks: int,
        *,
        create_graph: bool = False,
        steps: int | None = None,
    ) -> Params:
        """See ``Algorithm.adapt``; the rates come from ``meta``."""
        weights, rates = split_meta(meta)
        if set(rates) != set(weights):
            raise InvalidParameterError.of(
                "meta",
                "MetaSGD.adapt",
                "a mapping with one 'rates.NAME' per 'weights.NAME'",
                sorted(meta),
                "Make it with MetaSGD.init.",
            )
        n_steps = check_steps(self.steps if steps is None else steps, "MetaSGD.adapt", least=0)
        return descend(
            expand(weights, n_tasks),
            rates,
            support_loss,
            n_tasks,
            n_steps,
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
        return _through_the_inner_loop(self, meta, support_loss, query_loss, n_tasks)


def _through_the_inner_loop(
    algorithm: Algorithm,
    meta: Mapping[str, Tensor],
    support_loss: TaskLoss,
    query_loss: TaskLoss,
    n_tasks: int,
) -> tuple[Tensor, MetaParams]:
    variables = leaves(meta)
    with torch.enable_grad():
        adapted = algorithm.adapt(variables, support_loss, n_tasks, create_graph=True)
        loss = check_losses(query_loss(adapted), n_tasks, "query_loss").mean()
        grads = gradients(loss, variables)
    return loss.detach(), grads
