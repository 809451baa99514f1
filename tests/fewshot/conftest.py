"""Small data sets of pictures that can be told apart."""

import numpy as np
import pytest
import torch
from PIL import Image

from automl_meta._resources import data_folder
from automl_meta.fewshot.data import FewShotDataset


@pytest.fixture
def shared_data():
    folder = data_folder()
    if folder is None or not (folder / "omniglot").is_dir():
        pytest.skip("needs omniglot in the shared data folder: set AUTOML_META_DATA")
    return folder


@pytest.fixture
def numbered():
    """Make a data set whose every pixel is the number of its image (at most 256 images)."""

    def make(*counts, side=2):
        n = sum(counts)
        images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1).expand(n, side, side)
        return FewShotDataset.from_arrays(images, np.repeat(np.arange(len(counts)), counts))

    return make


@pytest.fixture
def tiny_omniglot():
    """Write the official layout in small: black ink on white, 105 x 105, 2 + 2 characters, 3 drawers."""

    def make(folder):
        alphabets = {"images_background": ("Greek", "Latin"), "images_evaluation": ("Kannada",)}
        for p, (part, names) in enumerate(alphabets.items()):
            for a, alphabet in enumerate(names):
                for c in range(2):
                    place = folder / part / alphabet / f"character{c + 1:02}"
                    place.mkdir(parents=True)
                    for drawer in range(3):
                        paper = np.full((105, 105), 255, np.uint8)
                        paper[
                            20 * p + 5 * a : 20 * p + 5 * a + 30, 30 * c : 30 * c + 10 + drawer
                        ] = 0
                        file = place / f"{p}{a}{c}_{drawer + 1:02}.png"
                        Image.fromarray(paper).convert("1").save(file)
        return folder

    return make
