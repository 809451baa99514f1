"""A share of the rows keeps every class and is used once."""

import numpy as np

from automl_meta.evaluation import fit_pipeline
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
