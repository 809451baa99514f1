"""Copies are recognised by content; different data sets are told apart."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from automl_meta.tasks.fingerprint import (
    Fingerprint,
    fingerprint,
    group_duplicates,
    near_duplicates,
)
from automl_meta.tasks.task import Split, Task


def make_task(seed=0, n=200):
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(
        {
            "x": rng.gamma(1.0 + seed, size=n),
            "y": rng.normal(size=n) ** (1 + seed % 3),
            "z": rng.choice(["red", "green", "blue"], n, p=[0.6, 0.3, 0.1]).astype(object),
            "w": rng.integers(0, 2 + seed, n).astype(float),
        }
    )
    features["z"] = features["z"].astype(object)
    target = (rng.uniform(size=n) < 0.3 + 0.05 * seed).astype(int)
    kinds = {"x": "numeric", "y": "numeric", "z": "categorical", "w": "numeric"}
    split = Split(np.arange(n), np.array([], dtype=np.int64), "all")
    return Task("t", "t", "binary", features, target, "c", ("a", "b"), kinds, "roc_auc", "", split)


def shuffled_and_relabelled(task):
    rng = np.random.default_rng(1)
    order = rng.permutation(len(task.target))
    features = task.features.iloc[order, [2, 0, 3, 1]].reset_index(drop=True)
    features["z"] = features["z"].map({"red": 0.0, "green": 1.0, "blue": 2.0})
    features.columns = ["p", "q", "r", "s"]
    return replace(
        task,
        features=features,
        target=1 - task.target[order],
        columns=dict.fromkeys("pqrs", "numeric"),
    )


def test_order_names_and_label_encoding_do_not_matter():
    task = make_task()
    assert fingerprint(task).digest == fingerprint(shuffled_and_relabelled(task)).digest


def test_near_copies_match_and_others_do_not():
    task = make_task()
    original = fingerprint(task)
    fewer = replace(
        task,
        features=task.features.iloc[:192],
        target=task.target[:192],
        split=Split(np.arange(192), np.array([], dtype=np.int64), "all"),
    )
    other_target = replace(task, target=(task.features["x"] > 2).to_numpy().astype(int))
    other_features = replace(task, features=task.features[["z"]], columns={"z": "categorical"})
    for copy in (fewer, other_target, other_features):
        assert near_duplicates(original, fingerprint(copy))
        assert near_duplicates(fingerprint(copy), original)
    for seed in (1, 2, 3):
        assert not near_duplicates(original, fingerprint(make_task(seed, n=200 + 11 * seed)))


def test_groups_are_transitive():
    prints = [fingerprint(make_task(s, n=200 + 20 * s)) for s in (0, 1, 2, 0)]
    groups = group_duplicates(prints)
    assert groups[0] == groups[3]
    assert len(set(groups)) == 3


def test_json_round_trip():
    original = fingerprint(make_task())
    assert Fingerprint.from_json(original.to_json()) == original


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_meta_features_are_finite_and_complete(kind):
    from automl_meta.tasks.meta_features import META_FEATURES, meta_features

    task = make_task()
    task.features.loc[3:20, "x"] = np.nan
    if kind == "regression":
        task = replace(task, kind="regression", classes=(), target=task.features["y"].to_numpy())
    values = meta_features(task)
    assert tuple(values) == META_FEATURES
    assert all(np.isfinite(v) for v in values.values())
    assert values == meta_features(task)
    assert values["share_categorical"] == 0.25
    assert values["log_classes"] == (1.0 if kind == "binary" else 0.0)
    if kind == "regression":  # the target is a column: a tree must see it
        assert values["landmark_tree"] > 0.5


@pytest.mark.parametrize("share", [0.9, 0.75, 0.5])
def test_a_part_of_a_table_is_recognised(share):
    task = make_task()
    rows = np.random.default_rng(1).permutation(200)[: int(200 * share)]
    part = replace(
        task,
        features=task.features.iloc[rows].reset_index(drop=True)[["w", "z", "y", "x"]],
        target=task.target[rows],
        columns={name: task.columns[name] for name in "wzyx"},
        split=Split(np.arange(len(rows)), np.array([], dtype=np.int64), "all"),
    )
    assert near_duplicates(fingerprint(task), fingerprint(part))
    assert not near_duplicates(fingerprint(make_task(1, n=230)), fingerprint(part))


def test_two_balanced_tables_of_equal_size_are_no_copies():
    first, second = make_task(1), make_task(2)
    balanced = np.arange(200) % 2
    pair = [fingerprint(replace(t, target=balanced)) for t in (first, second)]
    assert pair[0].target == pair[1].target
    assert not near_duplicates(*pair)


def test_meta_features_of_a_column_that_is_empty_in_the_training_part_warn_nobody():
    from automl_meta.tasks.meta_features import meta_features

    task = make_task()
    task.features["x"] = np.nan
    assert np.isfinite(list(meta_features(task).values())).all()
