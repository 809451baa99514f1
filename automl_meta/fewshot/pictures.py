"""Reads pictures from files, with Pillow: the one place of few-shot learning that knows picture formats."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from automl_meta.exceptions import InvalidParameterError, StoreError

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


def read_picture(
    file: Path | IO[bytes], size: int, *, color: bool = False, invert: bool = False
) -> NDArray[np.uint8]:
    """Read one picture and resize it.

    Args:
        file: Path or open file.
        size: Height and width of the result, in pixels.
        color: Keep three channels; otherwise gray.
        invert: Turn dark into bright.

    Returns:
        Shape [C, size, size], C = 3 with colour and 1 without.

    Raises:
        StoreError: If the file is not a readable picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as opened:
            picture = opened.convert("RGB" if color else "L")
    except (UnidentifiedImageError, OSError) as error:
        msg = f"{getattr(file, 'name', file)} is not a readable picture ({error}). Remove or replace it."
        raise StoreError(msg) from error
    pixels = resized(np.asarray(picture), size)
    pixels = pixels.transpose(2, 0, 1) if color else pixels[None]
    return 255 - pixels if invert else pixels


def resized(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize one picture by Lanczos resampling.

    Args:
        pixels: Gray [H, W] or colour [H, W, 3].
        size: Height and width of the result, in pixels.

    Returns:
        Shape [size, size] or [size, size, 3]; the same pixels where they have that size already.
    """
    from PIL import Image

    if pixels.shape[:2] == (size, size):
        return pixels
    picture = Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def read_class_folders(
    path: Path, size: int, *, color: bool, invert: bool
) -> tuple[NDArray[np.uint8], list[str]]:
    """Read the pictures of a folder with one folder per class.

    Args:
        path: The folder.
        size: Height and width of the result, in pixels.
        color: Keep three channels.
        invert: Turn dark into bright.

    Returns:
        Images [n, C, size, size] and the name of each one's class.

    Raises:
        InvalidParameterError: If the folder is missing or holds no class folder with pictures.
        StoreError: If a picture cannot be read.
    """
    if size < 1:
        raise _wrong("size", "an int >= 1", size, "Try 28.")
    found = list(_pictures_in(path)) if path.is_dir() else []
    if not found:
        rule = "a folder with one folder of pictures per class"
        raise _wrong(
            "path", rule, str(path), "Put the pictures of each class into a folder of its own."
        )
    images = [read_picture(file, size, color=color, invert=invert) for _, file in found]
    return np.stack(images), [name for name, _ in found]


def _pictures_in(path: Path) -> Iterator[tuple[str, Path]]:
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
        if not files:
            rule = "a folder whose folders all hold pictures"
            raise _wrong("path", rule, str(folder), "Remove the empty folder.")
        yield from ((folder.name, file) for file in files)


def _wrong(name: str, rule: str, value: object, remedy: str) -> InvalidParameterError:
    return InvalidParameterError.of(name, "FewShotDataset.from_folder", rule, value, remedy)
