"""From a finished study to the records of ``result.json``."""

from collections.abc import Sequence

import numpy as np
import psutil
from optuna.trial import FrozenTrial, TrialState

from automl_meta import _machine
from automl_meta._typing import JSON
from automl_meta.pipelines import Family
from automl_meta.search.attributes import ORIGIN
from automl_meta.tasks.task import Task

SCHEMA = "automl-meta/result/1"
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_PACKAGES = ("torch", "optuna", "scikit-learn", "openml", "numpy", "scipy", "pandas", "skops")


def trial_record(trial: FrozenTrial, family: Family) -> JSON:
    """Return one entry of ``trials``.

    Args:
        trial: A finished trial.
        family: The family that was searched; ``auto`` names its member in the configuration.
    """
    folds = [float(value) for value in trial.user_attrs.get("fold_scores", [])]
    score: float | None = None
    if trial.state == TrialState.COMPLETE:
        score = trial.value
    elif trial.state == TrialState.PRUNED and folds:
        score = float(np.mean(folds))
    return {
        "number": trial.number,
        "state": _STATES[trial.state],
        "origin": trial.user_attrs.get(ORIGIN, "random"),
        "configuration": dict(trial.params),
        "family": str(trial.params.get("family", family.name))
        if family.name == "auto"
        else family.name,
        "score": score,
        "fold_scores": folds,
        "seconds": float(trial.user_attrs.get("seconds", 0.0)),
        "reason": trial.user_attrs.get("reason"),
    }


def search_record(trials: Sequence[FrozenTrial], stopped_by: str) -> JSON:
    """Return the ``search`` object: the best trial, what ended the search, counts.

    Args:
        trials: All finished trials; of equal scores the earliest wins.
        stopped_by: ``"trials"``, ``"timeout"`` or ``"interrupt"``.
    """
    complete = [t for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
    best = max(complete, key=lambda t: (t.value, -t.number), default=None)
    return {
        "best_trial": None if best is None else best.number,
        "best_score": None if best is None else best.value,
        "best_std": None if best is None else float(np.std(best.user_attrs["fold_scores"])),
        "best_configuration": None if best is None else dict(best.params),
        "stopped_by": stopped_by,
        "counts": {
            name: sum(1 for t in trials if t.state == state) for state, name in _STATES.items()
        },
    }


def task_record(task: Task) -> JSON:
    """Return the ``task`` object."""
    return {
        "name": task.name,
        "title": task.title,
        "kind": task.kind,
        "n_rows": len(task.features),
        "n_columns": len(task.columns),
        "classes": list(task.classes),
        "target": task.target_name,
        "metric": task.metric,
        "metric_source": task.metric_source,
        "split": {
            "source": task.split.source,
            "n_train": len(task.split.train),
            "n_test": len(task.split.test),
        },
        "provenance": dict(task.provenance),
        "notes": list(task.notes),
    }


def versions_record() -> dict[str, str]:
    """Return the versions that decide a result."""
    return _machine.versions_record(*_PACKAGES)


def machine_record() -> JSON:
    """Return what the run was made on, with its memory."""
    memory = round(psutil.virtual_memory().total / 2**30, 1)
    return {**_machine.machine_record(), "memory_gib": memory}
