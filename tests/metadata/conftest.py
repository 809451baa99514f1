import numpy as np
import pandas as pd
import pytest

from automl_meta.tasks.task import Split, Task


def make_task(title, seed, kind="binary", n=60):
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(rng.normal(size=(n, 3)) ** (1 + seed % 2), columns=list("abc"))
    value = features["a"].to_numpy() + 0.2 * rng.normal(size=n)
    target = (
        value
        if kind == "regression"
        else (value > np.quantile(value, 0.3 + 0.05 * seed)).astype(int)
    )
    return Task(
        title,
        title,
        kind,
        features,
        target,
        "y",
        () if kind == "regression" else ("n", "p"),
        dict.fromkeys("abc", "numeric"),
        "neg_root_mean_squared_error" if kind == "regression" else "roc_auc",
        "test",
        Split(np.arange(n), np.array([], dtype=np.int64), "all"),
        {"source": "made up"},
    )


@pytest.fixture
def task_of():
    return make_task
