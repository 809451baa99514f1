"""What a meta-iteration costs: its matrix products counted, and this machine's speed at them.

Only products count; everything else is overhead, that of normalisation, copies and Python included. A layer
``Y = P W`` (P [rows, inner], W [inner, columns]) needs ``f = 2 rows inner columns`` operations forward.

| part | products of a layer | of the first layer, whose input needs no gradient |
|---|---|---|
| forward and backward | 3: Y, dW, dP | 2: Y, dW |
| an inner step, second order | 9: these, 4 of the backward's own backward, 2 of the forward's | 4 |

A meta-iteration is, for each task, the inner steps on the support and one forward and backward on the query.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.benchmark.engine_settings import EngineSettings
from automl_meta.benchmark.engine_work import BLOCKS, IMAGE_SIZE

#: Side of the square product that measures the peak; a GPU needs a larger one to be busy.
PEAK_SIDE = {"cpu": 2048, "cuda": 8192}
_TRIES = 5


@dataclass(frozen=True)
class Layer:
    """A layer as a product for one image: [rows, inner] x [inner, columns].

    Attributes:
        rows: Output positions.
        inner: Length of a patch.
        columns: Filters or classes.
        first: Whether its input is data.
    """

    rows: int
    inner: int
    columns: int
    first: bool

    @property
    def products(self) -> int:
        """Products of one forward and backward."""
        return 2 if self.first else 3

    @property
    def flops(self) -> int:
        """Operations of one product for one image."""
        return 2 * self.rows * self.inner * self.columns

    def rounds(self, order: str) -> int:
        """Return the products of an inner step in units of ``products``."""
        return self.products if order == "second" else 1


def layers(settings: EngineSettings) -> list[Layer]:
    """Return the network's layers.

    Args:
        settings: Of the run.

    Example:
        >>> [layer.rows for layer in layers(EngineSettings())]
        [196, 49, 16, 4, 1]
    """
    found, size, channels = [], IMAGE_SIZE, 1
    for block in range(BLOCKS):
        after = (size + 1) // 2 if settings.net == "stride" else size
        found.append(Layer(after * after, 9 * channels, settings.filters, block == 0))
        size = after if settings.net == "stride" else size // 2
        channels = settings.filters
    return [*found, Layer(1, settings.filters, settings.ways, first=False)]


def flops(settings: EngineSettings) -> int:
    """Count the operations of a meta-iteration.

    Args:
        settings: Of the run.

    Example:
        >>> f"{flops(EngineSettings()):.2e}"
        '7.51e+10'
    """
    support, query = settings.ways * settings.shots, settings.ways * settings.queries
    each = sum(
        layer.flops
        * layer.products
        * (support * settings.steps * layer.rounds(settings.order) + query)
        for layer in layers(settings)
    )
    return settings.tasks * each


def peak(device: torch.device) -> float:
    """Measure the rate of one large square product.

    Args:
        device: Where.

    Returns:
        Operations a second, the best of a few tries.
    """
    side = PEAK_SIDE[device.type]
    one, other = torch.rand(2, side, side, device=device)
    return 2 * side**3 / _fastest(lambda: torch.mm(one, other), device)


def floor(settings: EngineSettings, n_tasks: int, device: torch.device) -> float:
    """Measure how long the meta-iteration's products take alone, in their own shapes.

    Args:
        settings: Of the run.
        n_tasks: Tasks in one batched product.
        device: Where.

    Returns:
        Seconds.
    """
    support, query = settings.ways * settings.shots, settings.ways * settings.queries
    total = 0.0
    for layer in layers(settings):
        for images, times in (
            (support, settings.steps * layer.rounds(settings.order)),
            (query, 1),
        ):
            total += times * _forward_and_backward(layer, images, n_tasks, device)
    return total * settings.tasks / n_tasks


def _forward_and_backward(layer: Layer, images: int, n_tasks: int, device: torch.device) -> float:
    inputs = torch.rand(n_tasks, images * layer.rows, layer.inner, device=device)
    weights = torch.rand(n_tasks, layer.inner, layer.columns, device=device)
    outputs = torch.bmm(inputs, weights)
    products: list[Callable[[], Tensor]] = [
        lambda: torch.bmm(inputs, weights),
        lambda: torch.bmm(inputs.transpose(1, 2), outputs),
        lambda: torch.bmm(outputs, weights.transpose(1, 2)),
    ]
    return sum(_fastest(product, device) for product in products[: layer.products])


def _fastest(run: Callable[[], object], device: torch.device) -> float:
    run()  # the first call also prepares
    return min(seconds(run, device) for _ in range(_TRIES))


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Time one call, to the end of the work that it gives to a GPU.

    Args:
        run: What is timed; its result is dropped within the measured time.
        device: Where it computes.
    """
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    """Wait until a GPU has done its work.

    Args:
        device: On a processor there is nothing to wait for.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
