"""A data folder with made-up contents, so that the examples run everywhere."""

import numpy as np
import pandas as pd
import pytest

from automl_meta.fewshot.omniglot import PACKED_28

#: Kind of digits to height, width and brightest value.
DIGITS = {
    "mnist_t10k_28x28": (28, 28, 255),
    "optdigits_8x8": (8, 8, 16),
    "semeion_16x16": (16, 16, 1),
    "mfeat_pixel_16x15": (16, 15, 6),
}
TABLES = ("hepatitis", "prnn_synth", "new_thyroid", "profb")


@pytest.fixture
def data(tmp_path):
    """Make the empty folder."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    return tmp_path / "data"


@pytest.fixture
def digits(data):
    """Add noise with a bright row that tells the digit, in four layouts."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 36).astype(np.uint8)
    for name, (height, width, top) in DIGITS.items():
        pixels = rng.integers(0, 2, (len(labels), height, width)).astype(np.uint8) * (top // 3)
        for image, label in zip(pixels, labels, strict=True):
            image[int(label) * height // 10] = top
        if name.startswith("semeion"):
            pixels = np.packbits(pixels.reshape(len(labels), -1), axis=1)
        np.savez(data / "images" / f"{name}.npz", images=pixels, labels=labels)
    return data


@pytest.fixture
def characters(data):
    """Add as many classes and drawings as Omniglot has: a bar each of a place and a length, in noise."""
    rng = np.random.default_rng(0)
    n_classes, side = 1623, 28
    kind = np.repeat(np.arange(n_classes), 20)
    images = rng.random((len(kind), side, side)) < 0.1
    rows, starts, ends = kind % side, kind // side % 11, 14 + kind // side // 11
    columns = np.arange(side)
    bars = (columns >= starts[:, None]) & (columns < ends[:, None])
    images[np.arange(len(kind)), rows] |= bars
    (data / "omniglot").mkdir()
    np.savez(
        data / "omniglot" / PACKED_28,
        images=np.packbits(images.reshape(len(kind), -1), axis=1),
        shape=np.array(images.shape),
        char_id=kind,
        char_names=np.array([f"c{number}" for number in range(n_classes)]),
        alphabet_id=np.zeros(len(kind), int),
        alphabet_names=np.array(["Bars"]),
        alphabet_split=np.array([0]),
    )
    return data


@pytest.fixture
def scans(data):
    """Add two sets of medical images: the ill are bright in the middle."""
    rng = np.random.default_rng(0)
    for name in ("pneumoniamnist", "breastmnist"):
        parts = {}
        for part, n in (("train", 40), ("test", 30)):
            labels = (np.arange(n) % 2)[:, None].astype(np.uint8)
            images = rng.integers(0, 120, (n, 28, 28)).astype(np.uint8)
            images[labels.ravel() == 1, 10:18, 10:18] += 100
            parts |= {f"{part}_images": images, f"{part}_labels": labels}
        np.savez(data / "images" / f"{name}.npz", **parts)
    return data


@pytest.fixture
def tables(data):
    """Add small tables of two classes, each with a direction of its own that tells them, and noise."""
    rng = np.random.default_rng(0)
    (data / "pmlb").mkdir()
    for name in TABLES:
        x = rng.normal(size=(150, 4))
        target = 1 + (x @ rng.normal(size=4) + 0.5 * rng.normal(size=150) > 0)
        frame = pd.DataFrame(x.round(3), columns=list("abcd")).assign(target=target)
        frame.to_csv(data / "pmlb" / f"{name}.tsv.gz", sep="\t", index=False)
    return data
