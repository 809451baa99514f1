"""Chains of known layers, rewritten so that one kernel computes a layer for all tasks.

Images travel channels-last between the layers, [T, B, H, W, C]; vectors are [T, B, F]. A convolution is
patches times weights or PyTorch's kernel task by task (``convolution``), batch normalisation with the ReLU after it is one operation (``norm``),
everything without weights sees the tasks as one long batch.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.convolution import convolve
from automl_meta.metalearn.film import Film, modulated
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.norm import norm_relu

#: ``(params, values, reference) -> values`` with a leading task axis everywhere.
Step: TypeAlias = Callable[[Mapping[str, Tensor], Tensor, int | None], Tensor]

_POINTWISE = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.GELU,
    nn.SiLU,
    nn.ELU,
    nn.Identity,
)
_IMAGE_AXES = 5


def foldable(module: nn.Module) -> bool:
    """Return whether ``fold`` can rewrite a module.

    Args:
        module: Any module.

    Example:
        >>> foldable(nn.Sequential(nn.Linear(2, 2), nn.ReLU())), foldable(nn.LSTM(2, 2))
        (True, False)
    """
    return _is_chain(module) and all(
        _step(name, layer) is not None for name, layer in _layers(module)
    )


def fold(module: nn.Module) -> Step:
    """Rewrite a chain for task-batched weights.

    Args:
        module: ``nn.Sequential``, nested or not, of convolutions (square, without dilation or groups),
            linear layers, ``Film``, ``metalearn.BatchNorm``, pointwise activations, pooling, ``nn.Flatten``.

    Returns:
        ``(params, inputs [T, B, ...], reference) -> outputs [T, B, ...]``.

    Raises:
        InvalidParameterError: If a layer has no folded form.

    Example:
        >>> run = fold(nn.Sequential(nn.Flatten()))
        >>> run({}, torch.zeros(2, 3, 1, 4, 4), None).shape
        torch.Size([2, 3, 16])
    """
    if not _is_chain(module):
        raise _refused(module, "the network")
    steps: list[Step] = []
    layers = _layers(module)
    position = 0
    while position < len(layers):
        name, layer = layers[position]
        follower = layers[position + 1][1] if position + 1 < len(layers) else None
        if type(layer) is BatchNorm and type(follower) is nn.ReLU:
            steps.append(_norm_relu(name, layer))
            position += 2
            continue
        step = _step(name, layer)
        if step is None:
            raise _refused(layer, name)
        steps.append(step)
        position += 1

    def run(params: Mapping[str, Tensor], values: Tensor, reference: int | None) -> Tensor:
        images = values.ndim == _IMAGE_AXES
        values = values.movedim(2, -1) if images else values
        for step in steps:
            values = step(params, values, reference)
        return values.movedim(-1, 2) if values.ndim == _IMAGE_AXES else values

    return run


def _is_chain(module: nn.Module) -> bool:
    # A subclass may do anything in a forward of its own.
    return type(module) in {nn.Sequential, Chain}


def _layers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """List the layers in the order in which they run; one used twice keeps the name of its first use."""
    names = {child: name for name, child in module.named_modules()}

    def walk(inner: nn.Module) -> list[tuple[str, nn.Module]]:
        # Not named_children, which leaves out what it has seen.
        children = [child for child in inner._modules.values() if child is not None]  # noqa: SLF001
        return [
            found
            for child in children
            for found in (walk(child) if _is_chain(child) else [(names[child], child)])
        ]

    return walk(module)


def _step(name: str, layer: nn.Module) -> Step | None:
    if type(layer) in {*_POINTWISE, nn.Dropout}:
        # Dropout that is off changes nothing; one that is on has no folded form.
        return _pointwise(layer) if not _drops(layer) else None
    make = _MAKERS.get(type(layer))
    return None if make is None else make(name, layer)


def _drops(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Dropout) and layer.training and layer.p > 0


def _plain(layer: nn.Conv2d) -> bool:
    square = all(
        isinstance(pair, tuple) and pair[0] == pair[1]
        for pair in (layer.kernel_size, layer.stride, layer.padding)
    )
    return (
        square and layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    )


def _convolution(name: str, layer: nn.Conv2d) -> Step | None:
    if not _plain(layer):
        return None
    stride, padding = layer.stride[0], int(layer.padding[0])

    def step(params: Mapping[str, Tensor], images: Tensor, _: int | None) -> Tensor:
        outputs = convolve(images, params[f"{name}.weight"], stride, padding)
        bias = params.get(f"{name}.bias")
        return outputs if bias is None else outputs + bias[:, None, None, None, :]

    return step


def _linear(name: str, _: nn.Linear) -> Step:
    def step(params: Mapping[str, Tensor], values: Tensor, __: int | None) -> Tensor:
        weight, bias = params[f"{name}.weight"].transpose(1, 2), params.get(f"{name}.bias")
        images = values.ndim == _IMAGE_AXES
        values = values.movedim(-1, 2) if images else values  # its features are PyTorch's last axis
        rows = values.flatten(1, -2)
        outputs = (
            torch.bmm(rows, weight)
            if bias is None
            else torch.baddbmm(bias.unsqueeze(1), rows, weight)
        )
        outputs = outputs.view(*values.shape[:-1], -1)
        return outputs.movedim(2, -1) if images else outputs

    return step


def _film(name: str, layer: Film) -> Step:
    def step(params: Mapping[str, Tensor], values: Tensor, _: int | None) -> Tensor:
        weight, context, bias = (params[f"{name}.{part}"] for part in ("weight", "context", "bias"))
        said = torch.baddbmm(bias.unsqueeze(2), weight, context.unsqueeze(2)).squeeze(2)
        said = said.view(len(said), *[1] * (values.ndim - 2), -1)  # channels are the last axis here
        return modulated(values, *said.chunk(2 if layer.scale else 1, dim=-1))

    return step


def _norm_relu(name: str, layer: BatchNorm) -> Step:
    separate = _norm(name, layer)

    def step(params: Mapping[str, Tensor], values: Tensor, reference: int | None) -> Tensor:
        if reference is not None:
            return separate(params, values, reference).relu()
        _check_axes(values)
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        # Under autocast products are bfloat16, statistics never: they are sums of thousands of squares.
        rows = values.flatten(1, -2).to(weight.dtype)
        return norm_relu(rows, weight, bias, layer.eps).view(values.shape)

    return step


def _norm(name: str, layer: BatchNorm) -> Step:
    def step(params: Mapping[str, Tensor], values: Tensor, reference: int | None) -> Tensor:
        _check_axes(values)
        values = values.to(params[f"{name}.weight"].dtype)  # see _norm_relu
        source = values if reference is None else values[:, :reference]
        axes = tuple(range(1, values.ndim - 1))
        mean = source.mean(axes, keepdim=True)
        centred = source - mean
        inverse = (centred * centred).mean(axes, keepdim=True).add(layer.eps).rsqrt()
        shape = mean.shape
        weight, bias = (params[f"{name}.{part}"].view(shape) for part in ("weight", "bias"))
        return (values - mean) * (inverse * weight) + bias

    return step


def _check_axes(values: Tensor) -> None:
    if values.ndim not in {3, _IMAGE_AXES}:
        rule = "[T, B, C] or [T, B, C, H, W] before batch normalisation"
        raise InvalidParameterError.of(
            "inputs", "folded", rule, tuple(values.shape), "Use the vectorized or looped execution."
        )


def _pool(_: str, layer: nn.Module) -> Step:
    def step(__: Mapping[str, Tensor], images: Tensor, ___: int | None) -> Tensor:
        # A channels-last view: PyTorch then pools along contiguous channels.
        pooled: Tensor = layer(images.flatten(0, 1).movedim(-1, 1))
        return pooled.movedim(1, -1).reshape(*images.shape[:2], *pooled.shape[2:], -1)

    return step


def _pointwise(layer: nn.Module) -> Step:
    def step(_: Mapping[str, Tensor], values: Tensor, __: int | None) -> Tensor:
        outputs: Tensor = layer(values)
        return outputs

    return step


def _average(_: str, layer: nn.AdaptiveAvgPool2d) -> Step | None:
    if layer.output_size not in (1, (1, 1)):
        return None
    return lambda _, images, __: images.mean((2, 3), keepdim=True)


def _flatten(_: str, layer: nn.Flatten) -> Step | None:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        return None

    def step(__: Mapping[str, Tensor], values: Tensor, ___: int | None) -> Tensor:
        # PyTorch's order of a flat image is channels first, and so is a head's weight.
        return values.movedim(-1, 2).flatten(2) if values.ndim == _IMAGE_AXES else values.flatten(2)

    return step


def _refused(layer: nn.Module, name: str) -> InvalidParameterError:
    return InvalidParameterError.of(
        "module",
        "folded",
        "an nn.Sequential of convolutions, linear layers, metalearn.BatchNorm, pointwise activations and "
        "pooling",
        f"{type(layer).__name__} at '{name}'",
        "Use the vectorized or looped execution.",
    )


#: Layer to the maker of its step; a maker returns None for settings that it does not know. Exact types: a
#: subclass may compute something else.
_MAKERS: dict[type[nn.Module], Callable[[str, Any], Step | None]] = {
    nn.Conv2d: _convolution,
    nn.Linear: _linear,
    Film: _film,
    BatchNorm: _norm,
    nn.MaxPool2d: _pool,
    nn.AvgPool2d: _pool,
    nn.AdaptiveAvgPool2d: _average,
    nn.Flatten: _flatten,
}
