"""A tiny task in memory, and one finished run of it that many tests read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl_meta.runs import FitSettings, RunRequest, run_fit
from automl_meta.tasks.task import Split, Task


def make_task(kind: str = "binary", rows: int = 120, seed: int = 0) -> Task:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=rows)
    width = signal + rng.normal(scale=0.6, size=rows)
    width[::17] = np.nan
    colour = np.where(signal > 0.5, "red", np.where(rng.random(rows) < 0.5, "blue", "green"))
    features = pd.DataFrame(
        {
            "width": width,
            "height": rng.normal(size=rows),
            "colour": pd.Series(colour, dtype=object),
        }
    )
    if kind == "regression":
        target: Any = signal * 3 + rng.normal(scale=0.3, size=rows)
        classes: tuple[str, ...] = ()
        metric = "neg_root_mean_squared_error"
    else:
        edges = [0.0] if kind == "binary" else [-0.5, 0.5]
        target = np.digitize(signal + rng.normal(scale=0.3, size=rows), edges).astype(np.int64)
        classes = ("no", "yes") if kind == "binary" else ("low", "mid", "high")
        metric = "roc_auc" if kind == "binary" else "neg_log_loss"
    order = rng.permutation(rows)
    return Task(
        name=f"tiny-{kind}",
        title="tiny",
        kind=kind,
        features=features,
        target=target,
        target_name="label",
        classes=classes,
        columns={"width": "numeric", "height": "numeric", "colour": "categorical"},
        metric=metric,
        metric_source="default",
        split=Split(np.sort(order[30:]), np.sort(order[:30]), "generated, seed 0"),
    )


@pytest.fixture(scope="session")
def task() -> Task:
    return make_task()


@pytest.fixture(scope="session")
def tasks_of_every_kind() -> dict[str, Task]:
    return {kind: make_task(kind) for kind in ("binary", "multiclass", "regression")}


@pytest.fixture(scope="session")
def settings() -> FitSettings:
    return FitSettings(family="knn", trials=5, folds=2, seed=3, prior="none")


@pytest.fixture(scope="session")
def finished_run(
    task: Task, settings: FitSettings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """(folder, result) of a run of five trials; tests must not write into the folder."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, run_fit(RunRequest(task, settings, folder, command="automl-meta fit"))
