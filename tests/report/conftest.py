"""A hand-written result, realistic in every field, with hostile text where a user's data could put it."""

import copy
from typing import Any

import pytest

RESULT: dict[str, Any] = {
    "schema": "automl-meta/result/1",
    "automl_meta_version": "0.1.0",
    "command": "automl-meta fit --task openml:31 --trials 15 --seed 7 --output runs/credit-g",
    "started": "2026-03-02T10:15:00+00:00",
    "finished": "2026-03-02T10:17:31+00:00",
    "seconds": 151.2,
    "task": {
        "name": "openml:31",
        "title": "credit-g",
        "kind": "binary",
        "n_rows": 1000,
        "n_columns": 20,
        "classes": ["bad", "good"],
        "target": "class",
        "metric": "roc_auc",
        "metric_source": "stated by the OpenML task",
        "split": {"source": "OpenML fold 0", "n_train": 900, "n_test": 100},
        "provenance": {"server": "https://www.openml.org/api/v1/xml", "data id": "31"},
        "notes": ["Column 'foreign_worker' has 2 categories and was kept as categorical."],
    },
    "settings": {
        "family": "auto",
        "trials": 15,
        "timeout": None,
        "folds": 5,
        "seed": 7,
        "jobs": 1,
        "prior": "default",
        "trial_time_limit": 300.0,
        "memory_limit": 4096,
    },
    "prior": {
        "used": True,
        "name": "auto-classification",
        "model": "fold 3",
        "reason": "The task (or a near copy) was among the 58 the meta-learner was trained on, so the fold model that never saw it was used.",
        "n_tasks": 46,
        "metric": "roc_auc",
        "metric_note": "",
    },
    "search": {
        "best_trial": 9,
        "best_score": 0.8021,
        "best_std": 0.0213,
        "best_configuration": {
            "family": "extra_trees",
            "extra_trees.n_estimators": 412,
            "extra_trees.max_features": 0.3127,
            "extra_trees.min_samples_leaf": 3,
            "extra_trees.bootstrap": False,
            "extra_trees.criterion": "entropy",
        },
        "stopped_by": "trials",
        "counts": {"complete": 11, "pruned": 3, "failed": 1},
    },
    "ensemble": {
        "used": True,
        "reason": "3 of 11 candidates, averaged: greedy selection with replacement.",
        "candidates": 11,
        "score": 0.8105,
        "fold_scores": [0.8, 0.81, 0.8215],
        "members": [
            {"trial": 9, "family": "extra_trees", "weight": 0.52},
            {"trial": 5, "family": "svm", "weight": 0.28},
            {"trial": 0, "family": "extra_trees", "weight": 0.2},
        ],
        "dropped": [{"trial": 4, "reason": "ValueError: no such kernel"}],
    },
    "trials": [],
    "defaults": [
        {"family": "hist_gradient_boosting", "score": 0.7712, "test_score": 0.7601},
        {"family": "random_forest", "score": 0.7903, "test_score": 0.7866},
        {"family": "extra_trees", "score": 0.7841, "test_score": 0.7912},
        {"family": "svm", "score": 0.7799, "test_score": 0.7703},
        {"family": "linear", "score": 0.7754, "test_score": 0.7980},
        {"family": "knn", "score": 0.7011, "test_score": 0.6855},
        {"family": "mlp", "score": 0.7420, "test_score": None},
    ],
    "test": {
        "metric": "roc_auc",
        "score": 0.8043,
        "n_rows": 100,
        "best_default": {"family": "random_forest", "score": 0.7903, "test_score": 0.7866},
        "single_best": {"trial": 9, "score": 0.7777},
    },
    "importances": {
        "family": 0.52,
        "extra_trees.min_samples_leaf": 0.17,
        "hist_gradient_boosting.learning_rate": 0.14,
        "extra_trees.max_features": 0.09,
        "svm.C": 0.05,
        "mlp.alpha": 0.03,
    },
    "versions": {
        "python": "3.11.7",
        "torch": "2.13.0",
        "optuna": "5.0.0",
        "scikit-learn": "1.9.1",
        "pandas": "3.1.1",
    },
    "machine": {"cpu": "Example CPU 9000", "cores": 2, "memory_gib": 23.5},
}

_SCORES = [
    0.781,
    0.7902,
    0.752,
    0.7951,
    0.7712,
    0.7988,
    None,
    0.742,
    0.7979,
    0.8021,
    0.77,
    0.7999,
    0.3,
    0.761,
    0.8003,
]
_ORIGINS = ["warm start"] * 5 + [
    "model",
    "model",
    "random",
    "model",
    "model",
    "tpe",
    "model",
    "user",
    "model",
    "model",
]
_STATES = {6: "failed", 7: "pruned", 10: "pruned", 13: "pruned"}


def _trials() -> list[dict[str, Any]]:
    trials = []
    for number, (score, origin) in enumerate(zip(_SCORES, _ORIGINS, strict=True)):
        state = _STATES.get(number, "complete")
        trials.append(
            {
                "number": number,
                "state": state,
                "origin": origin,
                "configuration": {"family": "svm", "svm.C": 10.0**-number, "svm.kernel": "rbf"}
                if number % 3
                else dict(RESULT["search"]["best_configuration"]),
                "family": "svm" if number % 3 else "extra_trees",
                "score": score,
                "fold_scores": [] if score is None else [score - 0.02, score, score + 0.02],
                "seconds": 1.7 * (number + 1),
                "reason": "The fold took longer than 300 s." if state == "failed" else None,
            }
        )
    return trials


@pytest.fixture
def result() -> dict[str, Any]:
    """A fresh copy of the sample result."""
    document = copy.deepcopy(RESULT)
    document["trials"] = _trials()
    return document
