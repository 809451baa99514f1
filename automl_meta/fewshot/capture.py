"""The outer gradient of a meta-batch of episodes, replayed from a CUDA graph where there is a GPU."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import Tensor

from automl_meta.fewshot.episodes import Episodes
from automl_meta.metalearn import MetaParams
from automl_meta.training import capture

#: Meta-parameters and episodes to the mean query loss and its gradient.
OuterGradient: TypeAlias = Callable[[Mapping[str, Tensor], Episodes], tuple[Tensor, MetaParams]]


class Captured:
    """An outer gradient that is replayed where it can be, with the same result; see ``training.capture``.

    Args:
        gradient: Always the same operations for the same shapes; draws nothing and looks at no value.

    Example:
        >>> import torch
        >>> double = Captured(lambda meta, episodes: (episodes.query_x.sum(), dict(meta)))
        >>> some = torch.ones(1, 2)
        >>> double({"w": some}, Episodes(some, some, some, some, None))  # a processor has no graphs
        (tensor(2.), {'w': tensor([[1., 1.]])})
    """

    def __init__(self, gradient: OuterGradient) -> None:
        self._gradient = gradient
        self._by_ways: dict[int | None, capture.Captured] = {}

    @property
    def is_captured(self) -> bool:
        """Whether there is a graph to replay."""
        return any(each.is_captured for each in self._by_ways.values())

    def __call__(self, meta: Mapping[str, Tensor], episodes: Episodes) -> tuple[Tensor, MetaParams]:
        """Compute the gradient; the tensors returned are the caller's own."""
        ways = episodes.ways
        if ways not in self._by_ways:
            self._by_ways[ways] = capture.Captured(
                lambda meta, *parts: self._gradient(meta, _episodes(parts, ways))
            )
        return self._by_ways[ways](
            meta, episodes.support_x, episodes.support_y, episodes.query_x, episodes.query_y
        )


def _episodes(parts: tuple[Tensor, ...], ways: int | None) -> Episodes:
    support_x, support_y, query_x, query_y = parts
    return Episodes(support_x, support_y, query_x, query_y, ways)
