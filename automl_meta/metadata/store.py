"""Evaluations on disk: one row an evaluation, Parquet, safe to open and small.

A *meta-dataset* is a folder with ``tasks.json`` (fingerprint, meta-features, source of each task) and
``evaluations.parquet``; while it is being collected further rows are in ``parts/``, one file a unit of work,
so that nothing finished is ever lost. ``collect.json`` says with which settings the rows were made.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from automl_meta._typing import JSON
from automl_meta.evaluation import Evaluation
from automl_meta.exceptions import StoreError
from automl_meta.metadata.files import write_whole
from automl_meta.tasks.fingerprint import Fingerprint

TASKS = "tasks.json"
EVALUATIONS = "evaluations.parquet"
PARTS = "parts"
SETTINGS = "collect.json"
#: What makes a row unique: a compacted folder may go on being collected into.
_KEYS = ("task", "family", "number", "seed")


@dataclass(frozen=True)
class TaskRecord:
    """What is kept of a task, so that a meta-learner can be trained without its data.

    Attributes:
        title: Readable name, unique in the meta-dataset.
        source: Where the table came from.
        kind: ``"binary"``, ``"multiclass"`` or ``"regression"``.
        metric: The task's primary metric.
        fingerprint: To recognise copies.
        meta_features: To condition the warm start.
    """

    title: str
    source: str
    kind: str
    metric: str
    fingerprint: Fingerprint
    meta_features: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> JSON:
        """Return a JSON-ready form; ``from_json`` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: JSON) -> "TaskRecord":
        """Rebuild a record from ``to_json``."""
        return cls(**{**document, "fingerprint": Fingerprint.from_json(document["fingerprint"])})


def evaluation_row(evaluation: Evaluation, **facts: Any) -> dict[str, Any]:
    """Return an evaluation as a flat row.

    Args:
        evaluation: The record.
        **facts: Further columns, such as ``number`` and ``origin`` of the design.
    """
    metrics = sorted({name for scores in evaluation.fold_scores for name in scores})
    return {
        "task": evaluation.task,
        "family": evaluation.family,
        **facts,
        "configuration": json.dumps(evaluation.configuration),
        "metric": evaluation.metric,
        "status": evaluation.status,
        "reason": evaluation.reason,
        "seconds": [round(s, 3) for s in evaluation.seconds],
        "scores": json.dumps(
            {m: [_short(s.get(m)) for s in evaluation.fold_scores] for m in metrics}
        ),
    }


def _short(value: float | None) -> float | None:
    """Round to six digits; NaN, which JSON does not know, becomes null."""
    return None if value is None or value != value else float(f"{value:.6g}")  # noqa: PLR0124


def write_part(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add one file of rows to a meta-dataset; it appears whole or not at all.

    Args:
        folder: The meta-dataset's folder.
        name: Unique name of the unit of work.
        rows: Made by ``evaluation_row``.
    """
    parts = folder / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    unfinished = parts / f".{name}.tmp"
    pd.DataFrame(list(rows)).to_parquet(unfinished, compression="zstd")
    unfinished.rename(parts / f"{name}.parquet")


def part_names(folder: Path) -> set[str]:
    """Return the names of the finished units of work."""
    return {path.stem for path in (folder / PARTS).glob("*.parquet")}


def evaluated(folder: Path) -> set[tuple[str, str, int]]:
    """Return (task, family, number) of every evaluation in a meta-dataset's compacted file.

    Args:
        folder: The meta-dataset's folder; without a compacted file the answer is empty.

    Raises:
        StoreError: If the file is damaged.
    """
    path = folder / EVALUATIONS
    if not path.exists():
        return set()
    try:
        table = pd.read_parquet(path, columns=["task", "family", "number"])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        msg = f"Cannot read evaluations from {path}: {error}. Run automl-meta collect again."
        raise StoreError(msg) from error
    keys = zip(table["task"], table["family"], table["number"], strict=True)
    return {(str(task), str(family), int(number)) for task, family, number in keys}


def write_tasks(folder: Path, records: Sequence[TaskRecord]) -> None:
    """Write the tasks of a meta-dataset, in place of those that are there.

    Args:
        folder: The meta-dataset's folder, made if need be.
        records: One a task, titles unique.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([record.to_json() for record in records], separators=(",", ":"))
    write_whole(folder / TASKS, text.replace('},{"title"', '},\n{"title"'))


def add_tasks(folder: Path, records: Sequence[TaskRecord]) -> None:
    """Add tasks to those of a meta-dataset; a title that is there already must be the same data.

    Args:
        folder: The meta-dataset's folder, made if need be.
        records: One a task, titles unique.

    Raises:
        StoreError: If a title names other data than before, or the stored tasks are damaged.
    """
    stored = read_tasks(folder) if (folder / TASKS).exists() else ()
    merged = {record.title: record for record in stored}
    for record in records:
        past = merged.get(record.title)
        if past is not None and past.fingerprint.digest != record.fingerprint.digest:
            msg = (
                f"The task {record.title} in {folder} has other data now: fingerprint {past.fingerprint.digest} "
                f"there, {record.fingerprint.digest} here. Give the new task another title, or name another "
                "--output."
            )
            raise StoreError(msg)
        merged[record.title] = record
    write_tasks(folder, list(merged.values()))


def read_tasks(folder: Path) -> tuple[TaskRecord, ...]:
    """Read the tasks of a meta-dataset.

    Args:
        folder: The meta-dataset's folder.

    Raises:
        StoreError: If the file is missing or damaged.
    """
    path = folder / TASKS
    try:
        return tuple(
            TaskRecord.from_json(item) for item in json.loads(path.read_text(encoding="utf-8"))
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"Cannot read the tasks of a meta-dataset from {path}: {error}. Run automl-meta collect."
        raise StoreError(msg) from error


def read_evaluations(folder: Path) -> pd.DataFrame:
    """Read all evaluations of a meta-dataset, finished or still being collected.

    Args:
        folder: The meta-dataset's folder.

    Returns:
        One row an evaluation (where one was made twice, the one in ``parts/``); ``configuration`` and
        ``scores`` are parsed.

    Raises:
        StoreError: If there are none or a file is damaged.
    """
    parts = sorted((folder / PARTS).glob("*.parquet"))
    whole = folder / EVALUATIONS
    files = [whole, *parts] if whole.exists() or not parts else parts
    try:
        table = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
        keys = [key for key in _KEYS if key in table]
        table = table.drop_duplicates(keys, keep="last", ignore_index=True)
        table["configuration"] = table["configuration"].map(json.loads)
        table["scores"] = table["scores"].map(json.loads)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        msg = f"Cannot read evaluations from {folder}: {error}. Run automl-meta collect again."
        raise StoreError(msg) from error
    return table


def compact(folder: Path, target: Path) -> int:
    """Write a collected meta-dataset as two files and its settings.

    Args:
        folder: The folder that ``collect`` wrote.
        target: Where ``tasks.json``, ``evaluations.parquet`` and ``collect.json`` go.

    Returns:
        Number of evaluations written.
    """
    table = read_evaluations(folder)
    table["configuration"] = table["configuration"].map(json.dumps)
    table["scores"] = table["scores"].map(json.dumps)
    table = table.sort_values(["family", "task", "number"], ignore_index=True)
    write_tasks(target, read_tasks(folder))
    if (folder / SETTINGS).exists():
        write_whole(target / SETTINGS, (folder / SETTINGS).read_text(encoding="utf-8"))
    unfinished = target / f".{EVALUATIONS}.tmp"
    table.to_parquet(unfinished, compression="zstd", compression_level=19, index=False)
    unfinished.replace(target / EVALUATIONS)
    return len(table)
