"""A meta-dataset seen from one search space: encodings and scores per task, ready for learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl_meta._typing import Configuration, FloatArray, ProblemKind
from automl_meta.exceptions import StoreError
from automl_meta.metadata.store import TaskRecord
from automl_meta.pipelines import AUTO, Family, join
from automl_meta.prior.scores import normal_scores
from automl_meta.spaces import Encoder, SearchSpace


@dataclass(frozen=True, eq=False)
class TaskTable:
    """The evaluations of one task in one space.

    Attributes:
        record: The task.
        encodings: Encoded configurations, shape [n, d].
        raw: Mean scores under the task's metric, shape [n]; NaN where the evaluation failed.
        scores: ``normal_scores`` of them, shape [n].
        folds: Fold scores, shape [n, n_folds]; NaN where the evaluation failed.
        shared: Position in the list of shared configurations, shape [n]; -1 for the task's own.
    """

    record: TaskRecord
    encodings: FloatArray
    raw: FloatArray
    scores: FloatArray
    folds: FloatArray
    shared: np.ndarray


@dataclass(frozen=True, eq=False)
class MetaTable:
    """All tasks of one problem kind in one space.

    Attributes:
        space: The space.
        tasks: One table a task.
        shared: Configurations that were evaluated on every task: candidates for the warm start.
    """

    space: SearchSpace
    tasks: tuple[TaskTable, ...]
    shared: tuple[Configuration, ...]

    def without(self, left_out: Sequence[bool]) -> "MetaTable":
        """Return the table without some tasks.

        Args:
            left_out: One flag a task.
        """
        kept = tuple(t for t, out in zip(self.tasks, left_out, strict=True) if not out)
        return MetaTable(self.space, kept, self.shared)


def meta_table(
    evaluations: pd.DataFrame,
    records: Sequence[TaskRecord],
    family: Family,
    problem: ProblemKind,
) -> MetaTable:
    """Gather the evaluations of one family.

    Args:
        evaluations: From ``metadata.store.read_evaluations``.
        records: The tasks.
        family: A family; for ``auto`` the evaluations of its members are joined.
        problem: ``"classification"`` or ``"regression"``.

    Raises:
        StoreError: If there is nothing for this family, or it was collected with another space.
    """
    space = family.space(problem)
    rows = _rows_of(evaluations, records, family, problem)
    fixed = rows[rows["origin"] != "random"].drop_duplicates(["family", "number"])
    keys = {key: i for i, key in enumerate(zip(fixed["family"], fixed["number"], strict=True))}
    shared = tuple(space.validate(c) for c in fixed["configuration"])
    encoder = Encoder(space)
    by_title = {record.title: record for record in records}
    tables = [
        _task_table(group, by_title[str(title)], encoder, keys)
        for title, group in rows.groupby("task", sort=True)
    ]
    return MetaTable(space, tuple(t for t in tables if np.isfinite(t.raw).sum() >= 5), shared)


def _rows_of(
    evaluations: pd.DataFrame,
    records: Sequence[TaskRecord],
    family: Family,
    problem: ProblemKind,
) -> pd.DataFrame:
    wanted = {r.title for r in records if (r.kind == "regression") == (problem == "regression")}
    rows = evaluations[evaluations["task"].isin(wanted)].copy()
    if family.name == AUTO.name:
        pairs = zip(rows["family"], rows["configuration"], strict=True)
        joined = [join(name, configuration) for name, configuration in pairs]
        rows["configuration"] = pd.Series(joined, index=rows.index, dtype=object)
        rows = rows[rows["family"].isin(_members(family, problem))]
    else:
        rows = rows[rows["family"] == family.name]
        schema = family.space(problem).schema_hash
        if not rows.empty and set(rows["space"]) != {schema}:
            msg = (
                f"The evaluations of {family.name} were collected with another search space than the present "
                f"one ({schema}). Collect them again, or use the version that collected them."
            )
            raise StoreError(msg)
    if rows.empty:
        msg = f"The meta-dataset has no {problem} evaluations of {family.name}. Run automl-meta collect."
        raise StoreError(msg)
    return rows


def _members(family: Family, problem: ProblemKind) -> Sequence[Any]:
    root: Any = family.space(problem).distributions["family"]
    choices: Sequence[Any] = root.choices
    return choices


def _task_table(
    group: pd.DataFrame,
    record: TaskRecord,
    encoder: Encoder,
    keys: Mapping[tuple[str, int], int],
) -> TaskTable:
    n_folds = int(group["folds"].max())
    folds = np.full((len(group), n_folds), np.nan)
    for row, (scores, status) in enumerate(zip(group["scores"], group["status"], strict=True)):
        if status == "ok":
            folds[row] = scores[record.metric]
    raw = folds.mean(axis=1)
    shared = [
        -1 if origin == "random" else keys[family, number]
        for origin, family, number in zip(
            group["origin"], group["family"], group["number"], strict=True
        )
    ]
    encodings = encoder.encode(list(group["configuration"]))
    return TaskTable(record, encodings, raw, normal_scores(raw), folds, np.array(shared))
