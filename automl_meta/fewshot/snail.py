"""SNAIL: an episode read as a sequence, by temporal convolutions and attention in turn.

| symbol | meaning |
|---|---|
| T | episodes of a meta-batch |
| S, B | support and query items of an episode |
| N | classes of an episode |
| d | length of an embedding |
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, check_least
from automl_meta.fewshot.embedded import Head
from automl_meta.metalearn.causal_attention import CausalAttention
from automl_meta.metalearn.initial import drawn_linear
from automl_meta.metalearn.temporal import (
    Causal,
    CausalChain,
    temporal_convolutions,
)


@dataclass(frozen=True)
class SnailSettings:
    """Sizes of SNAIL; the defaults are the paper's.

    Attributes:
        embedding: Length to which embeddings are mapped, >= 1.
        filters: Of each convolution, >= 1.
        attention: Lengths (keys, values) of each attention block, all >= 1; between two of them stands a TC block.

    Raises:
        InvalidParameterError: If a value breaks its rule.

    Example:
        >>> SnailSettings(attention=[[8, 4]]).attention
        ((8, 4),)
    """

    embedding: int = 64
    filters: int = 128
    attention: Sequence[Sequence[int]] = ((64, 32), (256, 128), (512, 256))

    def __post_init__(self) -> None:
        check_least(self, "snail", {"embedding": 1, "filters": 1})
        pairs = tuple(map(tuple, self.attention))
        if not pairs or any(len(pair) != 2 or min(pair) < 1 for pair in pairs):
            rule, remedy = "pairs of ints >= 1, one at least", "Try [[64, 32]]."
            raise InvalidParameterError.of("attention", "snail", rule, self.attention, remedy)
        object.__setattr__(self, "attention", pairs)


class Snail(Head):
    """The head of SNAIL: labelled support items one after the other, then one query item without a label.

    The output at the query item's position counts. All blocks are causal, so the support's work is done once and
    every query item follows it by itself. The sequence has an order: train on episodes whose support is
    shuffled (``ShuffledSupport``). Trained on class-major ones it takes positions for labels, and guesses as soon as
    the classes are renamed (docs/few-shot.md has the figures).

    Args:
        features: d >= 1.
        ways: N >= 2, the width of a label.
        support: S >= 1, of the largest episode; the convolutions reach that far back.
        settings: Of the method.
        generator: Source of the initial weights.

    Raises:
        InvalidParameterError: If a number breaks its rule.

    Reference:
        Mishra et al. (2018), A Simple Neural Attentive Meta-Learner, sections 3 and 5.1 and the appendix on
        few-shot classification. arXiv:1707.03141

    Example:
        >>> head = Snail(4, 2, 2, SnailSettings(), generator=torch.Generator().manual_seed(0))
        >>> labels = torch.tensor([[0, 1]])
        >>> head(torch.zeros(1, 2, 4), labels, torch.zeros(1, 6, 4), 2).shape
        torch.Size([1, 6, 2])
    """

    def __init__(
        self,
        features: int,
        ways: int,
        support: int,
        settings: SnailSettings,
        *,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        for name, value, low in (
            ("features", features, 1),
            ("ways", ways, 2),
            ("support", support, 1),
        ):
            if value < low:
                raise InvalidParameterError.of(name, "Snail", f"an int >= {low}", value, "Try 5.")
        self.ways, self.options = ways, settings
        self.embedding = drawn_linear(features, settings.embedding, generator=generator)
        self.body = _body(settings.embedding + ways, support + 1, settings, generator)
        self.classifier = drawn_linear(self.body.width, ways, generator=generator)

    @property
    def title(self) -> str:
        """See ``Head.title``."""
        return "SNAIL"

    def settings(self) -> JSON:
        """See ``Head.settings``."""
        pairs = [list(pair) for pair in self.options.attention]
        return {"ways": self.ways, **asdict(self.options), "attention": pairs}

    def forward(self, support: Tensor, labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """See ``Head.forward``.

        Raises:
            InvalidParameterError: If the episodes have other ways than the head.
        """
        if ways != self.ways:
            rule, remedy = f"{self.ways}, for which the head was made", "Make one for these ways."
            raise InvalidParameterError.of("ways", "Snail", rule, ways, remedy)
        support, query = self.embedding(support), self.embedding(query)
        known = functional.one_hot(labels, ways).to(support.dtype)
        unknown = query.new_zeros(*query.shape[:2], ways)
        past, last = torch.cat([support, known], dim=2), torch.cat([query, unknown], dim=2)
        logits: Tensor = self.classifier(self.body.following(past, last))
        return logits


def _body(
    inputs: int, length: int, settings: SnailSettings, generator: torch.Generator
) -> CausalChain:
    """Make attention blocks with TC blocks between them."""
    blocks: list[Causal] = []
    width = inputs
    for number, (keys, values) in enumerate(settings.attention):
        if number > 0:
            blocks.append(
                temporal_convolutions(width, length, settings.filters, generator=generator)
            )
            width = blocks[-1].width
        blocks.append(CausalAttention(width, keys, values, generator=generator))
        width = blocks[-1].width
    return CausalChain(blocks)
