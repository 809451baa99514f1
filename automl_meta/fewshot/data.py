"""Labelled images for few-shot learning: bytes on one device, and an index from classes to rows.

Selecting classes or adding rotations changes the index only; all data sets made from one another share the
same images.

| symbol | meaning |
|---|---|
| n | images |
| M | classes |
| C, H, W | channels, height and width of an image |
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.pictures import read_class_folders

QUARTER_TURNS = 4


@dataclass(frozen=True)
class ClassTable:
    """Where the images of each class lie.

    Attributes:
        starts: First row of each class in the images, int64, shape [M].
        counts: Images of each class, int64, shape [M]; its rows are starts .. starts + counts - 1.
        turns: Quarter turns (counter-clockwise) that make the class from its images, 0 to 3, shape [M].
    """

    starts: Tensor
    counts: Tensor
    turns: Tensor

    def __len__(self) -> int:
        """Return M, the number of classes."""
        return self.starts.shape[0]

    def __getitem__(self, classes: Tensor) -> "ClassTable":
        """Return the entries of some classes, in the shape of ``classes``."""
        return ClassTable(self.starts[classes], self.counts[classes], self.turns[classes])

    def to(self, device: torch.device | str) -> "ClassTable":
        """Return the table on a device."""
        return ClassTable(self.starts.to(device), self.counts.to(device), self.turns.to(device))

    def rows(self) -> Tensor:
        """Return all rows of all classes once, sorted, int64."""
        spans = [
            torch.arange(start, start + count)
            for start, count in set(zip(self.starts.tolist(), self.counts.tolist(), strict=True))
        ]
        return torch.cat(spans).sort().values


@dataclass(frozen=True)
class FewShotDataset:
    """Images by class; make one with ``from_arrays``, ``from_folder`` or ``load_omniglot``.

    Attributes:
        images: uint8, ink bright, shape [n, C, H, W], rows of a class side by side.
        classes: Rows and quarter turns of each class; always on the CPU.
        names: Name of each class, length M.

    Example:
        >>> data = FewShotDataset.from_arrays(np.zeros((6, 8, 8), np.uint8), ["a", "b", "a", "b", "b", "b"])
        >>> data.names, data.classes.counts.tolist()
        (('a', 'b'), [2, 4])
        >>> len(data.subset(["b"]).with_rotations().names)
        4
    """

    images: Tensor
    classes: ClassTable
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            shape = (self.images.dtype, tuple(self.images.shape))
            raise _wrong(
                "images", "uint8 [n, C, H, W]", shape, "Use from_arrays.", "FewShotDataset"
            )
        if not 0 < len(self.classes) == len(self.names):
            rule = f"one name a class, {len(self.classes)}, and at least one"
            raise _wrong("names", rule, self.names, "Use from_arrays.", "FewShotDataset")

    @classmethod
    def from_arrays(
        cls,
        images: np.ndarray[Any, Any] | Tensor,
        labels: Sequence[Any] | np.ndarray[Any, Any] | Tensor,
        names: Sequence[str] | None = None,
    ) -> "FewShotDataset":
        """Make a data set from arrays; classes may have different numbers of images.

        Args:
            images: uint8, or floats in [0, 1] which are rounded to bytes; shape [n, H, W] or [n, C, H, W].
            labels: One label an image, numbers or strings, shape [n]; classes are the sorted distinct ones.
            names: Name of each class in the order of the sorted labels; by default the labels themselves.

        Returns:
            The data set, on the device of ``images``.

        Raises:
            InvalidParameterError: For shapes that do not fit, no images, or values out of range.
        """
        pixels = _as_bytes(torch.as_tensor(images))
        keys = labels.cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
        if keys.shape != (len(pixels),):
            rule = f"one label an image, shape ({len(pixels)},)"
            raise _wrong("labels", rule, keys.shape, "Pass a flat list of labels.")
        distinct, index = np.unique(keys, return_inverse=True)
        chosen = tuple(str(key) for key in distinct) if names is None else tuple(names)
        if len(chosen) != len(distinct) or len(set(chosen)) != len(chosen):
            rule = f"{len(distinct)} different names, one per distinct label"
            raise _wrong("names", rule, chosen, "Leave it out to use the labels.")
        order = torch.from_numpy(np.argsort(index, kind="stable")).to(pixels.device)
        counts = torch.from_numpy(np.bincount(index))
        table = ClassTable(counts.cumsum(0) - counts, counts, torch.zeros_like(counts))
        return cls(pixels[order].contiguous(), table, chosen)

    @classmethod
    def from_folder(
        cls, path: str | Path, size: int = 28, *, color: bool = False, invert: bool = False
    ) -> "FewShotDataset":
        """Read a folder with one folder of pictures per class.

        Args:
            path: The folder; the name of each folder in it names a class. Files of other kinds than
                PNG, JPEG, BMP, GIF, TIFF and WebP are passed over.
            size: Height and width that every picture is resized to (Lanczos), in pixels.
            color: Keep three channels; otherwise pictures become gray.
            invert: Turn dark into bright; use it for dark ink on white paper.

        Returns:
            The data set, on the CPU.

        Raises:
            InvalidParameterError: If the folder is missing or holds no class folder with pictures.
            StoreError: If a picture cannot be read.
        """
        images, labels = read_class_folders(Path(path), size, color=color, invert=invert)
        return cls.from_arrays(images, labels)

    def __len__(self) -> int:
        """Return the number of images over all classes; a rotated image counts for each turn."""
        return int(self.classes.counts.sum())

    def to(self, device: torch.device | str) -> "FewShotDataset":
        """Return the data set with its images on a device."""
        return replace(self, images=self.images.to(device))

    def subset(self, classes: Sequence[int] | Sequence[str] | Tensor) -> "FewShotDataset":
        """Return some classes, in the order given; the images are shared, not copied.

        Args:
            classes: Distinct class indices or names, at least one.

        Raises:
            InvalidParameterError: For an unknown or repeated class, or none.
        """
        keys: list[Any] = classes.tolist() if isinstance(classes, Tensor) else list(classes)
        places = {name: i for i, name in enumerate(self.names)}
        chosen = [places.get(key, -1) if isinstance(key, str) else key for key in keys]
        known = range(len(self.names))
        chosen = [places.get(key, -1) if isinstance(key, str) else int(key) for key in keys]
        if not chosen or len(set(chosen)) != len(chosen) or not all(c in known for c in chosen):
            rule = f"distinct indices in 0..{len(known) - 1} or names of classes, at least one"
            raise _wrong("classes", rule, keys, "See dataset.names.", "FewShotDataset.subset")
        return replace(
            self,
            classes=self.classes[torch.tensor(chosen)],
            names=tuple(self.names[c] for c in chosen),
        )

    def with_at_least(self, n_images: int) -> "FewShotDataset":
        """Return the classes that have at least so many images; there must be one."""
        return self.subset((self.classes.counts >= n_images).nonzero().squeeze(1))

    def with_rotations(self) -> "FewShotDataset":
        """Return four times the classes: class 4c + r is class c turned by r quarter turns.

        Images are turned when they are drawn, so this costs no memory. Rotate after splitting: a character
        and its own rotation must not lie in different splits (``check_disjoint`` refuses that).

        Raises:
            InvalidParameterError: If images are not square, or there are rotations already.
        """
        if self.images.shape[-1] != self.images.shape[-2] or bool(self.classes.turns.any()):
            rule = "square images without rotations"
            shape = tuple(self.images.shape[1:])
            raise _wrong("self", rule, shape, "Rotate once.", "FewShotDataset.with_rotations")
        each = torch.arange(len(self.names)).repeat_interleave(QUARTER_TURNS)
        turns = torch.arange(QUARTER_TURNS).repeat(len(self.names))
        return replace(
            self,
            classes=replace(self.classes[each], turns=turns),
            names=tuple(f"{name}@{90 * r}" for name in self.names for r in range(QUARTER_TURNS)),
        )

    def pictures(self, rows: Tensor, turns: Tensor) -> Tensor:
        """Gather images and turn them.

        Args:
            rows: Rows of ``images``, int64, shape [..., m].
            turns: Quarter turns (counter-clockwise) of each group of m images, shape [...].

        Returns:
            uint8 on the device of ``images``, shape [..., m, C, H, W].
        """
        device = self.images.device
        channels, height, width = self.images.shape[1:]
        rows = rows.to(device, non_blocking=True)
        flat = self.images.flatten(1).index_select(0, rows.flatten())
        # Asked of the class table on the CPU, so that a GPU is never waited for.
        if not bool(self.classes.turns.any()):
            return flat.view(*rows.shape, channels, height, width)
        pixels = _turned_pixels(height, device)[turns.to(device, non_blocking=True)]
        flat = flat.view(*rows.shape, channels, height * width)
        source = pixels[..., None, None, :].expand(flat.shape)
        return flat.gather(-1, source).view(*rows.shape, channels, height, width)


def check_disjoint(first: FewShotDataset, second: FewShotDataset, where: str = "split") -> None:
    """Refuse two splits that share an image, turned or not.

    Args:
        first: One split.
        second: Another split, of the same images or of other ones.
        where: What is being split, for the message.

    Raises:
        InvalidParameterError: If a row of shared images is in both, or else an equal picture is.
    """
    if first.images is second.images:
        common = int(np.intersect1d(first.classes.rows(), second.classes.rows()).size)
    else:
        common = len(_pictures_as_bytes(first) & _pictures_as_bytes(second))
    if common:
        rule = "two sets of classes that share no image"
        raise _wrong("classes", rule, f"{common} images in both", "Split before rotating.", where)


def _pictures_as_bytes(dataset: FewShotDataset) -> set[bytes]:
    images = dataset.images[dataset.classes.rows().to(dataset.images.device)].cpu().numpy()
    return {image.tobytes() for image in images}


@lru_cache(maxsize=8)
def _turned_pixels(side: int, device: torch.device) -> Tensor:
    """Return for each quarter turn which pixel every pixel comes from, shape [4, side * side]."""
    grid = torch.arange(side * side, device=device).view(side, side)
    return torch.stack([grid.rot90(turn).flatten() for turn in range(QUARTER_TURNS)])


def _as_bytes(images: Tensor) -> Tensor:
    """Check images and bring them to uint8 [n, C, H, W]."""
    if images.ndim not in (3, 4) or 0 in images.shape:
        rule = "an array [n, H, W] or [n, C, H, W] with at least one image"
        raise _wrong("images", rule, tuple(images.shape), "Reshape it.")
    if images.dtype != torch.uint8:
        if not images.is_floating_point() or not bool(((images >= 0) & (images <= 1)).all()):
            raise _wrong(
                "images", "uint8, or floats in [0, 1]", images.dtype, "Divide by the largest."
            )
        images = (images * 255).round().to(torch.uint8)
    return images.unsqueeze(1) if images.ndim == 3 else images


def _wrong(
    name: str, rule: str, value: object, remedy: str, where: str = "FewShotDataset.from_arrays"
) -> InvalidParameterError:
    return InvalidParameterError.of(name, where, rule, value, remedy)
