"""Near duplicates among recorded tasks, and folds that keep them together."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from automl_meta._typing import FloatArray, IntArray

#: Two tasks whose responses rank settings alike and are as high are taken for versions of one data set.
_ALIKE_RANKS = 0.97
_ALIKE_SCORES = 0.004


def groups_of_responses(scores: FloatArray) -> IntArray:
    """Group tasks by the fingerprint that their responses to the same configurations are, [T].

    Data sets that come in several versions, or twice under two names, answer alike: a rank correlation of
    at least .97 and a median difference of less than .004.

    Args:
        scores: Shape [T, n], no missing value.

    Example:
        >>> first = np.linspace(0.0, 1.0, 50)
        >>> groups_of_responses(np.stack([first, first + 1e-3, 1.0 - first])).tolist()
        [0, 0, 1]
    """
    ranks = rankdata(scores, axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    ranks /= np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12)
    alike = ranks @ ranks.T > _ALIKE_RANKS
    label = np.arange(len(scores))
    for i, j in zip(*np.nonzero(np.triu(alike, 1)), strict=True):
        if np.median(np.abs(scores[i] - scores[j])) < _ALIKE_SCORES:
            label[label == label[j]] = label[i]
    return _numbered(label)


def groups_of_descriptions(rows: Sequence[ArrayLike]) -> IntArray:
    """Group tasks whose descriptions are equal, [T].

    Args:
        rows: One array of numbers a task.

    Example:
        >>> groups_of_descriptions([[150, 4], [151, 4], [150, 4]]).tolist()
        [0, 1, 0]
    """
    keys = [tuple(np.asarray(row, dtype=np.float64).tolist()) for row in rows]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    return _numbered(np.array([first[key] for key in keys]))


def folds_of_groups(groups: IntArray, n_folds: int, seed: int = 0) -> IntArray:
    """Put groups into folds of about equal size, in random order, [T].

    Args:
        groups: Group of each task, [T].
        n_folds: How many folds.
        seed: Seed of the order.

    Example:
        >>> folds = folds_of_groups(np.array([0, 0, 1, 2, 3]), 2)
        >>> bool(folds[0] == folds[1]), sorted(np.bincount(folds).tolist())
        (True, [2, 3])
    """
    folds = np.zeros(len(groups), dtype=np.int64)
    filled = np.zeros(n_folds, dtype=np.int64)
    for group in np.random.default_rng(seed).permutation(np.unique(groups)):
        members = groups == group
        fold = int(np.argmin(filled))
        folds[members] = fold
        filled[fold] += int(members.sum())
    return folds


def _numbered(label: np.ndarray) -> IntArray:
    """Return labels as 0, 1, ... in order of appearance."""
    order = {value: i for i, value in enumerate(dict.fromkeys(label.tolist()))}
    return np.array([order[value] for value in label.tolist()], dtype=np.int64)
