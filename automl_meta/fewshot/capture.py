"""A whole outer gradient as one CUDA graph: a GPU then waits for no Python and for no start of a kernel.

A meta-gradient of a small network is thousands of kernels of a few microseconds each; started one by one they take
many times longer than they run. Captured once, they are started together.
"""

import logging
import math
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

    The first call captures, and compares a replay with the gradient. What cannot be captured (tensors on a
    processor, another shape of meta-batch, an operation that a graph does not allow) is computed as it was; the
    last is logged once.

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

    @property
    def is_captured(self) -> bool:
        """Whether there is a graph to replay."""
        return self._graph is not None

    def __call__(self, meta: Mapping[str, Tensor], episodes: Episodes) -> tuple[Tensor, MetaParams]:
        """Compute the gradient; the tensors returned are the caller's own."""
        device = episodes.query_x.device
        if device.type != "cuda":
            return self._gradient(meta, episodes)
        # Streams and captures belong to the current device, which need not be that of the tensors.
        with torch.cuda.device(device):
            if self._graph is None and not self._failed:
                self._capture(meta, episodes)
            if self._graph is not None and self._graph.fits(meta, episodes):
                return self._graph.replay(meta, episodes)
            return self._gradient(meta, episodes)

    def _capture(self, meta: Mapping[str, Tensor], episodes: Episodes) -> None:
        before = torch.cuda.current_stream()
        try:
            self._graph = _Graph(self._gradient, meta, episodes)
        except RuntimeError as error:
            self._failed = True
            # A capture that fails may leave the thread on the stream that it used.
            torch.cuda.set_stream(before)
            _logger.warning("no CUDA graph, so every step starts its kernels itself: %s", error)


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
                expected, _ = gradient(self._meta, self._episodes)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss, self._grads = gradient(self._meta, self._episodes)
        self._check(expected)

    def fits(self, meta: Mapping[str, Tensor], episodes: Episodes) -> bool:
        """Whether inputs have the shapes and types that were captured."""
        if meta.keys() != self._meta.keys() or episodes.ways != self._episodes.ways:
            return False
        mine = [*self._meta.values(), *_parts(self._episodes)]
        theirs = [*(meta[name] for name in self._meta), *_parts(episodes)]
        return all(
            own.shape == other.shape and own.dtype == other.dtype
            for own, other in zip(mine, theirs, strict=True)
        )

    def replay(self, meta: Mapping[str, Tensor], episodes: Episodes) -> tuple[Tensor, MetaParams]:
        """Compute the gradient of other inputs."""
        for name, leaf in self._meta.items():
            leaf.copy_(meta[name].detach())
        for part, other in zip(_parts(self._episodes), _parts(episodes), strict=True):
            part.copy_(other)
        self._graph.replay()
        return self._loss.clone(), {name: grad.clone() for name, grad in self._grads.items()}

    def _check(self, expected: Tensor) -> None:
        """Refuse a graph that computes nothing, as one captured on another device or stream would."""
        self._loss.fill_(math.nan)
        self._graph.replay()
        if not torch.allclose(self._loss, expected, rtol=1e-2):
            msg = f"a replay gave the loss {self._loss.item()} instead of {expected.item()}"
            raise RuntimeError(msg)


def _parts(episodes: Episodes) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return episodes.support_x, episodes.support_y, episodes.query_x, episodes.query_y
