"""Small tables and ARFF texts."""

from pathlib import Path

import numpy as np
import pytest

from automl_meta._resources import data_folder


@pytest.fixture
def shared_data():
    folder = data_folder()
    if folder is None:
        pytest.skip("needs the shared data folder: set AUTOML_META_DATA")
    return Path(folder)


def make_arff(n_rows=60, seed=0, classes=("no", "yes")):
    rng = np.random.default_rng(seed)
    lines = [
        "@RELATION small",
        "@ATTRIBUTE number REAL",
        "@ATTRIBUTE colour {red,green,'light blue'}",
        "@ATTRIBUTE noise NUMERIC",
        "@ATTRIBUTE rowname STRING",
        f"@ATTRIBUTE class {{{','.join(classes)}}}",
        "@DATA",
    ]
    for i in range(n_rows):
        colour = ("red", "green", "'light blue'", "?")[rng.integers(4)]
        number = "?" if i % 10 == 0 else f"{rng.normal():.3f}"
        lines.append(f"{number},{colour},{rng.normal():.3f},row{i},{classes[i % len(classes)]}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def arff_text():
    return make_arff


@pytest.fixture
def csv_file(tmp_path):
    """Write a text as a table file."""

    def write(text, name="table.csv"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return file

    return write
