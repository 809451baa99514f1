"""First-order MAML: no derivative is taken through the inner loop.

The symbols are those of ``automl_meta.metalearn.algorithms``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from automl_meta.metalearn.algorithms import MAML
from automl_meta.metalearn.inner import check_rate, check_steps
from automl_meta.metalearn.outer import query_gradients
from automl_meta.metalearn.params import MetaParams, Params, TaskLoss, join_meta


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
        >>> import torch
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
