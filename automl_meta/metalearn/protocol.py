"""The protocol that every meta-learning algorithm follows."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from automl_meta.metalearn.params import MetaParams, Params, TaskLoss


@runtime_checkable
class Algorithm(Protocol):
    """Learns to adapt: an inner loop over the support, an outer gradient from the query."""

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """Make meta-parameters from initial weights.

        Args:
            params: Initial weights, leaves [...].

        Returns:
            ``weights.NAME`` and, where the algorithm learns them, ``rates.NAME``; detached copies.
        """
        ...

    def adapt(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        n_tasks: int,
        *,
        create_graph: bool = False,
        steps: int | None = None,
    ) -> Params:
        """Run the inner loop on every task.

        Args:
            meta: Meta-parameters from ``init``.
            support_loss: Task-batched parameters to losses [T].
            n_tasks: T.
            create_graph: Keep the graph, so that a later loss can be differentiated with respect to
                ``meta``. Without it the result is detached and memory stays constant in ``steps``.
            steps: Inner steps; None for the algorithm's own number. 0 returns the initial weights.

        Returns:
            Adapted weights, leaves [T, ...].
        """
        ...

    def meta_gradients(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        query_loss: TaskLoss,
        n_tasks: int,
    ) -> tuple[Tensor, MetaParams]:
        """Compute the outer loop's gradient on a batch of tasks.

        Args:
            meta: Meta-parameters from ``init``.
            support_loss: Task-batched parameters to losses [T].
            query_loss: The same, for the adapted parameters.
            n_tasks: T.

        Returns:
            Mean query loss after adaptation (a detached scalar) and the gradient, with the names and
            shapes of ``meta``.
        """
        ...


@runtime_checkable
class Scheduled(Protocol):
    """An algorithm whose outer gradient changes in the course of the training."""

    def at(self, progress: float) -> Algorithm:
        """Return the algorithm as it is at a point of the training.

        Args:
            progress: Share of the training that is done, in [0, 1].
        """
        ...
