"""Cross-validation folds inside the training part, and one fold's fit and score."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from automl_meta._typing import Configuration, FloatArray, IntArray
from automl_meta.evaluation.metrics import Predictions, metrics_for, score_all, score_output
from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import Budget, DataShape, Family
from automl_meta.tasks.task import Task


@dataclass(frozen=True)
class Folds:
    """A K-fold partition of a task's training rows; stratified for classification.

    Attributes:
        train: For every fold the rows to fit on, as row numbers of the task.
        test: For every fold the rows to score on.
    """

    train: tuple[IntArray, ...]
    test: tuple[IntArray, ...]

    @classmethod
    def of(cls, task: Task, n_folds: int, seed: int) -> "Folds":
        """Partition the training part of a task.

        Args:
            task: The task; its outer test rows are never touched.
            n_folds: How many, >= 2 and at most the number of training rows.
            seed: Seed of the shuffle.

        Raises:
            InvalidParameterError: If the number of folds is out of range, or leaves folds where the task's metric is
                undefined.
        """
        rows = task.split.train
        if not 2 <= n_folds <= len(rows):
            raise InvalidParameterError.of(
                "folds",
                "fit",
                f"an int from 2 to {len(rows)} (training rows)",
                n_folds,
                "Try --folds 3.",
            )
        _check_rarest(task, n_folds)
        splitter = KFold if task.kind == "regression" else StratifiedKFold
        target = task.train_target
        with warnings.catch_warnings():
            # A class with fewer rows than folds is spread as far as it goes; that is not an error.
            warnings.simplefilter("ignore", UserWarning)
            try:
                parts = list(splitter(n_folds, shuffle=True, random_state=seed).split(rows, target))
            except ValueError:  # no class has as many rows as there are folds
                parts = list(KFold(n_folds, shuffle=True, random_state=seed).split(rows))
        return cls(tuple(rows[a] for a, _ in parts), tuple(rows[b] for _, b in parts))

    def __len__(self) -> int:
        return len(self.train)


def _check_rarest(task: Task, n_folds: int) -> None:
    """Refuse folds without either class where that has no score: no trial could finish."""
    if task.kind != "binary" or task.metric != "roc_auc":
        return
    counts = np.bincount(task.train_target.astype(np.int64), minlength=2)
    rarest = int(counts.argmin())
    n = int(counts[rarest])
    if n < n_folds:
        fewer = f"--folds {n} or " if n >= 2 else ""
        raise InvalidParameterError.of(
            "folds",
            "fit",
            f"at most {n}, the training rows of class {task.classes[rarest]!r}, under the metric roc_auc",
            n_folds,
            f"Try {fewer}--metric neg_log_loss, or give more rows of that class.",
        )


def fit_pipeline(
    task: Task, rows: IntArray, family: Family, configuration: Configuration, budget: Budget
) -> Pipeline:
    """Fit a configuration on some rows of a task.

    Args:
        task: The task.
        rows: Row numbers to fit on, shape [n].
        family: The family.
        configuration: One point of its space.
        budget: Seed, threads and fidelity. Families with fidelity ``"rows"`` get that share of rows.

    Returns:
        The fitted pipeline. Its classes are the task's class codes.
    """
    if budget.fidelity < 1.0 and family.fidelity_of(configuration) == "rows":
        rows = _share_of(rows, task, budget)
    target = task.target[rows]
    pipeline = family.build(configuration, DataShape.of(task, target), budget)
    with _quiet(budget.n_jobs):
        return pipeline.fit(task.features.iloc[rows], target)


def _share_of(rows: IntArray, task: Task, budget: Budget) -> IntArray:
    """Return the share of rows that the fidelity allows, at least one of every class."""
    rng = np.random.default_rng(budget.seed)
    shuffled = rng.permutation(rows)
    if task.kind != "regression":
        # One row of each class first: a sample without a class would be another problem.
        first = np.unique(task.target[shuffled], return_index=True)[1]
        shuffled = np.concatenate([shuffled[first], np.delete(shuffled, first)])
        return np.sort(shuffled[: max(budget.scale(len(rows)), len(first))])
    return np.sort(shuffled[: budget.scale(len(rows))])


def score_pipeline(task: Task, rows: IntArray, pipeline: Any, n_jobs: int = 1) -> dict[str, float]:
    """Score a fitted pipeline on some rows of a task.

    Args:
        task: The task.
        rows: Row numbers to predict, shape [n].
        pipeline: Fitted by ``fit_pipeline``.
        n_jobs: Threads for the prediction.

    Returns:
        Scorer name to score: the task's metric and the usual ones of its kind (NaN where undefined).
    """
    with _quiet(n_jobs):
        predictions = _predictions(task, rows, pipeline)
        return score_all(predictions, task.metric, metrics_for(task.kind))


def _predictions(task: Task, rows: IntArray, pipeline: Any) -> Predictions:
    return Predictions(pipeline, task.features.iloc[rows], task.target[rows], len(task.classes))


@contextmanager
def _quiet(n_jobs: int) -> Iterator[None]:
    """Bound the threads and silence the libraries' warnings."""
    with warnings.catch_warnings(), threadpool_limits(n_jobs):
        warnings.simplefilter("ignore")
        yield


def score_folds(task: Task, folds: Folds, output: FloatArray) -> tuple[float, ...]:
    """Score out-of-fold predictions under the task's metric.

    Args:
        task: The task.
        folds: The partition that they were made with.
        output: Predictions for ``folds.test`` one after the other, [n, n_classes] or [n, 1].

    Returns:
        The score of each fold.

    Raises:
        ValueError: If a score is not defined.
    """
    parts = np.split(output, np.cumsum([len(rows) for rows in folds.test])[:-1])
    with _quiet(1):
        return tuple(
            score_output(part, task.target[rows], len(task.classes), task.metric)
            for part, rows in zip(parts, folds.test, strict=True)
        )


@dataclass(frozen=True)
class FoldOutcome:
    """What one fold gave.

    Attributes:
        scores: Scorer name to score.
        seconds: Wall time of fit and prediction.
        predictions: What the model predicted for the fold's test rows, probabilities [n, n_classes] or
            values [n, 1]; None where they were not asked for or are unusable.
    """

    scores: dict[str, float]
    seconds: float
    predictions: FloatArray | None


def run_fold(
    task: Task,
    train: IntArray,
    test: IntArray,
    family: Family,
    configuration: Configuration,
    budget: Budget,
    *,
    keep: bool = False,
) -> FoldOutcome:
    """Fit on one part of a fold, score on the other; ``keep`` returns the predictions too."""
    started = time.perf_counter()
    pipeline = fit_pipeline(task, train, family, configuration, budget)
    with _quiet(budget.n_jobs):
        predictions = _predictions(task, test, pipeline)
        scores = score_all(predictions, task.metric, metrics_for(task.kind))
        kept = predictions.output() if keep else None
    return FoldOutcome(scores, time.perf_counter() - started, kept)
