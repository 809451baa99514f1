"""The outer split of a task: official where there is a usable one, else generated from a stated seed."""

from typing import Any

import numpy as np

from automl_meta._typing import FloatArray, IntArray, TaskKind
from automl_meta.exceptions import TaskError
from automl_meta.tasks.task import Split

#: An official test part with fewer rows says too little about a model.
MIN_TEST_ROWS = 20
TEST_SHARE = 0.25
#: Fewer rows cannot be split, cross-validated and tested.
MIN_ROWS = 10


def generated_split(
    target: FloatArray | IntArray, kind: TaskKind, seed: int = 0, share: float = TEST_SHARE
) -> Split:
    """Return a random split; for classes a stratified one.

    Args:
        target: Shape [n_rows], class codes or values.
        kind: Kind of the task.
        seed: Seed, stated in the split's source.
        share: Share of the test part, in (0, 1).

    Returns:
        The split; a class with a single row lies in the training part.

    Raises:
        TaskError: If there are fewer than 10 rows.

    Example:
        >>> split = generated_split(np.repeat([0, 1], 20), "binary")
        >>> len(split.test), split.source
        (10, 'generated: 25 % of the rows, stratified by class, seed 0')
    """
    if len(target) < MIN_ROWS:
        msg = (
            f"The table has {len(target)} rows with a known target; at least {MIN_ROWS} are needed."
        )
        raise TaskError(msg)
    test = _drawn(target, kind, share, np.random.default_rng(seed))
    how = "" if kind == "regression" else ", stratified by class"
    source = f"generated: {share:.0%} of the rows{how}, seed {seed}".replace("%", " %")
    return Split(np.flatnonzero(~test), np.flatnonzero(test), source)


def stratified_sample(
    target: FloatArray | IntArray, kind: TaskKind, n_rows: int, seed: int = 0
) -> IntArray:
    """Return the row numbers of a random sample, ascending; for classes a stratified one.

    Args:
        target: Shape [n], class codes or values.
        kind: Kind of the task.
        n_rows: Rows to keep, about; at least one of every class is kept.
        seed: Seed of the draw.

    Returns:
        Shape [about n_rows]; all rows if there are no more than ``n_rows``.

    Example:
        >>> stratified_sample(np.arange(100.0), "regression", 40).shape
        (40,)
    """
    if len(target) <= n_rows:
        return np.arange(len(target))
    left_out = _drawn(target, kind, 1.0 - n_rows / len(target), np.random.default_rng(seed))
    if kind != "regression":
        for code in np.setdiff1d(target, target[~left_out]):
            left_out[np.flatnonzero(target == code)[0]] = False
    return np.flatnonzero(~left_out)


def official_split(
    train: Any, test: Any, kept: IntArray, source: str
) -> tuple[Split | None, str | None]:
    """Return the official split over the rows that were kept, or None and the reason.

    Args:
        train: Row numbers of the training part in the original table.
        test: Row numbers of the test part in the original table.
        kept: Original row numbers of the rows that remain, ascending, shape [n_rows].
        source: What to call it.

    Returns:
        The split and None, or None and one sentence that says why it is not used.

    Example:
        >>> official_split(np.arange(30, 90), np.arange(30), np.arange(90), "OpenML fold 0")[0].source
        'OpenML fold 0'
        >>> official_split(np.arange(5, 50), np.arange(5), np.arange(50), "OpenML fold 0")[1]
        'OpenML fold 0 has 5 test rows, fewer than 20, so a split was generated.'
    """
    inside = [np.flatnonzero(np.isin(kept, np.unique(part))) for part in (train, test)]
    if len(inside[1]) < MIN_TEST_ROWS:
        found = len(inside[1])
        return None, (
            f"{source} has {found} test rows, fewer than {MIN_TEST_ROWS}, so a split was generated."
        )
    if len(inside[0]) < MIN_TEST_ROWS or np.intersect1d(inside[0], inside[1]).size:
        return None, f"{source} has too few or shared training rows, so a split was generated."
    return Split(inside[0], inside[1], source), None


def _drawn(
    target: FloatArray | IntArray, kind: TaskKind, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a mask with ``share`` of the rows True, of every class to within one row.

    The rows of all classes are laid end to end, each class shuffled; a row is drawn where the running
    count crosses a whole number. A class with a single row is never drawn.
    """
    n = len(target)
    wanted = round(share * n)
    mask = np.zeros(n, dtype=bool)
    if kind == "regression":
        mask[rng.permutation(n)[:wanted]] = True
        return mask
    shuffled = rng.permutation(n)
    counts = np.bincount(np.asarray(target, dtype=np.int64))
    labels = np.asarray(target, dtype=np.int64)[shuffled]
    order = shuffled[np.argsort(labels, kind="stable")]
    crossed = np.diff(np.floor(np.arange(n + 1) * wanted / n)) > 0
    mask[order[crossed]] = True
    single = counts[np.asarray(target, dtype=np.int64)] == 1
    mask[single] = False
    return mask
