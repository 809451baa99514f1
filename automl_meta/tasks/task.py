"""The record of a task: a data set, its target, its split and its metric."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from automl_meta._typing import FloatArray, IntArray, ProblemKind, TaskKind, problem_kind
from automl_meta.exceptions import TaskError

if TYPE_CHECKING:
    import pandas as pd

ColumnKind = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class Split:
    """The outer split: the search sees ``train`` only, the reported score comes from ``test``.

    Attributes:
        train: Row numbers of the training part, shape [n_train].
        test: Row numbers of the held-out part, shape [n_test]; disjoint from ``train``.
        source: Where the split comes from, for the report, such as ``"OpenML fold 0"``.
    """

    train: IntArray
    test: IntArray
    source: str


@dataclass(frozen=True, eq=False)
class Task:
    """One learning problem.

    Attributes:
        name: The reference that the user gave, such as ``"openml:31"`` or ``"table.csv"``.
        title: A readable name, such as ``"credit-g"``.
        kind: ``"binary"``, ``"multiclass"`` or ``"regression"``.
        features: One row per example, columns in ``columns`` order. Numeric columns are float64 with
            NaN for missing; categorical ones are ``object`` columns of str with NaN for missing.
        target: Shape [n_rows]; class codes 0..n_classes-1 (int64), or float64 values.
        target_name: Name of the target column.
        classes: Class labels as text in code order; empty for regression.
        columns: Column name to its kind, in order.
        metric: A scikit-learn scorer name; greater is better for all of them.
        metric_source: Why this metric, for the report.
        split: The outer split.
        provenance: Where the data came from (ids, server, file, bundled copy), JSON-ready.
        notes: One sentence for every decision made on the user's behalf (dropped columns and such).

    Raises:
        TaskError: If the parts contradict each other or nothing can be learned from them.
    """

    name: str
    title: str
    kind: TaskKind
    features: "pd.DataFrame"
    target: FloatArray | IntArray
    target_name: str
    classes: tuple[str, ...]
    columns: dict[str, ColumnKind]
    metric: str
    metric_source: str
    split: Split
    provenance: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.features) != len(self.target):
            msg = f"Task {self.name} has {len(self.features)} rows of features but {len(self.target)} targets."
            raise TaskError(msg)
        if not self.columns:
            msg = f"Task {self.name} has no usable feature column. Check --ignore and the table's columns."
            raise TaskError(msg)
        if self.kind != "regression" and len(self.classes) < 2:
            msg = (
                f"The target '{self.target_name}' of {self.name} has the single class "
                f"{', '.join(self.classes) or '(none)'}. A classifier needs two: choose another --target."
            )
            raise TaskError(msg)
        if np.intersect1d(self.split.train, self.split.test).size:
            msg = f"The split of {self.name} shares rows between training and test part."
            raise TaskError(msg)

    @property
    def problem(self) -> ProblemKind:
        """``"classification"`` or ``"regression"``."""
        return problem_kind(self.kind)

    @property
    def train_features(self) -> "pd.DataFrame":
        """Features of the training part, shape [n_train, n_columns]."""
        return self.features.iloc[self.split.train]

    @property
    def train_target(self) -> FloatArray | IntArray:
        """Targets of the training part, shape [n_train]."""
        return self.target[self.split.train]
