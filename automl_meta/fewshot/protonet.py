"""Prototypical networks: a learned metric instead of a learned start.

Classes are represented by the mean embedding of their support; a query item belongs to the nearest.

| symbol | meaning |
|---|---|
| T | episodes of a meta-batch |
| S, B | support and query items of an episode |
| N | classes of an episode |
| d | length of an embedding |
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.execution import Execution, check_network, choose_execution
from automl_meta.metalearn import MetaParams, expand, join_meta, module_params, split_meta
from automl_meta.metalearn.chunks import chunked
from automl_meta.metalearn.inner import gradients, leaves
from automl_meta.metalearn.losses import cross_entropy, run


class ProtoNet:
    """Prototypical networks.

    ``logits_q,n = -||f(x_q) - c_n||^2`` with the prototype ``c_n`` the mean of ``f`` over the support of
    class n. Nothing adapts, so the number of classes may differ between training and test (the paper trains
    on 60 ways: give the training an episode source of 60 ways).

    Args:
        network: Embedding, inputs [S, ...] to [S, d]; its weights are the start.
        execution: How a batch of episodes is computed; ``"auto"`` loops, since the weights are shared and one
            episode is a batch of its own.
        chunk: Episodes computed at once; None for all.
        transductive: Whether batch-norm statistics are those of an episode's support and query together (as
            in the authors' training). Else those of the support alone.

    Raises:
        InvalidParameterError: If the network has active dropout or running statistics.

    Reference:
        Snell, Swersky and Zemel (2017), Prototypical Networks for Few-shot Learning, equations 1 and 2.
        arXiv:1703.05175
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        execution: Execution = "auto",
        chunk: int | None = None,
        transductive: bool = True,
    ) -> None:
        check_network(network, "ProtoNet")
        wanted: Execution = "looped" if execution == "auto" else execution
        self.network = network
        self.chunk = chunk
        self.transductive = transductive
        self.execution, self.forward = choose_execution(network, wanted)

    @property
    def is_steady(self) -> bool:
        """See ``Learner.is_steady``."""
        return True

    def init(self, generator: torch.Generator) -> MetaParams:  # noqa: ARG002 - of the protocol
        """See ``Learner.init``; the weights are the network's own."""
        return join_meta(module_params(self.network))

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
            "learner": "ProtoNet",
            "settings": {"distance": "squared Euclidean"},
            "test_steps": None,
            "loss": "cross_entropy",
            "transductive": self.transductive,
            "execution": self.execution,
            "chunk": self.chunk,
            "parameters": sum(leaf.numel() for leaf in self.network.parameters()),
        }

    def _logits(self, meta: Mapping[str, Tensor], some: Episodes) -> Tensor:
        if some.ways is None:
            raise InvalidParameterError.of(
                "episodes", "ProtoNet", "a classification", "a regression", "Use MAML for it."
            )
        weights, _ = split_meta(meta)
        params = expand(weights, len(some))
        joint = torch.cat([some.support_x, some.query_x], dim=1)
        n_support = some.support_x.shape[1]
        reference = None if self.transductive else n_support
        embedded = run(self.forward, params, joint, reference)
        centres = prototypes(embedded[:, :n_support], some.support_y, some.ways)
        return negative_distances(embedded[:, n_support:], centres)


def prototypes(embedded: Tensor, labels: Tensor, ways: int) -> Tensor:
    """Average the embeddings of each class.

    Args:
        embedded: Support embeddings, shape [T, S, d].
        labels: Classes 0 to N-1, each present, shape [T, S].
        ways: N.

    Returns:
        Prototypes, shape [T, N, d].

    Example:
        >>> prototypes(torch.tensor([[[0.0], [2.0], [5.0]]]), torch.tensor([[0, 0, 1]]), 2)
        tensor([[[1.],
                 [5.]]])
    """
    members = functional.one_hot(labels, ways).to(embedded.dtype)  # [T, S, N]
    sums = members.transpose(1, 2) @ embedded
    return sums / members.sum(dim=1).unsqueeze(2)


def negative_distances(embedded: Tensor, centres: Tensor) -> Tensor:
    """Return minus the squared Euclidean distance of each item to each prototype.

    Args:
        embedded: Query embeddings, shape [T, B, d].
        centres: Prototypes, shape [T, N, d].

    Returns:
        Logits, shape [T, B, N].

    Example:
        >>> negative_distances(torch.tensor([[[1.0], [4.0]]]), torch.tensor([[[1.0], [2.0]]]))
        tensor([[[-0., -1.],
                 [-9., -4.]]])
    """
    return -(embedded.unsqueeze(2) - centres.unsqueeze(1)).square().sum(dim=3)
