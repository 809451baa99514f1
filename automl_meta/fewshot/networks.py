"""The networks of the few-shot literature, as chains that every execution can run.

Parameter names: ``conv1.weight``, ``norm1.weight``, ``norm1.bias``, ..., ``head.weight``, ``head.bias``.
"""

from collections import OrderedDict
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.film import Film
from automl_meta.metalearn.initial import undrawn
from automl_meta.metalearn.layers import BatchNorm, Chain

#: ``"stride"`` and ``"max"`` are the two forms of the MAML paper, ``"flat"`` that of the Reptile paper: strides,
#: and all last positions go to the head. ``"average"`` keeps the image's size in all four blocks but for
#: max-pooling after the first two and averages over all positions at the end.
Pooling = Literal["stride", "max", "average", "flat"]

_BLOCKS = 4
_POOLED_BLOCKS = {"stride": 0, "max": 4, "average": 2, "flat": 0}
_STRIDED, _AVERAGED = ("stride", "flat"), ("stride", "average")
#: The block whose features a context modulates, as in CAVIA's network.
_FILM_BLOCK = 3


def conv4(
    ways: int,
    *,
    generator: torch.Generator,
    channels: int = 1,
    filters: int = 64,
    image_size: int = 28,
    pooling: Pooling = "stride",
    bias: bool = False,
    context: int | None = None,
) -> Chain:
    """Make the four-block convolutional network with a linear head.

    A block is a 3x3 convolution, batch normalisation and ReLU. ``"stride"`` halves the image by stride 2 and
    averages the last 2x2 positions; ``"max"`` by 2x2 max-pooling. On 28x28 images both end in ``filters``
    features; ``"flat"``, strides without the average, in four times as many. A convolution's bias has no
    effect before batch statistics: it is left out unless asked for.

    Args:
        ways: Classes N >= 2.
        generator: Source of the initial weights.
        channels: Of the images.
        filters: Of every convolution; 64 in the paper (32 for MiniImageNet).
        image_size: Height and width.
        pooling: How the image shrinks.
        bias: Give the convolutions the biases that the papers' networks have.
        context: Numbers of a context that modulates the third block (``Film``, parameter ``film.context``), as in
            CAVIA; None for no such layer.

    Returns:
        A chain, [B, channels, size, size] to logits [B, ways].

    Raises:
        InvalidParameterError: If a number breaks its rule or the image is too small.

    Reference:
        Finn, Abbeel and Levine (2017), section 5.2. arXiv:1703.03400

    Example:
        >>> network = conv4(5, generator=torch.Generator())
        >>> network(torch.zeros(3, 1, 28, 28)).shape
        torch.Size([3, 5])
    """
    least = 2
    if ways < least:
        raise InvalidParameterError.of("ways", "conv4", "an int >= 2", ways, "Try 5.")
    layers, features = _body(channels, filters, image_size, pooling, bias=bias)
    if context is not None:
        place = [name for name, _ in layers].index(f"relu{_FILM_BLOCK}")
        layers.insert(place, ("film", Film(context, filters, generator=generator)))
    return _initialised(Chain(OrderedDict([*layers, ("head", _linear(features, ways))])), generator)


def conv4_features(
    *,
    generator: torch.Generator,
    channels: int = 1,
    filters: int = 64,
    image_size: int = 28,
    pooling: Pooling = "max",
) -> Chain:
    """Make the network of ``conv4`` without its head, as an embedding.

    Args:
        generator: Source of the initial weights.
        channels: Of the images.
        filters: Of every convolution.
        image_size: Height and width.
        pooling: How the image shrinks.

    Returns:
        A chain, [B, channels, size, size] to [B, features]; 64 features for 28x28 images.

    Reference:
        Snell, Swersky and Zemel (2017), section 3.1. arXiv:1703.05175

    Example:
        >>> conv4_features(generator=torch.Generator())(torch.zeros(3, 1, 28, 28)).shape
        torch.Size([3, 64])
    """
    layers, _ = _body(channels, filters, image_size, pooling, bias=False)
    return _initialised(Chain(OrderedDict(layers)), generator)


def mlp(
    inputs: int,
    *,
    generator: torch.Generator,
    hidden: tuple[int, ...] = (40, 40),
    outputs: int = 1,
    context: int | None = None,
) -> Chain:
    """Make a multi-layer perceptron with ReLU.

    Args:
        inputs: Length of an input vector >= 1.
        generator: Source of the initial weights.
        hidden: Widths; (40, 40) is the sinusoid network of the MAML paper.
        outputs: Length of an output.
        context: Numbers of a context that is an input too, as in CAVIA (``Film`` without scale, parameter
            ``film.context``); None for none.

    Returns:
        A chain, [B, inputs] to [B, outputs].

    Example:
        >>> sum(leaf.numel() for leaf in mlp(1, generator=torch.Generator()).parameters())
        1761
    """
    layers: list[tuple[str, nn.Module]] = []
    for number, (before, after) in enumerate(pairwise((inputs, *hidden)), start=1):
        layers += [(f"linear{number}", _linear(before, after)), (f"relu{number}", nn.ReLU())]
    if context is not None and hidden:
        film = Film(context, hidden[0], generator=generator, scale=False)
        layers.insert(
            1, ("film", film)
        )  # behind the first layer: the context concatenated to its input
    width = hidden[-1] if hidden else inputs
    return _initialised(Chain(OrderedDict([*layers, ("head", _linear(width, outputs))])), generator)


def _body(
    channels: int, filters: int, image_size: int, pooling: Pooling, *, bias: bool
) -> tuple[list[tuple[str, nn.Module]], int]:
    _check(channels, filters, image_size, pooling)
    layers: list[tuple[str, nn.Module]] = []
    size = image_size
    for number in range(1, _BLOCKS + 1):
        stride = 2 if pooling in _STRIDED else 1
        before = channels if number == 1 else filters
        convolution = undrawn(nn.Conv2d, before, filters, 3, stride=stride, padding=1, bias=bias)
        layers += [
            (f"conv{number}", convolution),
            (f"norm{number}", BatchNorm(filters)),
            (f"relu{number}", nn.ReLU()),
        ]
        size = (size - 1) // stride + 1
        if number <= _POOLED_BLOCKS[pooling]:
            layers.append((f"pool{number}", nn.MaxPool2d(2)))
            size //= 2
    if pooling in _AVERAGED:
        layers.append(("average", nn.AdaptiveAvgPool2d(1)))
        size = 1
    return [*layers, ("flatten", nn.Flatten())], filters * size * size


def _check(channels: int, filters: int, image_size: int, pooling: str) -> None:
    if pooling not in _POOLED_BLOCKS:
        rule = " or ".join(repr(name) for name in _POOLED_BLOCKS)
        raise InvalidParameterError.of("pooling", "conv4", rule, pooling, "Try 'stride'.")
    smallest = 2 ** _POOLED_BLOCKS[pooling]
    for name, value, least in (
        ("channels", channels, 1),
        ("filters", filters, 1),
        ("image_size", image_size, smallest),
    ):
        if value < least:
            rule = f"an int >= {least}"
            raise InvalidParameterError.of(name, "conv4", rule, value, "Try the default.")


def _linear(inputs: int, outputs: int) -> nn.Module:
    return undrawn(nn.Linear, inputs, outputs)


def _initialised(network: Chain, generator: torch.Generator) -> Chain:
    """Draw weights by Glorot's rule, biases zero, normalisation the identity; from the generator alone."""
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
    return network
