"""Memory-augmented neural network: it learns in its memory while it watches a sequence, label after item.

| symbol | meaning |
|---|---|
| T | episodes of a meta-batch |
| L | items of a sequence: an episode's support and query, in the order in which they come |
| S, B | support and query items of an episode |
| N | classes of an episode |
| d | length of an embedded item |
"""

from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor, nn

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.controller import MANNSizes, answers, follow
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.execution import Execution, check_network, choose_execution
from automl_meta.metalearn import MetaParams, Params, expand, join_meta, module_params, split_meta
from automl_meta.metalearn.chunks import chunked
from automl_meta.metalearn.inner import gradients, leaves
from automl_meta.metalearn.losses import cross_entropy, run
from automl_meta.metalearn.minibatches import take
from automl_meta.metalearn.params import below

_EMBEDDING = "embedding."


class MANN:
    """A memory-augmented neural network; see ``Learner``.

    Item ``x_t`` comes together with the label of the item before, ``y_(t-1)``; the network says the class of
    ``x_t``. An LSTM emits keys by which it writes to and reads from an external memory, so what binds an item to
    its label lies in the memory, and its weights are the same on every task. The training loss is the
    cross-entropy of all L items, support and query in the order in which they come: give the training a source
    of shuffled sequences, ``orders.Sequences``. The number of classes is fixed.

    Args:
        embedding: Items [L, ...] to [L, d]; ``nn.Flatten()`` for the pixels, as in the paper.
        inputs: d.
        ways: N.
        generator: Source of the initial weights.
        sizes: Of controller and memory.
        execution: How a batch of episodes is embedded; ``"auto"`` folds where the embedding allows it.
        chunk: Episodes computed at once; None for all.
        transductive: Whether batch-norm statistics, where the embedding has any, are those of an episode's
            support and query together. Else those of the support alone.

    Raises:
        InvalidParameterError: If the embedding has active dropout or running statistics, or ``ways`` is below 2.

    Reference:
        Santoro, Bartunov, Botvinick, Wierstra and Lillicrap (2016), One-shot Learning with Memory-Augmented
        Neural Networks. arXiv:1605.06065

    Example:
        >>> learner = MANN(nn.Flatten(), inputs=400, ways=5, generator=torch.Generator())
        >>> learner.describe()["parameters"]
        647569
    """

    def __init__(
        self,
        embedding: nn.Module,
        *,
        inputs: int,
        ways: int,
        generator: torch.Generator,
        sizes: MANNSizes | None = None,
        execution: Execution = "auto",
        chunk: int | None = None,
        transductive: bool = True,
    ) -> None:
        check_network(embedding, "MANN")
        if ways < 2:
            raise InvalidParameterError.of("ways", "MANN", "an int >= 2", ways, "Try 5.")
        self.sizes = sizes or MANNSizes()
        self.embedding, self.ways = embedding, ways
        self.chunk, self.transductive = chunk, transductive
        self.execution, self._embed = choose_execution(embedding, execution)
        self._start = self.sizes.weights(inputs, ways, generator)

    @property
    def is_steady(self) -> bool:
        """See ``Learner.is_steady``."""
        return True

    def init(self, generator: torch.Generator) -> MetaParams:  # noqa: ARG002 - of the protocol
        """See ``Learner.init``; the weights were drawn when the learner was built."""
        embedding = {_EMBEDDING + n: leaf for n, leaf in module_params(self.embedding).items()}
        return join_meta(embedding | {name: leaf.clone() for name, leaf in self._start.items()})

    def meta_gradients(
        self,
        meta: Mapping[str, Tensor],
        episodes: Episodes,
        progress: float,  # noqa: ARG002
    ) -> tuple[Tensor, MetaParams]:
        """See ``Learner.meta_gradients``; the loss is that of all items, support too."""

        def of_some(tasks: slice) -> tuple[Tensor, MetaParams]:
            some = episodes[tasks]
            variables = leaves(meta)
            with torch.enable_grad():
                logits = self._follow(variables, some)
                loss = cross_entropy(logits, _labels(some)).mean()
                return loss.detach(), gradients(loss, variables)

        return chunked(of_some, len(episodes), self.chunk)

    def predict(
        self,
        meta: Mapping[str, Tensor],
        episodes: Episodes,
        *,
        steps: int | None = None,  # noqa: ARG002 - nothing adapts
    ) -> Tensor:
        """See ``Learner.predict``; ``steps`` has no meaning here.

        The support comes in an order that is the same for every episode and mixes the classes. Each query item
        is the next item of a sequence of its own.
        """
        with torch.no_grad():
            return torch.cat([self._predict(meta, some) for some in self._parts(episodes)])

    def follow(self, meta: Mapping[str, Tensor], episodes: Episodes) -> Tensor:
        """Say the class of each item of a sequence before its label is told.

        Args:
            meta: Meta-parameters.
            episodes: T episodes; support and query, in the order in which they are, make a sequence.

        Returns:
            Logits, detached, shape [T, L, N].
        """
        with torch.no_grad():
            return torch.cat([self._follow(meta, some) for some in self._parts(episodes)])

    def describe(self) -> JSON:
        """See ``Learner.describe``."""
        return {
            "learner": "MANN",
            "settings": asdict(self.sizes),
            "embedding": "learned" if any(True for _ in self.embedding.parameters()) else "pixels",
            "test_steps": None,
            "loss": "cross_entropy",
            "transductive": self.transductive,
            "execution": self.execution,
            "chunk": self.chunk,
            "parameters": sum(leaf.numel() for leaf in self.init(torch.Generator()).values()),
        }

    def _parts(self, episodes: Episodes) -> list[Episodes]:
        size = self.chunk or len(episodes)
        return [episodes[start : start + size] for start in range(0, len(episodes), size)]

    def _follow(self, meta: Mapping[str, Tensor], some: Episodes) -> Tensor:
        weights, items = self._embedded(meta, some)
        return follow(weights, items, _labels(some), self.sizes)[0]

    def _predict(self, meta: Mapping[str, Tensor], some: Episodes) -> Tensor:
        weights, items = self._embedded(meta, some)
        n_tasks, n_support = some.support_y.shape
        order = torch.randperm(n_support, generator=torch.Generator().manual_seed(0))
        order = order.expand(n_tasks, -1)
        labels = take(some.support_y, order)
        _, state = follow(weights, take(items[:, :n_support], order), labels, self.sizes)
        return answers(weights, items[:, n_support:], labels[:, -1], state, self.sizes)

    def _embedded(self, meta: Mapping[str, Tensor], some: Episodes) -> tuple[Params, Tensor]:
        """Return the other weights, and the embedded support and query, shape [T, S + B, d]."""
        if some.ways != self.ways:
            rule, remedy = f"classifications of {self.ways} classes", "Train it for those."
            raise InvalidParameterError.of("episodes", "MANN", rule, some.ways, remedy)
        weights, _ = split_meta(meta)
        own = below(weights, _EMBEDDING)
        joint = torch.cat([some.support_x, some.query_x], dim=1)
        reference = None if self.transductive else some.support_x.shape[1]
        return weights, run(self._embed, expand(own, len(some)), joint, reference)


def _labels(episodes: Episodes) -> Tensor:
    return torch.cat([episodes.support_y, episodes.query_y], dim=1)
