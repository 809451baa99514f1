"""Learners whose weights are the same on every task: an embedding of each item, then a head that reads the support.

What such a method learns of a task is in its activations, not in its weights. Only the head differs between them.

| symbol | meaning |
|---|---|
| T | episodes of a meta-batch |
| S, B | support and query items of an episode |
| N | classes of an episode |
| d | length of an embedding |
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.execution import Execution, check_network, choose_execution
from automl_meta.metalearn import MetaParams, expand, join_meta, module_params, split_meta
from automl_meta.metalearn.chunks import chunked
from automl_meta.metalearn.inner import gradients, leaves
from automl_meta.metalearn.losses import cross_entropy, run
from automl_meta.metalearn.params import below

_EMBEDDING, _HEAD = "embedding.", "head."


class Head(nn.Module, ABC):
    """What reads the support's embeddings and labels, and classifies the query.

    Each query item is classified by itself: the others tell it nothing.
    """

    @property
    @abstractmethod
    def title(self) -> str:
        """The method's name in results."""

    @abstractmethod
    def settings(self) -> JSON:
        """Return what a result states of the method."""

    @abstractmethod
    def forward(self, support: Tensor, labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """Classify.

        Args:
            support: Embeddings, shape [T, S, d].
            labels: Their classes 0 to N-1, int64, shape [T, S].
            query: Embeddings, shape [T, B, d].
            ways: N.

        Returns:
            Logits, shape [T, B, N].
        """


class EmbeddedLearner:
    """An embedding and a head, trained together on episodes; see ``Learner``.

    Args:
        network: Embedding, inputs [S, ...] to [S, d]; its weights are the start.
        head: Reads the support and classifies the query; its weights are the start.
        execution: How a batch of episodes is embedded; ``"auto"`` loops, since the weights are shared and one
            episode is a batch of its own.
        chunk: Episodes computed at once; None for all.
        transductive: Whether batch-norm statistics are those of an episode's support and query together. Else
            those of the support alone.

    Raises:
        InvalidParameterError: If network or head has active dropout or running statistics.

    Example:
        >>> from automl_meta.fewshot.networks import conv4_features
        >>> from automl_meta.fewshot.protonet import NearestPrototype
        >>> learner = EmbeddedLearner(conv4_features(generator=torch.Generator()), NearestPrototype())
        >>> learner.describe()["learner"]
        'ProtoNet'
    """

    def __init__(
        self,
        network: nn.Module,
        head: Head,
        *,
        execution: Execution = "auto",
        chunk: int | None = None,
        transductive: bool = True,
    ) -> None:
        check_network(network, head.title)
        check_network(head, head.title)
        wanted: Execution = "looped" if execution == "auto" else execution
        self.network, self.head = network, head
        self.chunk = chunk
        self.transductive = transductive
        self.execution, self.forward = choose_execution(network, wanted)

    @property
    def is_steady(self) -> bool:
        """See ``Learner.is_steady``."""
        return True

    def init(self, generator: torch.Generator) -> MetaParams:  # noqa: ARG002 - of the protocol
        """See ``Learner.init``; the weights are the modules' own."""
        parts = ((_EMBEDDING, self.network), (_HEAD, self.head))
        return join_meta({p + n: leaf for p, m in parts for n, leaf in module_params(m).items()})

    def meta_gradients(
        self,
        meta: Mapping[str, Tensor],
        episodes: Episodes,
        progress: float,  # noqa: ARG002
    ) -> tuple[Tensor, MetaParams]:
        """See ``Learner.meta_gradients``."""

        def of_some(tasks: slice) -> tuple[Tensor, MetaParams]:
            some = episodes[tasks]
            variables = leaves(meta)
            with torch.enable_grad():
                loss = cross_entropy(self._logits(variables, some), some.query_y).mean()
                return loss.detach(), gradients(loss, variables)

        return chunked(of_some, len(episodes), self.chunk)

    def predict(
        self,
        meta: Mapping[str, Tensor],
        episodes: Episodes,
        *,
        steps: int | None = None,  # noqa: ARG002 - nothing adapts
    ) -> Tensor:
        """See ``Learner.predict``; ``steps`` has no meaning here."""
        size = self.chunk or len(episodes)
        with torch.no_grad():
            parts = [
                self._logits(meta, episodes[start : start + size])
                for start in range(0, len(episodes), size)
            ]
        return torch.cat(parts)

    def describe(self) -> JSON:
        """See ``Learner.describe``."""
        return {
            "learner": self.head.title,
            "settings": self.head.settings(),
            "test_steps": None,
            "loss": "cross_entropy",
            "transductive": self.transductive,
            "execution": self.execution,
            "chunk": self.chunk,
            "parameters": sum(
                leaf.numel() for m in (self.network, self.head) for leaf in m.parameters()
            ),
        }

    def _logits(self, meta: Mapping[str, Tensor], some: Episodes) -> Tensor:
        if some.ways is None:
            title = self.head.title
            rule, remedy = "a classification", "Use MAML for it."
            raise InvalidParameterError.of("episodes", title, rule, "a regression", remedy)
        weights, _ = split_meta(meta)
        embedded = self._embedded(below(weights, _EMBEDDING), some)
        n_support = some.support_x.shape[1]
        support, query = embedded[:, :n_support], embedded[:, n_support:]
        logits: Tensor = functional_call(
            self.head, below(weights, _HEAD), (support, some.support_y, query, some.ways)
        )
        return logits

    def _embedded(self, weights: Mapping[str, Tensor], some: Episodes) -> Tensor:
        """Embed support and query, shape [T, S + B, d]."""
        joint = torch.cat([some.support_x, some.query_x], dim=1)
        reference = None if self.transductive else some.support_x.shape[1]
        return run(self.forward, expand(weights, len(some)), joint, reference)
