"""Layers whose initial weights come from a generator that is handed in, never from the global one."""

import math
from typing import Any

import torch
from torch import nn
from torch.nn.utils import skip_init


def undrawn(kind: type[nn.Module], *sizes: int, **options: Any) -> nn.Module:
    """Make a layer without the draw of weights from the global generator that its constructor does.

    Args:
        kind: Of the layer.
        *sizes: Its constructor's.
        **options: Its constructor's.

    Returns:
        The layer; what its weights are is left to chance.
    """
    layer: nn.Module = skip_init(kind, *sizes, **options)  # type: ignore[no-untyped-call]
    return layer


def drawn_linear(
    inputs: int, outputs: int, *, generator: torch.Generator, bias: bool = True, taps: int = 1
) -> nn.Linear:
    """Make a linear layer by Glorot's rule, its bias zero.

    Weights are uniform within ``sqrt(6 / (taps * (inputs + outputs)))``.

    Args:
        inputs: Length of an input >= 1.
        outputs: Length of an output >= 1.
        generator: Source of the weights.
        bias: Whether there is one.
        taps: Such layers whose outputs are added, as a convolution's kernel does, >= 1.

    Returns:
        The layer.

    Reference:
        Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks,
        equation 16.

    Example:
        >>> layer = drawn_linear(2, 4, generator=torch.Generator().manual_seed(0))
        >>> tuple(layer.weight.shape), bool(layer.weight.abs().max() <= 1), layer.bias.tolist()
        ((4, 2), True, [0.0, 0.0, 0.0, 0.0])
    """
    layer = undrawn(nn.Linear, inputs, outputs, bias=bias)
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        nn.init.xavier_uniform_(layer.weight, gain=1 / math.sqrt(taps), generator=generator)
        if bias:
            layer.bias.zero_()
    return layer
