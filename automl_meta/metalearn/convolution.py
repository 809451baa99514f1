"""Convolution of every task's images with that task's weights, to any order of differentiation.

Two forms give the same numbers. ``patches`` gathers patches and multiplies: one kernel for all tasks, the only
sensible one on a GPU and for small layers. Here PyTorch's own kernels run task by task: on a processor they
read images in place, so nothing is gathered, scattered or added up in patches, which pays as soon as a
task's product is worth the start of a kernel.

PyTorch's own double backward of a convolution is not used: its weight gradients become grouped convolutions with
images for channels, many times slower. The three kernels are closed under differentiation instead. With
``Y = x * w`` and the gradient G of Y, ``dx = G *' w`` and ``dw = G *'' x``; for the gradients u of dx and
v of dw,

- G receives ``u * w + x * v``, two convolutions,
- x receives ``G *' v`` and w receives ``G *'' u``: one backward pass of a convolution of u with v.

Images are channels-last, [T, B, H, W, C]; weights have PyTorch's shape with a task axis, [T, F, C, k, k].
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from automl_meta.metalearn.patches import convolve_patches

#: Operations of one task's product from which PyTorch's own kernels are faster, and channels that they need:
#: measured on Zen 4 with 1 to 75 images, 28x28 to 4x4 positions.
_MANY_OPERATIONS = 8_000_000
_MANY_CHANNELS = 8


def convolve(images: Tensor, weights: Tensor, stride: int, padding: int) -> Tensor:
    """Convolve every task's images with that task's weights, by the form that is faster.

    Args:
        images: [T, B, H, W, C], channels last.
        weights: [T, F, C, k, k].
        stride: >= 1.
        padding: Zeros on every side, >= 0.

    Returns:
        [T, B, Ho, Wo, F], channels last.

    Example:
        >>> convolve(torch.ones(1, 1, 3, 3, 1), torch.ones(1, 1, 1, 3, 3), 1, 0).flatten()
        tensor([9.])
    """
    form = convolve_tasks if _is_worth_a_kernel(images, weights, stride) else convolve_patches
    return form(images, weights, stride, padding)


def convolve_tasks(images: Tensor, weights: Tensor, stride: int, padding: int) -> Tensor:
    """Convolve task by task with PyTorch's kernels; arguments and result are those of ``convolve``.

    Example:
        >>> convolve_tasks(torch.ones(1, 1, 3, 3, 1), torch.ones(1, 1, 1, 3, 3), 1, 0).flatten()
        tensor([9.])
    """
    outputs: Tensor = _Convolve.apply(images, weights, stride, padding)  # type: ignore[no-untyped-call]
    return outputs


def arranged(leaf: Tensor) -> Tensor:
    """Lay a convolution's weights out in memory as both forms want them: channels last.

    Shape and values stay; an inner loop that starts from such weights keeps their layout and copies none of
    them. Other tensors are returned as they are.

    Args:
        leaf: [F, C, k, k], or anything else.

    Returns:
        The same tensor with channels innermost in memory.

    Example:
        >>> arranged(torch.zeros(8, 4, 3, 3)).stride()
        (36, 1, 12, 4)
    """
    is_kernel = leaf.ndim == 4
    return leaf.contiguous(memory_format=torch.channels_last) if is_kernel else leaf


def _is_worth_a_kernel(images: Tensor, weights: Tensor, stride: int) -> bool:
    # The library behind PyTorch's kernels knows no float64, nor on every processor autocast's bfloat16.
    if images.device.type != "cpu" or images.dtype != torch.float32:
        return False
    if torch.is_autocast_enabled("cpu"):
        return False
    _, n_images, height, width, channels = images.shape
    positions = n_images * height * width // stride**2
    enough = 2 * positions * weights[0].numel() >= _MANY_OPERATIONS
    # With few channels it is the gradient of the images that is slow, and data want none.
    return enough and (channels >= _MANY_CHANNELS or not images.requires_grad)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weights: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(images, weights)
        ctx.sizes = stride, padding
        return _convolved(images, weights, stride, padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        images, weights = ctx.saved_tensors
        wanted = tuple(ctx.needs_input_grad[:2])
        found = _Backward.apply(grads[0], images, weights, *ctx.sizes, wanted)  # type: ignore[no-untyped-call]
        return *found, None, None


class _Backward(torch.autograd.Function):
    """(G, x, w) to (G *' w, G *'' x), or None for what is not wanted."""

    @staticmethod
    def forward(
        ctx: Any,
        grads: Tensor,
        images: Tensor,
        weights: Tensor,
        stride: int,
        padding: int,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(grads, images, weights)
        ctx.sizes = stride, padding
        n_tasks = len(images)
        g_first, x_first = _first(grads), _first(images)
        of_images, of_weights = None, None
        if wanted[0] and _are_shared(weights):
            batches = g_first.flatten(0, 1), x_first.flatten(0, 1)
            of_images = _last(_kernels(*batches, weights[0], ctx.sizes, (True, False))[0], n_tasks)
            wanted = (False, wanted[1])
        tasks = zip(g_first.unbind(), x_first.unbind(), weights.unbind(), strict=True)
        parts = [_kernels(g, x, w, ctx.sizes, wanted) for g, x, w in tasks] if any(wanted) else []
        if wanted[0]:
            of_images = _last(_joined([part[0] for part in parts]), n_tasks)
        if wanted[1]:
            of_weights = torch.unflatten(_joined([part[1] for part in parts]), 0, (n_tasks, -1))
        return of_images, of_weights

    @staticmethod
    def backward(ctx: Any, *seconds: Tensor | None) -> tuple[Tensor | None, ...]:
        grads, images, weights = ctx.saved_tensors
        u, v = seconds
        for_grads = None
        if ctx.needs_input_grad[0]:
            for_grads = _sum(
                convolve_tasks(u, weights, *ctx.sizes) if u is not None else None,
                convolve_tasks(images, v, *ctx.sizes) if v is not None else None,
            )
        # Without u (or v) its place is taken by what has its shape; that part is not asked for.
        wanted = (
            v is not None and ctx.needs_input_grad[1],
            u is not None and ctx.needs_input_grad[2],
        )
        of_images, of_weights = None, None
        if any(wanted):
            of_images, of_weights = _Backward.apply(  # type: ignore[no-untyped-call]
                grads, images if u is None else u, weights if v is None else v, *ctx.sizes, wanted
            )
        return for_grads, of_images, of_weights, None, None, None


def _kernels(
    grads: Tensor,
    images: Tensor,
    weights: Tensor,
    sizes: tuple[int, int],
    wanted: tuple[bool, bool],
) -> tuple[Tensor, Tensor]:
    """Return the gradients of one batch [B, C, H, W] and of its weights [F, C, k, k]."""
    stride, padding = sizes
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        grads,
        images,
        weights,
        None,
        [stride, stride],
        [padding, padding],
        [1, 1],
        False,
        [0, 0],
        1,
        [*wanted, False],
    )
    return found[:2]


def _are_shared(weights: Tensor) -> bool:
    """Whether all tasks have the same weights, as at the start of an inner loop: one large batch is faster."""
    return weights.shape[0] > 1 and weights.stride(0) == 0


def _convolved(images: Tensor, weights: Tensor, stride: int, padding: int) -> Tensor:
    first = _first(images)
    if _are_shared(weights):
        pairs = [(first.flatten(0, 1), weights[0])]
    else:
        pairs = list(zip(first.unbind(), weights.unbind(), strict=True))
    outputs = [functional.conv2d(x, w, stride=stride, padding=padding) for x, w in pairs]
    return _last(_joined(outputs), len(images))


def _first(images: Tensor) -> Tensor:
    """Return [T, B, H, W, C] as PyTorch wants it: [T, B, C, H, W], channels still last in memory."""
    if images.shape[-1] == 1:
        # Any stride of a single channel is right, but PyTorch goes by it when it chooses the result's layout.
        images = images.reshape(-1).view(images.shape)
    return images.movedim(-1, 2)


def _last(images: Tensor, n_tasks: int) -> Tensor:
    """Return [T * B, C, H, W] as [T, B, H, W, C]."""
    return torch.unflatten(images.movedim(1, -1), 0, (n_tasks, -1))


def _joined(parts: list[Tensor]) -> Tensor:
    """Join what was computed task by task along the first axis; channels stay last in memory."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second
