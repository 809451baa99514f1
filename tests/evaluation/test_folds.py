"""A share of the rows keeps every class and is used once."""

from dataclasses import replace

import numpy as np
import pytest

from automl_meta.evaluation import Folds, fit_pipeline
from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import AUTO, Budget, get_family, join


def test_a_small_share_of_rows_keeps_every_class(task_of):
    task = task_of("multiclass")
    rows = np.concatenate(
        [np.flatnonzero(task.target != 2)[:40], np.flatnonzero(task.target == 2)[:1]]
    )
    knn = get_family("knn")
    fitted = fit_pipeline(task, rows, knn, knn.default("classification"), Budget(fidelity=0.2))
    assert set(fitted.classes_) == {0, 1, 2}
    assert fitted.named_steps["model"].n_samples_fit_ == 8


def test_auto_reduces_trees_or_rows_but_not_both(task_of):
    task = task_of("regression")
    forest = get_family("random_forest")
    configuration = {**forest.default("regression"), "bootstrap": False}
    configuration.pop("max_samples")
    fitted = fit_pipeline(
        task, task.split.train, AUTO, join("random_forest", configuration), Budget(fidelity=0.1)
    ).named_steps["model"]
    assert len(fitted.estimators_) == 10
    assert fitted.estimators_[0].tree_.n_node_samples[0] == len(task.split.train)


@pytest.mark.parametrize(("n", "remedy"), [(1, "Try --metric"), (2, "Try --folds 2 or --metric")])
def test_folds_without_either_class_are_refused_where_they_have_no_score(task_of, n, remedy):
    task = task_of("binary")
    rows = np.concatenate([np.flatnonzero(task.target == 0)[:30], np.flatnonzero(task.target)[:n]])
    task = replace(task, split=replace(task.split, train=rows))
    with pytest.raises(InvalidParameterError, match=rf"at most {n}, .* class 'q'.* {remedy}"):
        Folds.of(task, 3, seed=0)
    assert len(Folds.of(replace(task, metric="neg_log_loss"), 3, seed=0)) == 3
    if n == 2:
        assert all(
            np.unique(task.target[rows]).size == 2 for rows in Folds.of(task, 2, seed=0).test
        )
