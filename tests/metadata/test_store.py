"""Tasks and evaluations on disk: merged by what identifies them."""

from dataclasses import replace

import pytest

from automl_meta.evaluation import Evaluation
from automl_meta.exceptions import StoreError
from automl_meta.metadata.collect import record_of
from automl_meta.metadata.store import (
    SETTINGS,
    add_tasks,
    compact,
    evaluation_row,
    read_evaluations,
    read_tasks,
    write_part,
    write_tasks,
)


def row(task, number, score, **facts):
    scores = ({"roc_auc": score},)
    evaluation = Evaluation(task, "knn", {"k": number}, "roc_auc", scores, (0.1,), "ok")
    return evaluation_row(evaluation, number=number, origin="shared", **facts)


def test_tasks_are_added_by_title(task_of, tmp_path):
    one, two = (record_of(task_of(f"t{i}", i)) for i in (1, 2))
    add_tasks(tmp_path, [one])
    add_tasks(tmp_path, [two])
    assert read_tasks(tmp_path) == (one, two)
    newer = replace(one, meta_features={"rows": 1.0})
    add_tasks(tmp_path, [newer])
    assert read_tasks(tmp_path) == (newer, two)


def test_a_title_that_names_other_data_is_refused(task_of, tmp_path):
    add_tasks(tmp_path, [record_of(task_of("one", 1))])
    before = (tmp_path / "tasks.json").read_bytes()
    with pytest.raises(StoreError, match=r"The task one .* has other data now.*another title"):
        add_tasks(tmp_path, [record_of(task_of("two", 2)), record_of(task_of("one", 3))])
    assert (tmp_path / "tasks.json").read_bytes() == before


def test_rows_beside_a_compacted_table_are_read_too_and_none_twice(tmp_path):
    write_tasks(tmp_path / "a", [])
    write_part(tmp_path / "a", "x", [row("one", n, 0.5, seed=0) for n in (0, 1)])
    (tmp_path / "a" / SETTINGS).write_text('{"folds": 3}')
    assert compact(tmp_path / "a", tmp_path / "b") == 2
    assert (tmp_path / "b" / SETTINGS).read_text() == '{"folds": 3}'
    again = [row("one", 1, 0.9, seed=0), row("one", 1, 0.7, seed=1), row("two", 0, 0.5, seed=0)]
    write_part(tmp_path / "b", "y", again)
    table = read_evaluations(tmp_path / "b")
    assert table["scores"].map(lambda s: s["roc_auc"][0]).tolist() == [0.5, 0.9, 0.7, 0.5]
    assert table.index.tolist() == [0, 1, 2, 3]
    # Compacting in place loses nothing either.
    assert compact(tmp_path / "b", tmp_path / "b") == 4
    assert len(read_evaluations(tmp_path / "b")) == 4


def test_rows_of_several_families_without_a_seed_stay_apart(tmp_path):
    rows = [row("one", 0, 0.5), {**row("one", 0, 0.6), "family": "svm"}]
    write_part(tmp_path, "x", rows)
    assert len(read_evaluations(tmp_path)) == 2


def test_rows_that_cannot_be_parsed_are_named(tmp_path):
    write_part(tmp_path, "x", [{**row("one", 0, 0.5), "scores": "{"}])
    with pytest.raises(StoreError, match="Cannot read evaluations"):
        read_evaluations(tmp_path)
    write_part(tmp_path, "x", [{"task": "one", "family": "knn", "number": 0}])
    with pytest.raises(StoreError, match="Cannot read evaluations"):
        read_evaluations(tmp_path)
