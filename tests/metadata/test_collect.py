"""Collecting for real, stopping in the middle, going on, and what is stored."""

from dataclasses import replace

import numpy as np
import pytest

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.collect import CollectSettings, _units, collect, small_copy
from automl_meta.metadata.store import (
    EVALUATIONS,
    compact,
    part_names,
    read_evaluations,
    read_tasks,
)
from automl_meta.metadata.store import SETTINGS as SETTINGS_FILE
from automl_meta.pipelines import SKLEARN_FAMILIES, get_family

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


def test_a_collection_grows_by_tasks_and_configurations(tasks, tmp_path):
    knn, small = FAMILIES[:1], replace(SETTINGS, n_configurations=3)
    collect(tasks[:1], knn, tmp_path, small)
    assert sorted(read_evaluations(tmp_path)["number"]) == [0, 1, 2]
    told = []
    more = replace(SETTINGS, n_configurations=4, jobs=2)
    collect(tasks[1:], knn, tmp_path, more)
    assert [record.title for record in read_tasks(tmp_path)] == ["one", "two"]
    # The half-full unit of three configurations is filled, the full one is not made again.
    collect(tasks, knn, tmp_path, more, lambda *a: told.append(a[2]))
    assert told == ["one--0002-0004--knn"]
    table = read_evaluations(tmp_path)
    assert table.groupby("task")["number"].apply(sorted).tolist() == [[0, 1, 2, 3]] * 2
    # A shorter design is there already.
    collect(tasks, knn, tmp_path, small, lambda *a: told.append(a[2]))
    assert len(told) == 1


def test_other_settings_and_changed_tasks_never_join_a_collection(tasks, task_of, tmp_path):
    first = replace(SETTINGS, n_configurations=1)
    collect(tasks[:1], FAMILIES[:1], tmp_path, first)
    changes = {
        "folds": 3,
        "seed": 1,
        "max_rows": 55,
        "seconds_per_fold": 9.0,
        "memory": 2000,
        "round_size": 3,
    }
    for name, value in changes.items():
        with pytest.raises(StoreError, match=rf"other settings: {name} .*or name another --output"):
            collect(tasks, FAMILIES, tmp_path, replace(first, **{name: value}))
    assert len(read_tasks(tmp_path)) == 1
    with pytest.raises(StoreError, match="The task one"):
        collect([task_of("one", 4)], FAMILIES, tmp_path, first)


def test_collecting_goes_on_in_a_compacted_folder(tasks, tmp_path):
    first = replace(SETTINGS, n_configurations=1)
    collect(tasks[:1], FAMILIES[:1], tmp_path / "a", first)
    compact(tmp_path / "a", tmp_path / "b")
    collect(tasks[1:], FAMILIES[:1], tmp_path / "b", first)
    assert sorted(read_evaluations(tmp_path / "b")["task"]) == ["one", "two"]
    with pytest.raises(StoreError, match="other settings: folds 2, now 3"):
        collect(tasks, FAMILIES, tmp_path / "b", replace(first, folds=3))
    (tmp_path / "b" / SETTINGS_FILE).unlink()
    with pytest.raises(StoreError, match=r"no collect\.json"):
        collect(tasks, FAMILIES, tmp_path / "b", first)


def test_what_a_compacted_folder_holds_is_not_evaluated_again(tasks, tmp_path):
    knn = FAMILIES[:1]
    collect(tasks[:1], knn, tmp_path / "a", SETTINGS)
    compact(tmp_path / "a", tmp_path / "b")
    told = []
    more = replace(SETTINGS, n_configurations=6)
    collect(tasks[:1], FAMILIES, tmp_path / "b", more, lambda *a: told.append(a[2]))
    families = [name.split("--")[-1] for name in told]
    assert families == ["linear", "linear", "knn-linear"]
    table = read_evaluations(tmp_path / "b")
    assert len(table) == 12
    assert not table.duplicated(["task", "family", "number"]).any()
    (tmp_path / "b" / EVALUATIONS).write_bytes(b"no table")
    with pytest.raises(StoreError, match="Cannot read evaluations"):
        collect(tasks[:1], FAMILIES, tmp_path / "b", more)


def test_sets_of_families_with_the_same_letters_have_their_own_parts(task_of):
    names = [family.name for family in SKLEARN_FAMILIES]
    task = task_of("one", 1)
    units = [_first_unit(task, order) for order in (names, [*names[:-2], names[-1], names[-2]])]
    assert len({unit.name for unit in units}) == 2
    assert all(len(unit.name) < 80 for unit in units)


def _first_unit(task, names):
    return next(_units([task], [get_family(name) for name in names], SETTINGS))


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


@pytest.mark.parametrize("alone", [1, 2])
def test_small_copy_takes_classes_of_one_row(task_of, alone):
    task = task_of("big", 1, n=400)
    target = task.target.copy()
    target[:alone] = 2 + np.arange(alone)
    small = small_copy(replace(task, target=target), 100, seed=0)
    assert len(small.target) == 100


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
