"""Recognising a data set by its content: exact copies, relabelled ones, near copies.

The leave-out rule rests on this: a meta-learner must not judge a task with knowledge of a copy of it,
whatever the copy is called. Statistics are invariant to row and column order and to the names of
categories, so that a label-encoded table matches its original.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from automl_meta._typing import JSON, BoolArray, FloatArray, IntArray
from automl_meta.tasks.task import Task

#: A column with at most this many values is compared by their frequencies, any other by its shape.
FEW_VALUES = 30
#: Row hashes that a fingerprint keeps.
SKETCH = 64
_QUANTILES = (0.05, 0.25, 0.75, 0.95)
_LENGTH = 5


@dataclass(frozen=True)
class Fingerprint:
    """What is remembered of a data set to recognise it.

    Attributes:
        n_rows: Number of rows.
        n_classes: Number of classes, 0 for regression.
        target: Signature of the target, 5 numbers.
        columns: One signature a column: (few values?, share missing, 5 numbers), sorted.
        rows: The smallest hashes of rows, sorted, at most ``SKETCH``: a part of a table keeps its share of
            them (a bottom-k sketch: Cohen and Kaplan, 2007). Empty where no rows were at hand.
    """

    n_rows: int
    n_classes: int
    target: tuple[float, ...]
    columns: tuple[tuple[float, ...], ...]
    rows: tuple[int, ...] = ()

    @property
    def digest(self) -> str:
        """Sixteen hex digits that identify the statistics; equal for relabelled copies."""
        statistics = {k: v for k, v in self.to_json().items() if k != "rows"}
        return hashlib.sha256(json.dumps(statistics).encode()).hexdigest()[:16]

    def to_json(self) -> JSON:
        """Return a JSON-ready form; ``from_json`` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: JSON) -> "Fingerprint":
        """Rebuild a fingerprint from ``to_json``."""
        return cls(
            int(document["n_rows"]),
            int(document["n_classes"]),
            tuple(document["target"]),
            tuple(tuple(column) for column in document["columns"]),
            tuple(document.get("rows", ())),
        )


def fingerprint(task: Task) -> Fingerprint:
    """Return the fingerprint of a task's whole table (training and test rows).

    Args:
        task: The task.

    Returns:
        Rounded statistics: equal for equal content.
    """
    target = _signature(pd.Series(np.asarray(task.target)))[2:]
    columns = sorted(_signature(task.features[name]) for name in task.columns)
    return Fingerprint(
        len(task.target), len(task.classes), tuple(target), tuple(columns), _row_sketch(task)
    )


def near_duplicates(a: Fingerprint, b: Fingerprint) -> bool:
    """Tell whether two data sets are copies, parts, near copies or other views of the same examples.

    They are when
    - a quarter of the sketched rows agree: one is the other or a part of it;
    - or the rows are close in number and six in ten columns agree: the same features with another target,
      relabelled categories, or a few rows removed;
    - or the number of rows and the target's distribution agree, and for two classes, where that may be
      chance, one column in five as well: another set of features of the same examples.

    Args:
        a: One fingerprint.
        b: The other.
    """
    if len(set(a.rows) & set(b.rows)) > 0.25 * max(8, min(len(a.rows), len(b.rows))):
        return True
    ratio = min(a.n_rows, b.n_rows) / max(a.n_rows, b.n_rows)
    shared = _shared_columns(a, b) if ratio > 0.8 else 0.0
    if shared >= 0.6:
        return True
    same_target = a.n_classes == b.n_classes and bool(
        _close(np.array([a.target]), np.array([b.target]), 0.01)[0]
    )
    return ratio > 0.98 and same_target and (a.n_classes != 2 or shared >= 0.2)


def group_duplicates(fingerprints: Sequence[Fingerprint]) -> IntArray:
    """Return a group number for each data set, shape [n]; near duplicates share one, transitively.

    Args:
        fingerprints: Data sets in any order.
    """
    n = len(fingerprints)
    links = np.zeros((n, n), dtype=bool)
    for i in range(n):
        for j in range(i):
            links[i, j] = near_duplicates(fingerprints[i], fingerprints[j])
    _, labels = connected_components(csr_array(links), directed=False)
    return np.asarray(labels, dtype=np.int64)


def _row_sketch(task: Task) -> tuple[int, ...]:
    """Return the smallest row hashes; the order of rows and columns does not matter."""
    texts = [
        task.features[name].map("{:.6g}".format if kind == "numeric" else str)
        for name, kind in task.columns.items()
    ]
    rows = np.sort(np.column_stack([t.to_numpy(dtype=str) for t in texts]), axis=1)
    joined = pd.Series(["|".join(row) for row in rows])
    hashes = np.unique(pd.util.hash_pandas_object(joined, index=False).to_numpy() >> np.uint64(32))
    return tuple(int(h) for h in hashes[:SKETCH])


def _signature(values: "pd.Series[Any]") -> tuple[float, ...]:
    """Return (few values?, share missing, 5 numbers) of a column."""
    missing = float(values.isna().mean())
    shares = values.value_counts(normalize=True).to_numpy(dtype=np.float64)
    if len(shares) <= FEW_VALUES or not pd.api.types.is_numeric_dtype(values):
        top = np.zeros(_LENGTH)
        top[: min(_LENGTH, len(shares))] = shares[:_LENGTH]
        return (1.0, *_rounded(missing, top))
    numbers = values.dropna().to_numpy(dtype=np.float64)
    middle, spread = np.median(numbers), np.std(numbers)
    shape = (np.quantile(numbers, _QUANTILES) - middle) / (spread or 1.0)
    return (0.0, *_rounded(missing, np.append(shape, len(shares) / len(values))))


def _rounded(missing: float, numbers: FloatArray) -> tuple[float, ...]:
    return (round(missing, 3), *(round(float(x), 3) + 0.0 for x in numbers))


def _close(a: FloatArray, b: FloatArray, absolute: float, relative: float = 0.0) -> BoolArray:
    """Compare rows entry by entry."""
    allowed = absolute + relative * np.abs(b)
    return np.asarray(np.all(np.abs(a - b) <= allowed, axis=-1), dtype=np.bool_)


def _shared_columns(a: Fingerprint, b: Fingerprint) -> float:
    """Return the share of columns with a partner in the other table, of the larger table's columns."""
    left, right = np.array(a.columns), np.array(b.columns)
    if len(left) > len(right):
        left, right = right, left
    free = np.ones(len(right), dtype=bool)
    matched = 0
    for column in left:
        partners = np.flatnonzero(free & _close(right, column[None], 0.02, 0.03))
        if partners.size:
            free[partners[0]] = False
            matched += 1
    return matched / len(right)
