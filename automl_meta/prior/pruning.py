r"""When to stop a trial after a few folds: what past tasks say about how much fold scores can still turn.

For a trial and the best finished trial of a study, paired by fold, let :math:`d_k` be the mean difference
over the first k of K folds. The trial wins in the end if :math:`k d_k + (K - k) r > 0` with r the mean
difference over the remaining folds. Past tasks tell how far r strays from :math:`d_k`, in units of
:math:`\sigma \sqrt{1/k + 1/(K - k)}`, where :math:`\sigma` is the study's own spread of fold differences. A
trial is pruned when even the learned 99th percentile of that ratio would not save it.

The ratio is standardised, so past tasks of any number of folds teach one bound for searches of any.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl_meta._typing import FloatArray

#: Share of trials whose remaining gain stays below the learned bound.
LEVEL = 0.99
#: Never prune before this many folds are done.
FIRST_STEP = 3
#: Past tasks with fold scores that it takes. Of fewer the bound is often too low: of one task of the shipped meta-dataset
#: it comes out as low as 1.0, of five no lower than 1.5, and of all of them as 2.1 to 2.9.
LEAST_TASKS = 5
#: Evaluations of a simulated study, and so the least that a past task must have.
_STUDY = 10
_PAIRS_PER_TASK = 200

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrunerModel:
    """The learned bound.

    Attributes:
        quantile: 99th percentile of the standardised gain that folds not yet seen still brought.
        n_tasks: Past tasks it was learned from; 0 means that it never prunes.
        n_folds: K of most of them, for searches that name none.
    """

    quantile: float
    n_tasks: int
    n_folds: int = 5

    def should_prune(
        self, fold_scores: Sequence[float], n_folds: int, finished: Sequence[Sequence[float]]
    ) -> bool:
        """Tell whether a trial can no longer become the best one.

        Args:
            fold_scores: Scores of the trial's first k folds; greater is better.
            n_folds: K.
            finished: All K fold scores of every finished trial of the study.

        Returns:
            False before the third fold, after the last one, without past tasks and with fewer than
            two finished trials.

        Example:
            >>> model = PrunerModel(quantile=3.0, n_tasks=20)
            >>> past = [[0.9, 0.8, 0.85, 0.9, 0.8], [0.88, 0.79, 0.85, 0.87, 0.8]]
            >>> model.should_prune([0.5, 0.4, 0.5], 5, past)
            True
            >>> model.should_prune([0.89, 0.8, 0.85], 5, past)
            False
        """
        k = len(fold_scores)
        complete = np.array([f for f in finished if len(f) == n_folds], dtype=np.float64)
        if k < FIRST_STEP or k >= n_folds or self.n_tasks == 0 or len(complete) < 2:
            return False
        best = complete[np.argmax(complete.mean(axis=1))]
        spread = fold_spread(complete - best)
        lead = float(np.mean(np.asarray(fold_scores) - best[:k]))
        reach = self.quantile * spread * np.sqrt(1.0 / k + 1.0 / (n_folds - k))
        return bool(lead + (n_folds - k) / n_folds * reach < 0.0)


def fold_spread(differences: FloatArray) -> float:
    """Return the typical standard deviation of fold differences to the best trial.

    Args:
        differences: Shape [n, K]; the best trial's own row of zeros is ignored.
    """
    deviations = np.std(differences, axis=1, ddof=1)
    deviations = deviations[deviations > 0]
    return float(np.sqrt(np.mean(deviations**2))) if deviations.size else 0.0


#: For searches whose past says nothing of the course of trials.
NEVER = PrunerModel(0.0, 0)


def learn_pruner(folds: Sequence[FloatArray], seed: int = 0) -> PrunerModel:
    """Learn the bound from past fold scores.

    On each task random sets of ten evaluations play a study; in each of their trials one fold is judged by
    all others.

    Args:
        folds: Fold scores of each past task's evaluations, shape [n, K] with K of the task's own, greater is better;
            rows with a missing one are ignored, and so are tasks with fewer than ten others or fewer than three folds.
        seed: Seed of the random sets.

    Returns:
        The bound; ``NEVER`` where fewer than five tasks are left.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> past = [rng.normal(size=(12, 1)) + rng.normal(size=(12, n)) for n in (4, 5, 5, 5, 10)]
        >>> model = learn_pruner(past)
        >>> model.n_tasks, model.n_folds
        (5, 5)
        >>> learn_pruner(past[1:]) == NEVER
        True
    """
    rng = np.random.default_rng(seed)
    gains = [_gains(scores, rng) for scores in folds]
    ratios = [r for r in gains if r.size]
    if len(ratios) < LEAST_TASKS:
        _logger.info(
            "The pruner never prunes: %d of %d past tasks have fold scores of %d evaluations or more, and it takes %d.",
            len(ratios),
            len(folds),
            _STUDY,
            LEAST_TASKS,
        )
        return NEVER
    # Every task counts the same, however many evaluations it has.
    pooled = np.concatenate([rng.choice(r, size=_PAIRS_PER_TASK) for r in ratios])
    usual = _usual([f.shape[1] for f, r in zip(folds, gains, strict=True) if r.size])
    return PrunerModel(float(np.quantile(pooled, LEVEL)), len(ratios), usual)


def _usual(n_folds: Sequence[int]) -> int:
    """Return the most frequent number of folds that leaves one to save."""
    long = Counter(n for n in n_folds if n > FIRST_STEP)
    return long.most_common(1)[0][0] if long else NEVER.n_folds


def _gains(folds: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return standardised gains of the last fold over the others' mean, for simulated studies."""
    complete = folds[np.isfinite(folds).all(axis=1)]
    n_folds = complete.shape[1]
    if len(complete) < _STUDY or n_folds < FIRST_STEP:
        return np.array([])
    gains = []
    for _ in range(20):
        study = complete[rng.choice(len(complete), size=_STUDY, replace=False)]
        differences = study - study[np.argmax(study.mean(axis=1))]
        spread = fold_spread(differences)
        if spread == 0.0:
            continue
        last = rng.integers(n_folds)
        seen = np.delete(differences, last, axis=1).mean(axis=1)
        unit = spread * np.sqrt(1.0 / (n_folds - 1) + 1.0)
        rows = np.any(differences != 0.0, axis=1)
        gains.append(((differences[:, last] - seen) / unit)[rows])
    return np.concatenate(gains) if gains else np.array([])
