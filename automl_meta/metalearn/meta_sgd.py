"""Meta-SGD: the learning rates of the inner loop are learned too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.inner import check_rate, check_steps, descend
from automl_meta.metalearn.outer import through_the_inner_loop
from automl_meta.metalearn.params import (
    MetaParams,
    Params,
    TaskLoss,
    copies,
    expand,
    join_meta,
    split_meta,
)

Granularity = Literal["entry", "tensor"]


@dataclass(frozen=True)
class MetaSGD:
    """Meta-SGD: the inner loop's learning rates are learned too, one per parameter entry.

    ``phi_t = theta - alpha o grad S_t(theta)`` with ``alpha`` of theta's shape and ``o`` the entrywise
    product (equation 2), repeated ``steps`` times; the outer loop minimises ``mean_t Q_t(phi_t)`` over theta
    *and* alpha (equation 3). A learned rate may become zero (an entry that is not adapted) or negative; its
    gradient does not vanish there, so it may come back.

    Attributes:
        initial_rate: What every entry of alpha starts from, > 0.
        steps: Inner steps, >= 1.
        granularity: One rate per ``"entry"`` (the paper's) or per ``"tensor"``.
        per_step: Whether every inner step has its own rates; steps beyond ``steps`` use the last ones.
        recompute: See ``MAML``.

    Reference:
        Li, Zhou, Chen and Li (2017), Meta-SGD: Learning to Learn Quickly for Few-Shot Learning, equations
        2 and 3. arXiv:1707.09835

    Example:
        >>> import torch
        >>> MetaSGD(initial_rate=0.5).init({"w": torch.ones(2)})
        {'weights.w': tensor([1., 1.]), 'rates.w': tensor([0.5000, 0.5000])}
        >>> MetaSGD(0.5, 3, granularity="tensor", per_step=True).init({"w": torch.ones(2)})["rates.w"]
        tensor([0.5000, 0.5000, 0.5000])
    """

    initial_rate: float
    steps: int = 1
    granularity: Granularity = "entry"
    per_step: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        check_rate(self.initial_rate, "initial_rate", "MetaSGD")
        check_steps(self.steps, "MetaSGD")
        if self.granularity not in get_args(Granularity):
            raise InvalidParameterError.of(
                "granularity", "MetaSGD", "'entry' or 'tensor'", self.granularity, "Use 'entry'."
            )

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """See ``Algorithm.init``; every rate starts at ``initial_rate``."""
        weights = copies(params)
        rates = {
            name: leaf.new_full(self._rate_shape(leaf), self.initial_rate)
            for name, leaf in weights.items()
        }
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
        self._check(weights, rates)
        n_steps = check_steps(self.steps if steps is None else steps, "MetaSGD.adapt", least=0)
        return descend(
            expand(weights, n_tasks),
            unstack(rates, self.steps) if self.per_step else rates,
            support_loss,
            n_tasks,
            n_steps,
            create_graph=create_graph,
            recompute=self.recompute,
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

    def _rate_shape(self, weight: Tensor) -> tuple[int, ...]:
        own = tuple(weight.shape) if self.granularity == "entry" else ()
        return (self.steps, *own) if self.per_step else own

    def _check(self, weights: Params, rates: Params) -> None:
        # Shapes too: a rate of another granularity might broadcast along the wrong axis.
        wanted = {name: self._rate_shape(leaf) for name, leaf in weights.items()}
        if {name: tuple(leaf.shape) for name, leaf in rates.items()} != wanted:
            raise InvalidParameterError.of(
                "meta",
                "MetaSGD.adapt",
                "a mapping with one 'rates.NAME' per 'weights.NAME', of the settings' granularity",
                {name: tuple(leaf.shape) for name, leaf in rates.items()},
                "Make it with MetaSGD.init.",
            )


def unstack(leaves: Params, steps: int) -> list[Params]:
    """Take leaves with a leading axis of steps apart.

    Args:
        leaves: Each [S, ...].
        steps: S.

    Returns:
        S dictionaries with leaves [...], in the graph of ``leaves``.

    Example:
        >>> import torch
        >>> unstack({"w": torch.tensor([1.0, 2.0])}, 2)
        [{'w': tensor(1.)}, {'w': tensor(2.)}]
    """
    return [{name: leaf[step] for name, leaf in leaves.items()} for step in range(steps)]
