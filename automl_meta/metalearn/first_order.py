"""First-order algorithms: no derivative is taken through the inner loop.

The symbols are those of ``automl_meta.metalearn.algorithms``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.algorithms import MAML
from automl_meta.metalearn.inner import (
    check_losses,
    check_rate,
    check_steps,
    descend,
)
from automl_meta.metalearn.outer import query_gradients
from automl_meta.metalearn.params import (
    MetaParams,
    Params,
    TaskLoss,
    copies,
    expand,
    join_meta,
    only_weights,
)


@dataclass(frozen=True)
class FOMAML:
    """First-order MAML: the derivative of the inner loop is taken as the identity.

    ``phi_t`` as in MAML; the outer gradient is ``mean_t grad Q_t(phi_t)``, evaluated at ``phi_t``.

    Attributes:
        rate: alpha > 0.
        steps: Inner steps, >= 1.

    Reference:
        Finn, Abbeel and Levine (2017), section 5.2; Nichol, Achiam and Schulman (2018), section 2.
        arXiv:1803.02999

    Example:
        >>> meta = FOMAML(rate=0.25).init({"w": torch.tensor(2.0)})
        >>> square = lambda params: params["w"].square()
        >>> FOMAML(rate=0.25).meta_gradients(meta, square, square, n_tasks=1)
        (tensor(1.), {'weights.w': tensor(2.)})
    """

    rate: float
    steps: int = 1

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate", "FOMAML")
        check_steps(self.steps, "FOMAML")

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """See ``Algorithm.init``."""
        return MAML(self.rate, self.steps).init(params)

    def adapt(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        n_tasks: int,
        *,
        create_graph: bool = False,
        steps: int | None = None,
    ) -> Params:
        """See ``Algorithm.adapt``: MAML's; ``create_graph`` gives its graph, of any order."""
        return MAML(self.rate, self.steps).adapt(
            meta, support_loss, n_tasks, create_graph=create_graph, steps=steps
        )

    def meta_gradients(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        query_loss: TaskLoss,
        n_tasks: int,
    ) -> tuple[Tensor, MetaParams]:
        """See ``Algorithm.meta_gradients``."""
        adapted = self.adapt(meta, support_loss, n_tasks)
        loss, grads = query_gradients(query_loss, adapted, n_tasks)
        return loss, join_meta({name: leaf.sum(dim=0) for name, leaf in grads.items()})


@dataclass(frozen=True)
class Reptile:
    """Reptile: move the initial weights toward the weights adapted to each task.

    The outer gradient is ``theta - mean_t phi_t`` (the paper's ``phi - W`` for a batch, handed to the outer
    optimiser as a gradient). The query loss only reports: no derivative of it is taken.

    Attributes:
        rate: Inner learning rate > 0.
        steps: Inner steps, >= 1. With one step of plain descent this is joint training.
        beta2: None for plain gradient descent, else the second-moment decay in (0, 1) of an inner Adam
            with ``beta1 = 0`` (the paper's choice), started afresh on every task.

    Reference:
        Nichol, Achiam and Schulman (2018), On First-Order Meta-Learning Algorithms, algorithm 2.
        arXiv:1803.02999

    Example:
        >>> meta = Reptile(rate=0.25).init({"w": torch.tensor(2.0)})
        >>> square = lambda params: params["w"].square()
        >>> Reptile(rate=0.25, steps=2).meta_gradients(meta, square, square, n_tasks=1)
        (tensor(0.2500), {'weights.w': tensor(1.5000)})
    """

    rate: float
    steps: int = 5
    beta2: float | None = None

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate", "Reptile")
        check_steps(self.steps, "Reptile")
        if self.beta2 is not None and not 0 < self.beta2 < 1:
            raise InvalidParameterError.of(
                "beta2",
                "Reptile",
                "None or a number in (0, 1)",
                self.beta2,
                "Adam's usual is 0.999.",
            )

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
        """See ``Algorithm.adapt``. ``create_graph`` is refused with ``beta2``."""
        if create_graph and self.beta2 is not None:
            # The root's derivative is infinite where a gradient is zero: the graph would yield NaN.
            raise InvalidParameterError.of(
                "create_graph", "Reptile.adapt", "False with beta2", create_graph, "Use beta2=None."
            )
        n_steps = check_steps(self.steps if steps is None else steps, "adapt", least=0)
        weights = expand(only_weights(meta), n_tasks)
        return descend(
            weights,
            self.rate,
            support_loss,
            n_tasks,
            n_steps,
            create_graph=create_graph,
            beta2=self.beta2,
        )

    def meta_gradients(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        query_loss: TaskLoss,
        n_tasks: int,
    ) -> tuple[Tensor, MetaParams]:
        """See ``Algorithm.meta_gradients``."""
        weights = only_weights(meta)
        adapted = self.adapt(meta, support_loss, n_tasks)
        with torch.no_grad():
            loss = check_losses(query_loss(adapted), n_tasks, "query_loss").mean()
            grads = {name: leaf - adapted[name].mean(dim=0) for name, leaf in weights.items()}
        return loss, join_meta(grads)
