"""Splits over tasks that leak nothing: near duplicates are always on the same side."""

from collections.abc import Sequence

import numpy as np

from automl_meta._typing import IntArray
from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.store import TaskRecord
from automl_meta.tasks.fingerprint import group_duplicates


def task_folds(records: Sequence[TaskRecord], n_folds: int, seed: int) -> tuple[IntArray, IntArray]:
    """Assign every task to a group of near duplicates and every group to a fold.

    Groups go to the folds in random order, each to the fold that holds the fewest tasks of its kind
    (classification or regression), so that folds are of about equal size.

    Args:
        records: The tasks.
        n_folds: How many folds, >= 2.
        seed: Seed of the order.

    Returns:
        Group numbers [T] and fold numbers [T].

    Raises:
        InvalidParameterError: If ``n_folds`` is less than 2.
    """
    if n_folds < 2:
        raise InvalidParameterError.of("n_folds", "task_folds", "an int >= 2", n_folds, "Try 5.")
    groups = group_duplicates([record.fingerprint for record in records])
    regression = np.array([record.kind == "regression" for record in records])
    folds = np.zeros(len(records), dtype=np.int64)
    filled = np.zeros((2, n_folds), dtype=np.int64)
    for group in np.random.default_rng(seed).permutation(np.unique(groups)):
        members = groups == group
        kind = int(regression[members][0])
        fold = int(np.argmin(filled[kind]))
        folds[members] = fold
        filled[0, fold] += int(np.sum(members & ~regression))
        filled[1, fold] += int(np.sum(members & regression))
    return groups, folds
