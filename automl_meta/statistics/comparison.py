"""Two or more methods on the same tasks: ranks, wins, bootstrap intervals, Wilcoxon's test."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from automl_meta._typing import FloatArray
from automl_meta.exceptions import InvalidParameterError, check_int


@dataclass(frozen=True)
class WinsTiesLosses:
    """Tasks on which the first of two methods was better, equal and worse."""

    wins: int
    ties: int
    losses: int

    def __str__(self) -> str:
        return f"{self.wins}/{self.ties}/{self.losses}"


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes:
        mean: The point estimate.
        low: Lower end.
        high: Upper end.
        level: Confidence in (0, 1).
    """

    mean: float
    low: float
    high: float
    level: float


def mean_ranks(scores: pd.DataFrame) -> pd.Series:
    """Return each method's mean rank over the tasks; 1 is best and ties share their mean.

    Args:
        scores: One row per task, one column per method, greater is better, no missing value.

    Returns:
        Mean rank in [1, n_methods] per column, best first.

    Raises:
        InvalidParameterError: If the table is empty or has a missing value.

    Example:
        >>> mean_ranks(pd.DataFrame({"ours": [0.9, 0.8], "tpe": [0.7, 0.8]})).to_dict()
        {'ours': 1.25, 'tpe': 1.75}
    """
    if scores.empty or bool(scores.isna().to_numpy().any()):
        raise InvalidParameterError.of(
            "scores",
            "mean_ranks",
            "a non-empty table without missing values",
            f"shape {scores.shape} with {int(scores.isna().to_numpy().sum())} missing",
            "Drop the tasks that not every method finished, or give them the worst score.",
        )
    ranks = scores.rank(axis="columns", ascending=False, method="average")
    return ranks.mean(axis="index").sort_values(kind="stable")


def wins_ties_losses(
    ours: ArrayLike, theirs: ArrayLike, *, tolerance: float = 0.0
) -> WinsTiesLosses:
    """Count the tasks won, tied and lost.

    Args:
        ours: Shape [n_tasks], greater is better.
        theirs: The same tasks in the same order.
        tolerance: Differences up to this size are ties, >= 0.

    Returns:
        The counts, which sum to n_tasks.

    Raises:
        InvalidParameterError: If shapes differ or a value is missing.

    Example:
        >>> str(wins_ties_losses([0.9, 0.8, 0.5], [0.7, 0.8, 0.6]))
        '1/1/1'
    """
    if not tolerance >= 0:
        raise InvalidParameterError.of(
            "tolerance", "wins_ties_losses", "a number >= 0", tolerance, "Try 0."
        )
    difference = _paired(ours, theirs, "wins_ties_losses")
    wins = int((difference > tolerance).sum())
    losses = int((difference < -tolerance).sum())
    return WinsTiesLosses(wins, difference.size - wins - losses, losses)


def bootstrap_interval(
    ours: ArrayLike,
    theirs: ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the mean paired difference with its percentile bootstrap interval over tasks.

    Tasks, not seeds, are drawn with replacement: average the seeds of a task first.

    Args:
        ours: Shape [n_tasks].
        theirs: The same tasks in the same order.
        rng: Source of the resamples.
        level: Confidence in (0, 1).
        resamples: Number of resamples, >= 1.

    Returns:
        Mean of ``ours - theirs`` and its interval.

    Raises:
        InvalidParameterError: If shapes differ, a value is missing, or level or resamples are out of range.

    Reference:
        Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 13.3.

    Example:
        >>> bootstrap_interval([0.9, 0.9], [0.4, 0.4], np.random.default_rng(0))
        Interval(mean=0.5, low=0.5, high=0.5, level=0.95)
    """
    if not 0 < level < 1:
        raise InvalidParameterError.of(
            "level", "bootstrap_interval", "a number in (0, 1)", level, "Try 0.95."
        )
    check_int(resamples, "resamples", "bootstrap_interval", 1, remedy="Try 10000.")
    difference = _paired(ours, theirs, "bootstrap_interval")
    drawn = rng.integers(difference.size, size=(resamples, difference.size))
    means = difference[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(difference.mean()), float(low), float(high), level)


def wilcoxon(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test over tasks.

    Args:
        ours: Shape [n_tasks].
        theirs: The same tasks in the same order.

    Returns:
        A p-value in (0, 1]; 1 where all pairs are equal.

    Raises:
        InvalidParameterError: If shapes differ or a value is missing.

    Reference:
        Demsar (2006), Statistical Comparisons of Classifiers over Multiple Data Sets, section 3.1.3.

    Example:
        >>> wilcoxon([2, 3, 4, 5, 6, 7], [1, 1, 1, 1, 1, 1])
        0.03125
    """
    difference = _paired(ours, theirs, "wilcoxon")
    difference = difference[difference != 0]  # Wilcoxon's own treatment of ties
    if difference.size == 0:
        return 1.0
    # The exact distribution is for ranks without ties; the sign permutations are exact with them too.
    if difference.size <= 12:
        return _exact_signed_rank(difference)
    return float(stats.wilcoxon(difference).pvalue)


def _exact_signed_rank(difference: FloatArray) -> float:
    ranks = stats.rankdata(np.abs(difference))
    codes = np.arange(2**difference.size)[:, None] >> np.arange(difference.size) & 1
    sums = np.abs((2 * codes - 1) @ ranks)
    observed = abs(float(np.sign(difference) @ ranks))
    return float(np.mean(sums >= observed - 1e-9))


def _paired(ours: ArrayLike, theirs: ArrayLike, where: str) -> FloatArray:
    first = np.asarray(ours, dtype=np.float64)
    second = np.asarray(theirs, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise InvalidParameterError.of(
            "theirs",
            where,
            f"one-dimensional, non-empty and as long as ours ({first.shape})",
            second.shape,
            "Give one value per task for both methods.",
        )
    if bool(np.isnan(first).any()) or bool(np.isnan(second).any()):
        raise InvalidParameterError.of(
            "ours and theirs", where, "free of missing values", "NaN", "Drop those tasks from both."
        )
    return first - second
