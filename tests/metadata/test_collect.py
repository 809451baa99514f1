"""Collecting for real, stopping in the middle, going on, and what is stored."""

import pytest

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.collect import CollectSettings, collect, small_copy
from automl_meta.metadata.store import (
    EVALUATIONS,
    compact,
    part_names,
    read_evaluations,
    read_tasks,
)
from automl_meta.pipelines import get_family

FAMILIES = [get_family("knn"), get_family("linear")]
SETTINGS = CollectSettings(n_configurations=4, round_size=2, folds=2, max_rows=50)


class StoppedError(Exception):
    pass


@pytest.fixture
def tasks(task_of):
    return [task_of("one", 1), task_of("two", 2, "regression")]


def test_an_interrupted_collection_goes_on_and_ends_with_the_same_rows(tasks, tmp_path):
    def stop(done, _total, _name):
        if done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        collect(tasks, FAMILIES, tmp_path / "a", SETTINGS, stop)
    before = part_names(tmp_path / "a")
    assert 2 <= len(before) < 4
    told = []
    collect(tasks, FAMILIES, tmp_path / "a", SETTINGS, lambda *a: told.append(a[0]))
    assert told == list(range(len(before) + 1, 5))
    table = read_evaluations(tmp_path / "a")
    assert len(table) == 2 * 2 * 4
    assert set(table["status"]) == {"ok"}
    assert not table.duplicated(["task", "family", "number"]).any()

    collect(tasks, FAMILIES, tmp_path / "b", SETTINGS)
    keys = ["task", "family", "number"]
    again = read_evaluations(tmp_path / "b")
    a, b = (t.sort_values(keys, ignore_index=True) for t in (table, again))
    assert a["scores"].tolist() == b["scores"].tolist()

    assert compact(tmp_path / "a", tmp_path / "c") == 16
    compacted = read_evaluations(tmp_path / "c")
    assert (
        compacted["scores"].tolist()
        == table.sort_values(["family", "task", "number"], ignore_index=True)["scores"].tolist()
    )
    assert read_tasks(tmp_path / "c") == read_tasks(tmp_path / "a")


def test_rows_carry_every_metric_for_every_fold(tasks, tmp_path):
    collect(tasks, FAMILIES[:1], tmp_path, CollectSettings(n_configurations=1, folds=3))
    table = read_evaluations(tmp_path).set_index("task")
    assert set(table.loc["one", "scores"]) == {
        "roc_auc",
        "accuracy",
        "balanced_accuracy",
        "neg_log_loss",
        "f1_macro",
    }
    assert set(table.loc["two", "scores"]) == {
        "neg_root_mean_squared_error",
        "neg_mean_absolute_error",
        "r2",
    }
    assert all(len(v) == 3 for v in table.loc["one", "scores"].values())
    assert table["space"].tolist() == [
        FAMILIES[0].space(p).schema_hash for p in ("classification", "regression")
    ]


def test_small_copy_is_stratified_and_uses_every_row_for_training(task_of):
    task = task_of("big", 1, n=400)
    small = small_copy(task, 100, seed=0)
    assert small.features.shape == (100, 3)
    assert abs(small.target.mean() - task.target.mean()) < 0.02
    assert len(small.split.train) == 100
    assert small_copy(task, 1000, seed=0).features.equals(task.features)


def test_damaged_and_missing_stores_are_named(tmp_path):
    with pytest.raises(StoreError, match=r"Run automl-meta collect"):
        read_evaluations(tmp_path)
    with pytest.raises(StoreError, match=r"tasks\.json"):
        read_tasks(tmp_path)
    (tmp_path / EVALUATIONS).write_bytes(b"PAR1 not really")
    (tmp_path / "tasks.json").write_text("[{}]")
    with pytest.raises(StoreError, match="Cannot read evaluations"):
        read_evaluations(tmp_path)
    with pytest.raises(StoreError, match="Cannot read the tasks"):
        read_tasks(tmp_path)


def test_settings_are_checked():
    with pytest.raises(InvalidParameterError, match="'folds' parameter of collect"):
        CollectSettings(folds=1)
