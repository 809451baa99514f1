"""A small table on disk and a run of it, made once with the command itself."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl_meta.cli.app import run


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=160)
    frame = pd.DataFrame(
        {
            "width": signal + rng.normal(scale=0.6, size=160),
            "height": rng.normal(size=160),
            "colour": np.where(signal > 0.5, "red", "blue"),
            "when": pd.date_range("2024-01-01", periods=160, freq="D").strftime("%Y-%m-%d"),
            "label": np.where(signal + rng.normal(scale=0.3, size=160) > 0, "yes", "no"),
        }
    )
    frame.loc[::17, "width"] = np.nan
    path = tmp_path_factory.mktemp("data") / "tiny.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def fitted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    words = f"fit --task {table} --target label --family knn --trials 4 --folds 2 --prior none"
    assert run([*words.split(), "--output", str(folder)]) == 0
    return folder
