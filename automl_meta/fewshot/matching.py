"""Matching networks: a query item takes the labels of the support items that it resembles.

| symbol | meaning |
|---|---|
| T | episodes of a meta-batch |
| S, B | support and query items of an episode |
| N | classes of an episode |
| d | length of an embedding |
| K | processing steps of a query item |
"""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, check_least
from automl_meta.fewshot.embedded import Head
from automl_meta.metalearn.recurrent import LSTMCell


@dataclass(frozen=True)
class MatchingSettings:
    """What a matching network is told.

    Attributes:
        full_context: Whether each embedding is changed in view of the whole support. The support is then read in the
            order given.
        processing_steps: K >= 1, how often a query item reads the support; without meaning otherwise.
        temperature: Divides the cosines before their softmax, > 0. The paper has none, which is 1: no item then gets
            more than e^2 times the attention of another, however sure the network is, and learning is slow (after
            250 steps on Omniglot 87.5 % of the validation's 5-way 1-shot queries are right, with 0.1 95.3 %).

    Raises:
        InvalidParameterError: If a value breaks its rule.

    Example:
        >>> MatchingSettings(full_context=False).processing_steps
        5
    """

    full_context: bool = True
    processing_steps: int = 5
    temperature: float = 0.1

    def __post_init__(self) -> None:
        check_least(self, "matching", {"processing_steps": 1})
        if not 0 < self.temperature < math.inf:
            rule, remedy = "a number > 0", "Try 1.0."
            value = self.temperature
            raise InvalidParameterError.of("temperature", "matching", rule, value, remedy)


class Matching(Head):
    """The head of matching networks: the support's labels, weighed by attention.

    ``P(y = n | x) = sum_i a(x, x_i) [y_i = n]`` with ``a = softmax_i(cos(f(x), g(x_i)) / temperature)``; the logits are
    ``log P``, so that their softmax is P. Without full context f and g are the embedding, there are no weights, and
    the order of the support does not matter. With it ``BidirectionalContext`` is g, which reads the support
    in the order given, and ``AttentionContext`` is f. The number of classes may differ from episode to episode.

    Args:
        features: d >= 1.
        settings: Of the method.
        generator: Source of the initial weights.

    Raises:
        InvalidParameterError: If ``features`` is below 1.

    Reference:
        Vinyals et al. (2016), Matching Networks for One Shot Learning, equations 1 and 2 and section
        2.1. arXiv:1606.04080

    Example:
        >>> settings = MatchingSettings(full_context=False, temperature=1.0)
        >>> plain = Matching(2, settings, generator=torch.Generator())
        >>> support, labels = torch.eye(2).unsqueeze(0), torch.tensor([[1, 0]])
        >>> plain(support, labels, torch.tensor([[[3.0, 0.0]]]), 2).exp()  # 1 / (1 + e), e / (1 + e)
        tensor([[[0.2689, 0.7311]]])
    """

    def __init__(
        self, features: int, settings: MatchingSettings, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        if features < 1:
            rule, remedy = "an int >= 1", "Give the length of an embedding."
            raise InvalidParameterError.of("features", "Matching", rule, features, remedy)
        self.options = settings
        if settings.full_context:
            self.of_support = BidirectionalContext(features, generator=generator)
            self.of_query = AttentionContext(
                features, settings.processing_steps, generator=generator
            )

    @property
    def title(self) -> str:
        """See ``Head.title``."""
        return "Matching Networks"

    def settings(self) -> JSON:
        """See ``Head.settings``."""
        return asdict(self.options)

    def forward(self, support: Tensor, labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """See ``Head.forward``; each class needs a support item."""
        if self.options.full_context:
            support = self.of_support(support)
            query = self.of_query(query, support)
        return attended_labels(cosines(query, support) / self.options.temperature, labels, ways)


class BidirectionalContext(nn.Module):
    """Embeds support items in view of each other: ``g(x_i, S) = forward_i + backward_i + g'(x_i)``.

    Two LSTMs read the support, one from its start and one from its end. Both depend on the order.

    Args:
        features: d >= 1.
        generator: Source of the initial weights.

    Reference:
        Vinyals et al. (2016), appendix A.2. arXiv:1606.04080

    Example:
        >>> BidirectionalContext(3, generator=torch.Generator())(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 5, 3])
    """

    def __init__(self, features: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.onwards = LSTMCell(features, features, generator=generator)
        self.backwards = LSTMCell(features, features, generator=generator)

    def forward(self, support: Tensor) -> Tensor:
        """Embed.

        Args:
            support: ``g'``, shape [T, S, d].

        Returns:
            ``g``, shape [T, S, d].
        """
        back = _read(self.backwards, support.flip(1)).flip(1)
        return _read(self.onwards, support) + back + support


class AttentionContext(nn.Module):
    """Embeds a query item in view of the support, which it reads K times by attention.

    From ``h = c = 0`` in each step ``r = sum_i softmax_i(h . g_i) g_i``, ``h', c = LSTM(f'(x), [h, r], c)`` and
    ``h = h' + f'(x)``; the last h is ``f(x, S)``. The order of the support does not matter to it.

    Args:
        features: d >= 1.
        steps: K >= 1.
        generator: Source of the initial weights.

    Reference:
        Vinyals et al. (2016), equations 3 to 6 and appendix A.1. arXiv:1606.04080

    Example:
        >>> context = AttentionContext(3, 5, generator=torch.Generator())
        >>> context(torch.zeros(2, 7, 3), torch.zeros(2, 5, 3)).shape
        torch.Size([2, 7, 3])
    """

    def __init__(self, features: int, steps: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.steps = steps
        self.cell = LSTMCell(features, features, recurrent=2 * features, generator=generator)

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """Embed.

        Args:
            query: ``f'``, shape [T, B, d].
            support: ``g``, shape [T, S, d].

        Returns:
            ``f``, shape [T, B, d].
        """
        seen = memory = torch.zeros_like(query)
        for _ in range(self.steps):
            shares = (seen @ support.transpose(1, 2)).softmax(dim=2)
            output, memory = self.cell(query, torch.cat([seen, shares @ support], dim=2), memory)
            seen = output + query
        return seen


def cosines(query: Tensor, support: Tensor) -> Tensor:
    """Return the cosine of each query item with each support item; zero with a vector of zeros.

    Args:
        query: Shape [T, B, d].
        support: Shape [T, S, d].

    Returns:
        Shape [T, B, S], within [-1, 1].

    Example:
        >>> cosines(torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[2.0, 0.0], [0.0, 5.0]]]))
        tensor([[[1., 0.]]])
    """
    unit = functional.normalize(query, dim=2), functional.normalize(support, dim=2)
    return unit[0] @ unit[1].transpose(1, 2)


def attended_labels(scores: Tensor, labels: Tensor, ways: int) -> Tensor:
    """Return the log-probability of each class: its support items' share of the attention.

    ``log P_n = logsumexp_{i: y_i = n}(s_i) - logsumexp_i(s_i)``, which no score can make overflow.

    Args:
        scores: Before the softmax over the support, shape [T, B, S].
        labels: Classes of the support 0 to N-1, each present, shape [T, S].
        ways: N.

    Returns:
        Log-probabilities, shape [T, B, N].

    Example:
        >>> attended_labels(torch.zeros(1, 1, 4), torch.tensor([[0, 1, 1, 1]]), 2).exp()
        tensor([[[0.2500, 0.7500]]])
    """
    log_shares = scores.log_softmax(dim=2)
    others = functional.one_hot(labels, ways).transpose(1, 2) == 0  # [T, N, S]
    of_class = log_shares.unsqueeze(2).masked_fill(others.unsqueeze(1), -math.inf)
    return of_class.logsumexp(dim=3)


def _read(cell: LSTMCell, sequence: Tensor) -> Tensor:
    """Return a cell's outputs along a sequence, from zeros; [T, S, d] to [T, S, d]."""
    output = memory = torch.zeros_like(sequence[:, 0])
    outputs = []
    for item in sequence.unbind(dim=1):
        output, memory = cell(item, output, memory)
        outputs.append(output)
    return torch.stack(outputs, dim=1)
