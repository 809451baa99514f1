"""Several methods on the same tasks: Friedman's test, Holm's correction, groups that cannot be told apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from automl_meta._typing import FloatArray
from automl_meta.exceptions import InvalidParameterError
from automl_meta.statistics.comparison import mean_ranks, wilcoxon


@dataclass(frozen=True)
class CriticalDifferences:
    """Which methods differ, over tasks.

    Attributes:
        ranks: Mean rank of each method, best first.
        friedman: p-value of Friedman's test; 1 for fewer than three methods or two tasks.
        pairs: Holm-corrected p-values of Wilcoxon's test, (better rank, worse rank) to p.
        cliques: Groups of methods that follow one another in rank and of which no two differ, each with two
            members at least, none within another.
    """

    ranks: dict[str, float]
    friedman: float
    pairs: dict[tuple[str, str], float]
    cliques: tuple[tuple[str, ...], ...]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for the number of comparisons, in the given order.

    Args:
        p_values: One a comparison.

    Reference:
        Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = largest
    return corrected


def critical_differences(scores: pd.DataFrame, *, level: float = 0.05) -> CriticalDifferences:
    """Compare all methods with one another.

    Args:
        scores: One row a task, one column a method, greater is better, no missing value.
        level: Differences with a corrected p below it count.

    Raises:
        InvalidParameterError: If the table is empty or has a missing value.

    Reference:
        Demsar (2006), Statistical Comparisons of Classifiers over Multiple Data Sets, section 3.2; Benavoli
        et al. (2016), Should We Really Use Post-Hoc Tests Based on Mean-Ranks?, for Wilcoxon's test in place
        of Nemenyi's.

    Example:
        >>> table = pd.DataFrame({"a": np.arange(12.0) + 2, "b": np.arange(12.0), "c": np.arange(12.0)})
        >>> critical_differences(table).cliques
        (('b', 'c'),)
    """
    ranks = {str(name): float(value) for name, value in mean_ranks(scores).items()}
    names = list(ranks)
    duels = list(combinations(names, 2))
    raw = [wilcoxon(scores[a], scores[b]) for a, b in duels]
    pairs = dict(zip(duels, holm(raw), strict=True))
    friedman = 1.0
    if len(names) >= 3 and len(scores) >= 2:
        p = float(stats.friedmanchisquare(*(scores[name].to_numpy() for name in names)).pvalue)
        friedman = 1.0 if np.isnan(p) else p
    return CriticalDifferences(ranks, friedman, pairs, _cliques(names, pairs, level))


def _cliques(
    names: Sequence[str], pairs: dict[tuple[str, str], float], level: float
) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = []
    reached = 0
    for start in range(len(names)):
        end = start + 1
        while end < len(names) and all(
            pairs[names[i], names[end]] >= level for i in range(start, end)
        ):
            end += 1
        if end - start >= 2 and end > reached:
            found.append(tuple(names[start:end]))
            reached = end
    return tuple(found)


def bootstrap_statistics(
    values: ArrayLike, rng: np.random.Generator, *, resamples: int = 2000
) -> dict[str, tuple[FloatArray, FloatArray, FloatArray]]:
    """Return mean and median over tasks with percentile bootstrap 95 % intervals.

    Args:
        values: Shape [n_tasks, ...], tasks first: they, not runs, are drawn with replacement.
        rng: Source of the resamples.
        resamples: Number of resamples, >= 1.

    Returns:
        ``"mean"`` and ``"median"`` to (estimate, low, high), each of shape [...].

    Raises:
        InvalidParameterError: If there is no task.

    Example:
        >>> found = bootstrap_statistics([[0.5], [0.5]], np.random.default_rng(0))
        >>> [float(part[0]) for part in found["median"]]
        [0.5, 0.5, 0.5]
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or len(array) == 0:
        raise InvalidParameterError.of(
            "values",
            "bootstrap_statistics",
            "values of one task at least",
            array.shape,
            "Add tasks.",
        )
    drawn = rng.integers(len(array), size=(resamples, len(array)))
    result = {}
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        samples = np.stack([statistic(array[rows], axis=0) for rows in drawn])
        low, high = np.quantile(samples, [0.025, 0.975], axis=0)
        result[name] = (np.asarray(statistic(array, axis=0)), low, high)
    return result
