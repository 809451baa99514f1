"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawings each.

Three layouts of the data are understood; all give the same classes in the same order, named
``images_background/ALPHABET/CHARACTER`` or ``images_evaluation/ALPHABET/CHARACTER``:

- packed files: ``omniglot_28_gray_lanczos.npz`` and ``omniglot_105_packedbits.npz``,
- the official ``images_background.zip`` and ``images_evaluation.zip``,
- those two, extracted.

Reference:
    Lake, Salakhutdinov and Tenenbaum (2015), Human-level concept learning through probabilistic program
    induction, Science 350. https://github.com/brendenlake/omniglot
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray

from automl_meta._resources import DATA_VARIABLE, data_folder
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.fewshot.data import FewShotDataset, check_disjoint
from automl_meta.fewshot.pictures import read_picture, resized

#: The two official parts: 30 and 20 alphabets.
PARTS = ("images_background", "images_evaluation")
PACKED_28 = "omniglot_28_gray_lanczos.npz"
PACKED_105 = "omniglot_105_packedbits.npz"


@dataclass(frozen=True)
class Split:
    """Classes to learn from, to stop early by and to report on; no image is in two of them.

    Attributes:
        train: Classes for meta-training.
        validation: Classes held out of the training part.
        test: Classes that only the final evaluation sees.
    """

    train: FewShotDataset
    validation: FewShotDataset
    test: FewShotDataset

    def __post_init__(self) -> None:
        check_disjoint(self.train, self.validation, "Split(train, validation)")
        check_disjoint(self.train, self.test, "Split(train, test)")
        check_disjoint(self.validation, self.test, "Split(validation, test)")

    def with_rotations(self) -> "Split":
        """Return the split with rotations as new classes in each part; no character straddles two parts."""
        return Split(
            self.train.with_rotations(),
            self.validation.with_rotations(),
            self.test.with_rotations(),
        )

    def to(self, device: torch.device | str) -> "Split":
        """Return the split on a device; parts that share their images go on sharing them."""
        images = self.train.images.to(device)
        parts = (self.train, self.validation, self.test)
        if any(part.images is not self.train.images for part in parts):
            return Split(*(part.to(device) for part in parts))
        return Split(*(FewShotDataset(images, part.classes, part.names) for part in parts))


def load_omniglot(folder: str | Path | None = None, *, image_size: int = 28) -> FewShotDataset:
    """Load all of Omniglot, ink bright.

    Args:
        folder: Folder with one of the layouts above, or with an ``omniglot`` folder that has one. By default
            the shared data: ``AUTOML_META_DATA``, else ``../shared/data`` beside the checkout.
        image_size: Height and width in pixels, resized by Lanczos from 105.

    Returns:
        1,623 classes of 20 images, on the CPU, sorted by name.

    Raises:
        StoreError: If no data are found or a file is damaged.
        InvalidParameterError: If ``image_size`` is below 1.
    """
    if image_size < 1:
        raise InvalidParameterError.of(
            "image_size", "load_omniglot", "an int >= 1", image_size, "Try 28."
        )
    root = Path(folder) if folder is not None else data_folder()
    for place in () if root is None else (root, root / "omniglot"):
        if image_size == 28 and (place / PACKED_28).is_file():
            return _from_packed(place / PACKED_28, image_size)
        if (place / PACKED_105).is_file():
            return _from_packed(place / PACKED_105, image_size)
        if all((place / part).is_dir() or (place / f"{part}.zip").is_file() for part in PARTS):
            return _from_pictures(place, image_size)
    msg = (
        f"No Omniglot in {root}. Download it with download_omniglot(FOLDER), name its folder with --data, "
        f"or set {DATA_VARIABLE}."
    )
    raise StoreError(msg)


def split_characters(
    dataset: FewShotDataset, *, seed: int = 0, train: int = 1200, validation: int = 100
) -> Split:
    """Split the characters at random, regardless of alphabet: the usual protocol since Santoro et al.

    Args:
        dataset: Omniglot without rotations, or any other data set.
        seed: Of the permutation of the characters; state it with every result.
        train: Characters of the training part, validation included; all others are for testing.
        validation: Characters of those that are held out for early stopping.

    Returns:
        1,100 + 100 characters for training and validation and 423 for testing, by default.

    Raises:
        InvalidParameterError: If the numbers leave one part empty.
    """
    n_classes = len(dataset.names)
    if not 0 < validation < train < n_classes:
        raise InvalidParameterError.of(
            "train",
            "split_characters",
            f"such that 0 < validation < train < {n_classes} classes",
            (train, validation),
            "Leave at least one class for each part.",
        )
    order = torch.randperm(n_classes, generator=torch.Generator().manual_seed(seed))
    learn = train - validation
    return Split(
        dataset.subset(order[:learn]),
        dataset.subset(order[learn:train]),
        dataset.subset(order[train:]),
    )


def split_alphabets(dataset: FewShotDataset, *, seed: int = 0, validation: int = 5) -> Split:
    """Split by alphabet, as Omniglot's authors do: 30 background alphabets, 20 for evaluation.

    Args:
        dataset: Omniglot without rotations, as ``load_omniglot`` names its classes.
        seed: Decides which background alphabets are held out for validation.
        validation: Number of them, 1 to 29.

    Returns:
        964 background characters for training and validation, 659 evaluation characters for testing.

    Raises:
        InvalidParameterError: If the classes are not named as Omniglot's, or ``validation`` is out of range.
    """
    alphabets = [name.rpartition("/")[0] for name in dataset.names]
    background = sorted({name for name in alphabets if name.startswith(PARTS[0] + "/")})
    evaluation = {name for name in alphabets if name.startswith(PARTS[1] + "/")}
    if not evaluation or not 0 < validation < len(background):
        raise InvalidParameterError.of(
            "validation",
            "split_alphabets",
            f"from 1 to {len(background) - 1}, with classes of both official parts",
            validation,
            "Pass all of load_omniglot().",
        )
    order = torch.randperm(len(background), generator=torch.Generator().manual_seed(seed))
    held_out = {background[i] for i in order[:validation].tolist()}

    def classes_of(kept: set[str]) -> FewShotDataset:
        return dataset.subset([i for i, alphabet in enumerate(alphabets) if alphabet in kept])

    return Split(
        classes_of(set(background) - held_out), classes_of(held_out), classes_of(evaluation)
    )


def _from_packed(file: Path, image_size: int) -> FewShotDataset:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["images"], _packed_names(arrays)
            if "shape" in arrays:
                height, width = (int(side) for side in arrays["shape"][1:])
                bits = np.unpackbits(images, axis=1, count=height * width)
                images = (255 * bits).reshape(-1, height, width)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        msg = f"{file} is not a packed Omniglot file ({error}). Copy it again."
        raise StoreError(msg) from error
    return FewShotDataset.from_arrays(np.stack([resized(i, image_size) for i in images]), labels)


def _packed_names(arrays: "np.lib.npyio.NpzFile") -> NDArray[np.str_]:
    """Name the class of each image: official part, alphabet, character."""
    part = np.array(PARTS)[arrays["alphabet_split"][arrays["alphabet_id"]]]
    alphabet = arrays["alphabet_names"][arrays["alphabet_id"]]
    character = arrays["char_names"][arrays["char_id"]]
    return np.array([f"{p}/{a}/{c}" for p, a, c in zip(part, alphabet, character, strict=True)])


def _from_pictures(place: Path, image_size: int) -> FewShotDataset:
    images: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    for part in PARTS:
        extracted = (place / part).is_dir()
        found = _extracted(place / part) if extracted else _zipped(place / f"{part}.zip")
        for character, file in found:
            # Ink is black in the official files.
            images.append(read_picture(file, image_size, invert=True))
            labels.append(f"{part}/{character}")
    if not images:
        msg = f"No pictures ALPHABET/CHARACTER/*.png in {place}. Extract the official zip files again."
        raise StoreError(msg)
    return FewShotDataset.from_arrays(np.stack(images), labels)


def _extracted(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.glob("*/*/*.png")):
        yield f"{file.parent.parent.name}/{file.parent.name}", file


def _zipped(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        with zipfile.ZipFile(file) as archive:
            for name in sorted(archive.namelist()):
                path = PurePosixPath(name)
                if path.suffix == ".png" and len(path.parts) == 4:
                    with archive.open(name) as picture:
                        yield "/".join(path.parts[1:3]), picture
    except zipfile.BadZipFile as error:
        msg = f"{file} is damaged ({error}). Delete it and run download_omniglot again."
        raise StoreError(msg) from error
