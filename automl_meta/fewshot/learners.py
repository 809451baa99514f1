"""What differs between few-shot methods: one training loop and one evaluation serve all of them.

| symbol | meaning |
|---|---|
| T | episodes of a meta-batch |
| S | support items of an episode |
| B | query items of an episode |
| N | classes, or outputs |
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.execution import Execution, check_network, choose_execution
from automl_meta.metalearn import (
    ANIL,
    Algorithm,
    MetaParams,
    Scheduled,
    StepLoss,
    TaskLoss,
    module_params,
)
from automl_meta.metalearn.chunks import chunked, in_order
from automl_meta.metalearn.convolution import arranged
from automl_meta.metalearn.inner import check_steps
from automl_meta.metalearn.layers import Chain
from automl_meta.metalearn.losses import BatchLoss, Loss, Split
from automl_meta.metalearn.minibatches import draw_minibatches, take

_IMAGE_AXES = 5
#: Images whose activations fit a processor's caches, and whose kernels are worth their start.
_PIECE = 64


class Learner(Protocol):
    """A method that learns to learn from episodes."""

    @property
    def is_steady(self) -> bool:
        """Whether ``meta_gradients`` does the same all through the training, whatever the progress."""
        ...

    def init(self, generator: torch.Generator) -> MetaParams:
        """Make meta-parameters.

        Args:
            generator: Source of what the method itself draws; a network's weights are drawn when it is built.

        Returns:
            Name to tensor, detached copies.
        """
        ...

    def meta_gradients(
        self, meta: Mapping[str, Tensor], episodes: Episodes, progress: float
    ) -> tuple[Tensor, MetaParams]:
        """Compute the outer loop's gradient.

        Args:
            meta: Meta-parameters.
            episodes: T episodes.
            progress: Share of the training that is done, in [0, 1).

        Returns:
            Mean query loss (a detached scalar) and the gradient, with the names and shapes of ``meta``.
        """
        ...

    def predict(
        self, meta: Mapping[str, Tensor], episodes: Episodes, *, steps: int | None = None
    ) -> Tensor:
        """Learn from each support and predict its query.

        Args:
            meta: Meta-parameters.
            episodes: T episodes.
            steps: Inner steps, for methods that have any; None for the method's own number.

        Returns:
            Query outputs, detached, shape [T, B, N]: logits, or predictions of a regression.
        """
        ...

    def describe(self) -> JSON:
        """Return what a result states of its method: settings, execution, statistics, sizes."""
        ...


class GradientLearner:
    """A learner that adapts a network's weights by gradient.

    Args:
        algorithm: MAML, Meta-SGD, Reptile, ...
        network: Any module without state; its weights are the start, only its code is used afterwards.
        loss: Outputs and targets to losses [T], such as ``cross_entropy``.
        execution: How all tasks are computed at once; ``"auto"`` folds where the network allows it, else
            vectorises where that is right, else loops.
        chunk: Episodes computed at once; None for all. Smaller needs less memory, the result is the same.
        transductive: Whether the query's batch-norm statistics are its own, as in the MAML paper. Else each
            query item is normalised by the support's statistics and predicted independently of the others.
        test_steps: Inner steps of ``predict``; None for the algorithm's own number.
        inner_batch: Support items of each inner step in training; None for all. Their order follows from
            ``progress``, so that a resumed run draws the same.
        test_inner_batch: The same for ``predict``, in a fixed order; None for all.

    Raises:
        InvalidParameterError: If the network has active dropout or running statistics, or does not allow
            the execution, or a number breaks its rule.
    """

    def __init__(  # noqa: PLR0913 - all but two are options by keyword
        self,
        algorithm: Algorithm,
        network: nn.Module,
        *,
        loss: Loss,
        execution: Execution = "auto",
        chunk: int | None = None,
        transductive: bool = True,
        test_steps: int | None = None,
        inner_batch: int | None = None,
        test_inner_batch: int | None = None,
    ) -> None:
        check_network(network, "GradientLearner")
        if test_steps is not None:
            check_steps(test_steps, "GradientLearner", least=0)
        for name, size in (("inner_batch", inner_batch), ("test_inner_batch", test_inner_batch)):
            if size is not None and size < 1:
                rule = "an int >= 1 or None"
                raise InvalidParameterError.of(name, "GradientLearner", rule, size, "Try 10.")
        self.algorithm = algorithm
        self.network = network
        self.loss = loss
        self.chunk = chunk
        self.transductive = transductive
        self.test_steps = test_steps
        self.inner_batch = inner_batch
        self.test_inner_batch = test_inner_batch
        self.execution, self.forward = choose_execution(network, execution)
        self.split = _split(algorithm, network, self.execution)

    @property
    def is_steady(self) -> bool:
        """See ``Learner.is_steady``: not with a schedule, nor with minibatches drawn for each step."""
        return not isinstance(self.algorithm, Scheduled) and self.inner_batch is None

    def init(self, generator: torch.Generator) -> MetaParams:  # noqa: ARG002 - of the protocol
        """See ``Learner.init``; the weights are the network's own."""
        return self.algorithm.init(module_params(self.network))

    def meta_gradients(
        self, meta: Mapping[str, Tensor], episodes: Episodes, progress: float
    ) -> tuple[Tensor, MetaParams]:
        """See ``Learner.meta_gradients``."""
        algorithm = self.algorithm
        if isinstance(algorithm, Scheduled):
            algorithm = algorithm.at(progress)
        if self.execution == "folded":
            meta = {name: arranged(leaf) for name, leaf in meta.items()}
        # Distinct for up to 2^32 steps; torch's CPU generator reads no more bits of a seed.
        seed = int(progress * (2**32 - 1))
        support_loss = self._support_losses(episodes, self.inner_batch, None, seed)

        def of_some(tasks: slice) -> tuple[Tensor, MetaParams]:
            some = episodes[tasks]
            return algorithm.meta_gradients(
                meta, support_loss(tasks), self._query_loss(some), len(some)
            )

        return chunked(of_some, len(episodes), self.chunk, workers=self._workers(episodes))

    def predict(
        self, meta: Mapping[str, Tensor], episodes: Episodes, *, steps: int | None = None
    ) -> Tensor:
        """See ``Learner.predict``."""
        n_steps = self.test_steps if steps is None else steps
        support_loss = self._support_losses(episodes, self.test_inner_batch, n_steps, seed=0)

        def of_some(tasks: slice) -> Tensor:
            some = episodes[tasks]
            params = self.algorithm.adapt(meta, support_loss(tasks), len(some), steps=n_steps)
            with torch.no_grad():
                return self._query_loss(some).outputs(params)

        size = self.chunk or len(episodes)
        parts = [slice(start, start + size) for start in range(0, len(episodes), size)]
        return torch.cat(list(in_order(of_some, parts, self._workers(episodes))))

    def describe(self) -> JSON:
        """See ``Learner.describe``."""
        settings = asdict(self.algorithm)  # type: ignore[call-overload]
        settings.pop("progress", None)  # of an algorithm that changes in the course of the training
        return {
            "learner": type(self.algorithm).__name__,
            "settings": settings,
            "test_steps": self.test_steps,
            "inner_batch": self.inner_batch,
            "test_inner_batch": self.test_inner_batch,
            "loss": getattr(self.loss, "__name__", type(self.loss).__name__),
            "transductive": self.transductive,
            "execution": self.execution,
            "chunk": self.chunk,
            "parameters": sum(leaf.numel() for leaf in self.network.parameters()),
            "meta_parameters": sum(
                leaf.numel() for leaf in self.algorithm.init(module_params(self.network)).values()
            ),
        }

    def _support_losses(
        self, episodes: Episodes, size: int | None, steps: int | None, seed: int
    ) -> Callable[[slice], TaskLoss]:
        """Return the support loss of some of the episodes; what is drawn does not depend on the chunks."""
        n_items = episodes.support_x.shape[1]
        if size is None or size >= n_items:
            return lambda tasks: self._loss(episodes.support_x[tasks], episodes.support_y[tasks])
        n_steps = max(1, self._steps() if steps is None else steps)
        generator = torch.Generator().manual_seed(seed)
        picks = draw_minibatches(len(episodes), n_items, size, n_steps, generator)

        def of_some(tasks: slice) -> TaskLoss:
            x, y = episodes.support_x[tasks], episodes.support_y[tasks]
            return StepLoss(
                lambda step: self._loss(take(x, picks[step, tasks]), take(y, picks[step, tasks]))
            )

        return of_some

    def _steps(self) -> int:
        return check_steps(getattr(self.algorithm, "steps", 1), type(self.algorithm).__name__)

    def _loss(self, x: Tensor, y: Tensor) -> BatchLoss:
        return BatchLoss(self.forward, self.loss, x, y, split=self.split)

    def _query_loss(self, some: Episodes) -> BatchLoss:
        if self.transductive:
            return replace(self._loss(some.query_x, some.query_y), piece=self._piece(some.query_x))
        joint = torch.cat([some.support_x, some.query_x], dim=1)
        return BatchLoss(self.forward, self.loss, joint, some.query_y, some.support_x.shape[1])

    def _workers(self, episodes: Episodes) -> int:
        """Return how many chunks are computed at the same time: on a processor one a core.

        The other executions put parameters into the one module and take them out again, so they cannot share it.
        """
        on_cpu = episodes.support_x.device.type == "cpu"
        return torch.get_num_threads() if on_cpu and self.execution == "folded" else 1

    def _piece(self, x: Tensor) -> int | None:
        """Return the episodes whose first derivative is computed at once: few images fit a CPU's caches."""
        if self.execution != "folded" or x.ndim < _IMAGE_AXES or x.device.type != "cpu":
            return None
        n_tasks, n_images = x.shape[:2]
        pieces = max(1, round(n_tasks * n_images / _PIECE))
        return math.ceil(n_tasks / pieces)


def _split(algorithm: Algorithm, network: nn.Module, execution: Execution) -> Split | None:
    """Cut a network before its last module if that is exactly what the algorithm adapts."""
    if not isinstance(algorithm, ANIL) or type(network) not in {nn.Sequential, Chain}:
        return None
    *body, last = network.named_children()
    body_params, head_params = algorithm.parts(module_params(network))
    if not body or any(not name.startswith(last[0] + ".") for name in head_params):
        return None
    if any(name.startswith(last[0] + ".") for name in body_params):
        return None
    parts = (Chain(OrderedDict(part)) for part in (body, [last]))
    body_forward, head_forward = (choose_execution(part, execution)[1] for part in parts)
    return Split(body_forward, head_forward, frozenset(body_params))
