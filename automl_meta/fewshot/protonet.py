"""Prototypical networks: a learned metric instead of a learned start.

Classes are represented by the mean embedding of their support; a query item belongs to the nearest.

| symbol | meaning |
|---|---|
| T | episodes of a meta-batch |
| S, B | support and query items of an episode |
| N | classes of an episode |
| d | length of an embedding |
"""

from torch import Tensor
from torch.nn import functional

from automl_meta._typing import JSON
from automl_meta.fewshot.embedded import Head


class NearestPrototype(Head):
    """The head of prototypical networks: no weights, a distance to each class's mean.

    ``logits_q,n = -||f(x_q) - c_n||^2`` with the prototype ``c_n`` the mean of ``f`` over the support of
    class n. Nothing adapts, so the number of classes may differ between training and test (the paper trains
    on 60 ways: give the training an episode source of 60 ways).

    Reference:
        Snell, Swersky and Zemel (2017), Prototypical Networks for Few-shot Learning, equations 1 and 2.
        arXiv:1703.05175

    Example:
        >>> import torch
        >>> support, query = torch.tensor([[[0.0], [2.0]]]), torch.tensor([[[1.5]]])
        >>> NearestPrototype()(support, torch.tensor([[0, 1]]), query, 2)
        tensor([[[-2.2500, -0.2500]]])
    """

    @property
    def title(self) -> str:
        """See ``Head.title``."""
        return "ProtoNet"

    def settings(self) -> JSON:
        """See ``Head.settings``."""
        return {"distance": "squared Euclidean"}

    def forward(self, support: Tensor, labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """See ``Head.forward``."""
        return negative_distances(query, prototypes(support, labels, ways))


def prototypes(embedded: Tensor, labels: Tensor, ways: int) -> Tensor:
    """Average the embeddings of each class.

    Args:
        embedded: Support embeddings, shape [T, S, d].
        labels: Classes 0 to N-1, each present, shape [T, S].
        ways: N.

    Returns:
        Prototypes, shape [T, N, d].

    Example:
        >>> import torch
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
        >>> import torch
        >>> negative_distances(torch.tensor([[[1.0], [4.0]]]), torch.tensor([[[1.0], [2.0]]]))
        tensor([[[-0., -1.],
                 [-9., -4.]]])
    """
    return -(embedded.unsqueeze(2) - centres.unsqueeze(1)).square().sum(dim=3)
