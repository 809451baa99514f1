"""The warm-start set: few configurations of which one is good on nearly every task."""

import numpy as np

from automl_meta._typing import FloatArray
from automl_meta.prior.dataset import MetaTable

#: Weight of a task at distance zero against one far away: 1 + this, so that no task is ever ignored.
SIMILARITY_GAIN = 4.0


def regret_matrix(table: MetaTable) -> FloatArray:
    """Return the regret of every shared configuration on every task, shape [T, C], in [0, 1].

    0 is the best evaluated configuration of the task, 1 the median or worse: below the median all
    configurations are equally useless as a start, however bad the worst one is. Failed ones count 1.

    Args:
        table: The meta-table.
    """
    matrix = np.ones((len(table.tasks), len(table.shared)))
    for row, task in enumerate(table.tasks):
        best, median = np.nanmax(task.raw), np.nanmedian(task.raw)
        regret = (best - task.raw) / max(best - median, 1e-12)
        known = task.shared >= 0
        matrix[row, task.shared[known]] = np.clip(np.nan_to_num(regret[known], nan=1.0), 0.0, 1.0)
    return matrix


def greedy_set(regrets: FloatArray, n: int, weights: FloatArray | None = None) -> list[int]:
    """Choose configurations one by one so that the best of them has the least mean regret.

    The first n of a longer set are the set of n. Once no configuration improves any task, the ones
    with the least mean regret follow.

    Args:
        regrets: Shape [T, C], in [0, 1].
        n: How many, at most C are returned.
        weights: One weight a task, >= 0; None for equal ones.

    Returns:
        Column numbers in order of choice.

    Reference:
        Wistuba, Schilling and Schmidt-Thieme (2015), Sequential Model-free Hyperparameter Tuning,
        section IV: average normalised distance to the minimum.

    Example:
        >>> greedy_set(np.array([[0.0, 0.4, 1.0], [1.0, 0.4, 0.0]]), 3)
        [1, 0, 2]
    """
    share = np.full(len(regrets), 1.0) if weights is None else weights
    share = share / share.sum()
    chosen: list[int] = []
    current = np.ones(len(regrets))
    alone = share @ regrets
    for _ in range(min(n, regrets.shape[1])):
        with_each = share @ np.minimum(current[:, None], regrets) + 1e-6 * alone
        with_each[chosen] = np.inf
        best = int(np.argmin(with_each))
        chosen.append(best)
        current = np.minimum(current, regrets[:, best])
    return chosen


def similarity_weights(features: FloatArray, new: FloatArray) -> FloatArray:
    """Return how much each past task counts for a new one, shape [T], in [1, 1 + SIMILARITY_GAIN].

    Args:
        features: Standardised meta-features of the past tasks, shape [T, F].
        new: The new task's, on the same scale, shape [F].
    """
    distance = np.sqrt(np.mean((np.clip(features, -3, 3) - np.clip(new, -3, 3)) ** 2, axis=1))
    scale = max(float(np.median(distance)) * 0.5, 1e-6)
    weights: FloatArray = 1.0 + SIMILARITY_GAIN * np.exp(-0.5 * (distance / scale) ** 2)
    return weights
