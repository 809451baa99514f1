"""The rows that no search of a live comparison sees, and the score of its best trial on them."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from automl_meta.evaluation import Evaluation
from automl_meta.metadata.collect import small_copy
from automl_meta.pipelines import Family
from automl_meta.runs.finish import fitted_score
from automl_meta.tasks.task import Split, Task

if TYPE_CHECKING:
    from automl_meta._typing import Configuration

#: Held-out rows that are scored, at most.
MOST_HELD_OUT = 5000


class Best:
    """The best evaluation so far, fitted once on the whole training part when it is asked for.

    Args:
        task: Its held-out rows are scored.
        family: The family.
        seed: Of the estimator.
    """

    def __init__(self, task: Task, family: Family, seed: int) -> None:
        self._task, self._family, self._seed = task, family, seed
        self._best: tuple[float, Configuration] | None = None
        self._scored: tuple[Configuration, float | None] | None = None

    def see(self, evaluation: Evaluation) -> None:
        """Take note of an evaluation."""
        score = evaluation.score
        if score is not None and (self._best is None or score > self._best[0]):
            self._best = (score, evaluation.configuration)

    def held_out(self) -> float | None:
        """Return the score of the best one on the held-out rows, or None without any."""
        if self._best is None:
            return None
        _, configuration = self._best
        if self._scored is None or self._scored[0] != configuration:
            score = fitted_score(self._task, self._family, configuration, seed=self._seed)
            self._scored = (configuration, score)
        return self._scored[1]


def standard_error(evaluation: Evaluation) -> float | None:
    """Return the standard error of the mean over the folds, or None unless every fold finished."""
    if evaluation.std is None:
        return None
    return round(evaluation.std / math.sqrt(max(len(evaluation.values) - 1, 1)), 7)


def with_held_out(task: Task, max_rows: int, seed: int) -> Task:
    """Return a task with at most ``max_rows`` of its training rows, and its held-out rows.

    Args:
        task: Any task.
        max_rows: Training rows to keep; a stratified sample where there are more.
        seed: Seed of the samples.
    """
    train, test = task.split.train, task.split.test
    training = small_copy(
        replace(
            task,
            features=task.features.iloc[train].reset_index(drop=True),
            target=task.target[train],
            split=Split(np.arange(len(train)), train[:0], task.split.source),
        ),
        max_rows,
        seed,
    )
    if len(test) > MOST_HELD_OUT:
        test = np.sort(np.random.default_rng(seed).choice(test, MOST_HELD_OUT, replace=False))
    n, m = len(training.target), len(test)
    return replace(
        training,
        features=pd.concat([training.features, task.features.iloc[test]], ignore_index=True),
        target=np.concatenate([training.target, task.target[test]]),
        split=Split(np.arange(n), np.arange(n, n + m), task.split.source),
    )
