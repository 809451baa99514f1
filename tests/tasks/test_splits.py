import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl_meta.exceptions import TaskError
from automl_meta.tasks.splits import generated_split, official_split, stratified_sample


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=10, max_size=200), st.integers(0, 3))
def test_every_class_is_shared_out_to_within_one_row(labels, seed):
    target = np.asarray(labels)
    split = generated_split(target, "multiclass", seed)
    assert np.array_equal(
        np.sort(np.concatenate([split.train, split.test])), np.arange(len(target))
    )
    for code, count in zip(*np.unique(target, return_counts=True), strict=True):
        drawn = np.sum(target[split.test] == code)
        assert abs(drawn - 0.25 * count) <= 1.0 + 0.5 * count / len(target)
        assert drawn < count


def test_the_seed_decides_and_is_stated():
    target = np.arange(100.0)
    a, b, c = (generated_split(target, "regression", seed) for seed in (1, 1, 2))
    assert np.array_equal(a.test, b.test)
    assert not np.array_equal(a.test, c.test)
    assert a.source == "generated: 25 % of the rows, seed 1"


def test_too_few_rows_are_refused():
    with pytest.raises(TaskError, match="9 rows"):
        generated_split(np.zeros(9), "regression")


def test_a_sample_keeps_every_class():
    target = np.repeat([0, 1, 2], [500, 498, 2])
    for seed in range(20):
        rows = stratified_sample(target, "multiclass", 100, seed)
        assert 98 <= len(rows) <= 103
        assert set(target[rows]) == {0, 1, 2}


def test_official_rows_are_renumbered_after_dropping():
    kept = np.delete(np.arange(100), [0, 50])
    split, reason = official_split(np.arange(40, 100), np.arange(40), kept, "fold")
    assert reason is None
    assert np.array_equal(kept[split.test], np.arange(1, 40))
    assert 50 not in kept[split.train]


@pytest.mark.parametrize("n_test", [0, 19])
def test_small_official_folds_are_not_used(n_test):
    split, reason = official_split(
        np.arange(n_test, 100), np.arange(n_test), np.arange(100), "fold"
    )
    assert split is None
    assert f"{n_test} test rows" in reason


def test_overlapping_official_folds_are_not_used():
    assert official_split(np.arange(100), np.arange(30), np.arange(100), "fold")[0] is None
