"""A whole outer gradient as one CUDA graph: a GPU then waits for no Python and for no start of a kernel.

A meta-gradient of a small network is thousands of kernels of a few microseconds each; started one by one they take
many times longer than they run. Captured once, they are started together.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from automl_meta.fewshot.episodes import Episodes
from automl_meta.metalearn import MetaParams

#: Meta-parameters and episodes to the mean query loss and its gradient.
OuterGradient: TypeAlias = Callable[[Mapping[str, Tensor], Episodes], tuple[Tensor, MetaParams]]

#: Runs before the capture, in which libraries choose their kernels and take their workspaces.
_WARM_UPS = 3
_logger = logging.getLogger(__name__)


class Captured:
    """An outer gradient that is replayed from a CUDA graph where it can be, with the same result.

    The first call captures. What cannot be captured (tensors on a processor, another shape of meta-batch, an
    operation that a graph does not allow) is computed as it was; the last is logged once.

    Args:
        gradient: Always the same operations for the same shapes; draws nothing and looks at no value.

    Example:
        >>> double = Captured(lambda meta, episodes: (episodes.query_x.sum(), dict(meta)))
        >>> some = torch.ones(1, 2)
        >>> double({"w": some}, Episodes(some, some, some, some, None))  # a processor has no graphs
        (tensor(2.), {'w': tensor([[1., 1.]])})
    """

    def __init__(self, gradient: OuterGradient) -> None:
        self._gradient = gradient
        self._graph: _Graph | None = None
        self._failed = False

    def __call__(self, meta: Mapping[str, Tensor], episodes: Episodes) -> tuple[Tensor, MetaParams]:
        """Compute the gradient; the tensors returned are the caller's own."""
        if self._failed or episodes.query_x.device.type != "cuda":
            return self._gradient(meta, episodes)
        if self._graph is None:
            try:
                self._graph = _Graph(self._gradient, meta, episodes)
            except RuntimeError as error:
                self._failed = True
                _logger.warning("no CUDA graph, so every step starts its kernels itself: %s", error)
                return self._gradient(meta, episodes)
        if not self._graph.fits(meta, episodes):
            return self._gradient(meta, episodes)
        return self._graph.replay(meta, episodes)


class _Graph:
    """The graph with the memory that it reads from and writes to."""

    def __init__(
        self, gradient: OuterGradient, meta: Mapping[str, Tensor], episodes: Episodes
    ) -> None:
        self._meta = {name: leaf.detach().clone() for name, leaf in meta.items()}
        support_x, support_y, query_x, query_y = (part.clone() for part in _parts(episodes))
        self._episodes = Episodes(support_x, support_y, query_x, query_y, episodes.ways)
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                gradient(self._meta, self._episodes)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss, self._grads = gradient(self._meta, self._episodes)

    def fits(self, meta: Mapping[str, Tensor], episodes: Episodes) -> bool:
        return (
            meta.keys() == self._meta.keys()
            and episodes.ways == self._episodes.ways
            and all(
                mine.shape == theirs.shape and mine.dtype == theirs.dtype
                for mine, theirs in zip(_parts(self._episodes), _parts(episodes), strict=True)
            )
        )

    def replay(self, meta: Mapping[str, Tensor], episodes: Episodes) -> tuple[Tensor, MetaParams]:
        mine = [*self._meta.values(), *_parts(self._episodes)]
        theirs = [*(meta[name].detach() for name in self._meta), *_parts(episodes)]
        torch._foreach_copy_(mine, theirs)  # one start for all
        self._graph.replay()
        return self._loss.clone(), {name: grad.clone() for name, grad in self._grads.items()}


def _parts(episodes: Episodes) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return episodes.support_x, episodes.support_y, episodes.query_x, episodes.query_y
