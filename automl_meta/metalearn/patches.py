"""Convolution as patches times weights, for every task at once and to any order of differentiation.

Gathering patches (``im2col``) and adding them back (``col2im``) are linear and each other's transpose, so the
pair is closed under differentiation; the product between them is ``torch.bmm``, which is closed too. Images
are channels-last: a row of a patch is then contiguous, and the copy runs at memory speed.

| name | shape | meaning |
|---|---|---|
| ``images`` | [T, B, H, W, C] | B images for each of T tasks |
| ``patches`` | [T, B * Ho * Wo, k * k * C] | one row per output position |
| ``weights`` | [T, F, C, k, k] | PyTorch's layout with a task axis |
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Geometry:
    """Sizes of one convolution.

    Attributes:
        shape: [T, B, H, W, C] of the images.
        kernel: k >= 1.
        stride: >= 1.
        padding: Zeros on every side, >= 0.
    """

    shape: tuple[int, ...]
    kernel: int
    stride: int
    padding: int

    @property
    def output(self) -> tuple[int, int]:
        """Height and width after the convolution."""
        height, width = (
            (size + 2 * self.padding - self.kernel) // self.stride + 1 for size in self.shape[2:4]
        )
        return height, width


class _Im2Col(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, geometry: Geometry) -> Tensor:
        ctx.geometry = geometry
        return _gather(images, geometry)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Col2Im.apply(grads[0], ctx.geometry), None  # type: ignore[no-untyped-call]


class _Col2Im(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, patches: Tensor, geometry: Geometry) -> Tensor:
        ctx.geometry = geometry
        return _scatter(patches, geometry)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Im2Col.apply(grads[0], ctx.geometry), None  # type: ignore[no-untyped-call]


def _gather(images: Tensor, geometry: Geometry) -> Tensor:
    pad, kernel, stride = geometry.padding, geometry.kernel, geometry.stride
    padded = functional.pad(images, (0, 0, pad, pad, pad, pad))
    windows = padded.unfold(2, kernel, stride).unfold(3, kernel, stride)  # [T, B, Ho, Wo, C, k, k]
    n_tasks, n_images, height, width, channels = windows.shape[:5]
    rows = windows.permute(0, 1, 2, 3, 5, 6, 4)
    return rows.reshape(n_tasks, n_images * height * width, kernel * kernel * channels)


def _scatter(patches: Tensor, geometry: Geometry) -> Tensor:
    n_tasks, n_images, height, width, channels = geometry.shape
    pad, kernel, stride = geometry.padding, geometry.kernel, geometry.stride
    rows, columns = geometry.output
    pieces = patches.reshape(n_tasks, n_images, rows, columns, kernel, kernel, channels)
    padded = patches.new_zeros(n_tasks, n_images, height + 2 * pad, width + 2 * pad, channels)
    for i in range(kernel):
        for j in range(kernel):
            window = padded[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride]
            window += pieces[:, :, :, :, i, j]
    return padded[:, :, pad : pad + height, pad : pad + width]


def convolve_patches(images: Tensor, weights: Tensor, stride: int, padding: int) -> Tensor:
    """Convolve by one product for all tasks; arguments and result are those of ``convolution.convolve``.

    Example:
        >>> convolve_patches(torch.ones(1, 1, 3, 3, 1), torch.ones(1, 1, 1, 3, 3), 1, 0).flatten()
        tensor([9.])
    """
    n_tasks, n_filters, channels, kernel = weights.shape[:4]
    geometry = Geometry(tuple(images.shape), kernel, stride, padding)
    patches: Tensor = _Im2Col.apply(images, geometry)  # type: ignore[no-untyped-call]
    # A view where the weights are channels-last in memory (``convolution.arranged``), else a copy.
    rows = weights.movedim(2, -1).reshape(n_tasks, n_filters, kernel * kernel * channels)
    outputs = torch.bmm(patches, rows.transpose(1, 2))
    return outputs.view(n_tasks, images.shape[1], *geometry.output, n_filters)
