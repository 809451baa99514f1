import numpy as np
import pandas as pd
import pytest

from automl_meta.tasks.task import Split, Task


def make_task(kind="binary", n=90, seed=0, metric=None):
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.normal(size=n),
            "c": rng.choice(["u", "v"], n).astype(object),
        }
    )
    features["c"] = features["c"].astype(object)
    value = features["a"].to_numpy() + 0.3 * rng.normal(size=n)
    if kind == "regression":
        target, classes = value, ()
    else:
        cuts = [0.0] if kind == "binary" else [-0.5, 0.5]
        target = np.digitize(value, cuts)
        classes = tuple("pqr"[: len(cuts) + 1])
    usual = {"binary": "roc_auc", "multiclass": "neg_log_loss"}
    return Task(
        "made-up",
        "made-up",
        kind,
        features,
        target,
        "y",
        classes,
        {"a": "numeric", "b": "numeric", "c": "categorical"},
        metric or usual.get(kind, "neg_root_mean_squared_error"),
        "test",
        Split(np.arange(n - 20), np.arange(n - 20, n), "last 20 rows"),
    )


@pytest.fixture
def task_of():
    return make_task
