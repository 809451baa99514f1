"""A whole gradient as one CUDA graph: a GPU then waits for no Python and for no start of a kernel.

A meta-gradient of a small network, or a policy's trial of hundreds of steps, is thousands of kernels of a few
microseconds each; started one by one they take many times longer than they run. Captured once, they are started
together.
"""

import logging
import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

#: Runs before the capture, in which libraries choose their kernels and take their workspaces.
_WARM_UPS = 3
#: How far a replay's loss may lie from that of the same inputs and draws without a graph.
_TOLERANCE = 1e-2
_logger = logging.getLogger(__name__)


class Gradient(Protocol):
    """Parameters and other tensors to a loss and its gradients."""

    def __call__(
        self, params: Mapping[str, Tensor], *inputs: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a scalar and gradients with the names and shapes of ``params``."""
        ...


class Captured:
    """A gradient that is replayed from a CUDA graph where it can be, with the same result.

    The first call captures, and compares a replay with the gradient. What cannot be captured (tensors on a
    processor, other shapes, an operation that a graph does not allow) is computed as it was; the last is logged
    once.

    Args:
        gradient: Always the same operations for the same shapes; looks at no value, and draws from ``generator``
            alone.
        generator: Its source of randomness, on the GPU: each replay goes on with it, as the gradient itself
            would. None if nothing is drawn.

    Example:
        >>> double = Captured(lambda params, x: ((params["w"] * x).sum(), {"w": x}))
        >>> double({"w": torch.ones(2)}, torch.tensor([1.0, 2.0]))  # a processor has no graphs
        (tensor(3.), {'w': tensor([1., 2.])})
    """

    def __init__(self, gradient: Gradient, generator: torch.Generator | None = None) -> None:
        self._gradient, self._generator = gradient, generator
        self._graph: _Graph | None = None
        self._failed = False

    @property
    def is_captured(self) -> bool:
        """Whether there is a graph to replay."""
        return self._graph is not None

    def __call__(
        self, params: Mapping[str, Tensor], *inputs: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the gradient; the tensors returned are the caller's own."""
        device = next(iter(params.values())).device
        if device.type != "cuda":
            return self._gradient(params, *inputs)
        # Streams and captures belong to the current device, which need not be that of the tensors.
        with torch.cuda.device(device):
            if self._graph is None and not self._failed:
                self._capture(params, inputs)
            if self._graph is not None and self._graph.fits(params, inputs):
                return self._graph.replay(params, inputs)
            return self._gradient(params, *inputs)

    def _capture(self, params: Mapping[str, Tensor], inputs: tuple[Tensor, ...]) -> None:
        before = torch.cuda.current_stream()
        drawn = None if self._generator is None else self._generator.get_state()
        try:
            self._graph = _Graph(self._gradient, params, inputs, self._generator)
        except RuntimeError as error:
            self._failed = True
            # A capture that fails may leave the thread on the stream that it used.
            torch.cuda.set_stream(before)
            _logger.warning("no CUDA graph, so every step starts its kernels itself: %s", error)
        if self._generator is not None and drawn is not None:
            if self._failed:
                # The generator still believes itself in the capture; one made anew does not.
                self._generator.graphsafe_set_state(torch.Generator(self._generator.device))
            self._generator.set_state(drawn)


class _Graph:
    """The graph with the memory that it reads from and writes to."""

    def __init__(
        self,
        gradient: Gradient,
        params: Mapping[str, Tensor],
        inputs: tuple[Tensor, ...],
        generator: torch.Generator | None,
    ) -> None:
        self._params = {name: leaf.detach().clone() for name, leaf in params.items()}
        self._inputs = tuple(each.clone() for each in inputs)
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                drawn = None if generator is None else generator.get_state()
                expected, _ = gradient(self._params, *self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        if generator is not None:
            self._graph.register_generator_state(generator)
        with torch.cuda.graph(self._graph):
            self._loss, self._grads = gradient(self._params, *self._inputs)
        if generator is not None and drawn is not None:
            generator.set_state(drawn)
        self._check(expected)

    def fits(self, params: Mapping[str, Tensor], inputs: tuple[Tensor, ...]) -> bool:
        """Whether inputs have the shapes and types that were captured."""
        if params.keys() != self._params.keys() or len(inputs) != len(self._inputs):
            return False
        mine = [*self._params.values(), *self._inputs]
        theirs = [*(params[name] for name in self._params), *inputs]
        return all(
            own.shape == other.shape and own.dtype == other.dtype
            for own, other in zip(mine, theirs, strict=True)
        )

    def replay(
        self, params: Mapping[str, Tensor], inputs: tuple[Tensor, ...]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the gradient of other inputs."""
        for name, leaf in self._params.items():
            leaf.copy_(params[name].detach())
        for own, other in zip(self._inputs, inputs, strict=True):
            own.copy_(other)
        self._graph.replay()
        return self._loss.clone(), {name: grad.clone() for name, grad in self._grads.items()}

    def _check(self, expected: Tensor) -> None:
        """Refuse a graph that computes nothing, as one captured on another device or stream would."""
        self._loss.fill_(math.nan)
        self._graph.replay()
        if not torch.allclose(self._loss, expected, rtol=_TOLERANCE, atol=_TOLERANCE**2):
            msg = f"a replay gave the loss {self._loss.item()} instead of {expected.item()}"
            raise RuntimeError(msg)
