"""Collecting a meta-dataset: real configurations evaluated on real tasks, in parallel, resumable.

The work is cut into units (a round of a few configurations of every family on one task) and done round
by round over all tasks: whenever it stops, every task has about the same number of evaluations.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from automl_meta.evaluation import Evaluator, Limits
from automl_meta.evaluation.worker import WorkerPool, run_all
from automl_meta.exceptions import check_least
from automl_meta.metadata.design import Candidate, design
from automl_meta.metadata.files import same_settings
from automl_meta.metadata.store import (
    SETTINGS,
    TaskRecord,
    add_tasks,
    evaluated,
    evaluation_row,
    part_names,
    write_part,
)
from automl_meta.pipelines import Family
from automl_meta.tasks.fingerprint import fingerprint
from automl_meta.tasks.meta_features import meta_features
from automl_meta.tasks.task import Split, Task

#: Settings that decide the stored numbers or how they are cut into parts. ``n_configurations`` may grow: a
#: longer design begins with the shorter one.
_DECISIVE = ("folds", "seed", "max_rows", "seconds_per_fold", "memory", "round_size")


@dataclass(frozen=True)
class CollectSettings:
    """How evaluations are collected.

    Attributes:
        n_configurations: Configurations a family and task, >= 1.
        round_size: Configurations of each family in one unit of work, >= 1.
        folds: Cross-validation folds, >= 2.
        max_rows: Larger tasks are cut to a stratified sample of this many rows, >= 50.
        seconds_per_fold: Time limit of an evaluation is this times the folds.
        memory: Memory limit of an evaluation in MiB.
        jobs: Evaluations at once, one process and one thread each.
        seed: Seed of samples, folds, designs and estimators.
    """

    n_configurations: int = 40
    round_size: int = 4
    folds: int = 3
    max_rows: int = 1000
    seconds_per_fold: float = 5.0
    memory: int = 3000
    jobs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        rules = {"n_configurations": 1, "round_size": 1, "folds": 2, "max_rows": 50, "jobs": 1}
        check_least(self, "collect", rules)


@dataclass(frozen=True)
class _Unit:
    task: Task
    first: int
    last: int
    candidates: tuple[tuple[Family, Candidate], ...]

    @property
    def name(self) -> str:
        return self._name_to(self.last)

    def _name_to(self, last: int) -> str:
        families = "-".join(dict.fromkeys(family.name for family, _ in self.candidates))
        return f"{self.task.title}--{self.first:04d}-{last:04d}--{_short_name(families)}"

    def is_done(self, parts: set[str], round_size: int) -> bool:
        """Tell whether a part holds these configurations; one of a longer design may hold more."""
        lasts = range(self.last, self.first + round_size + 1)
        return any(self._name_to(last) in parts for last in lasts)

    def without(self, stored: set[tuple[str, str, int]]) -> "_Unit":
        """Return what is left of the unit when evaluations in the compacted file are left out."""
        left = tuple(
            (family, candidate)
            for family, candidate in self.candidates
            if (self.task.title, family.name, candidate.number) not in stored
        )
        return replace(self, candidates=left)


def collect(
    tasks: Sequence[Task],
    families: Sequence[Family],
    folder: Path,
    settings: CollectSettings,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Evaluate configurations on tasks and append the results to a meta-dataset.

    Units that the folder already holds are skipped, so an interrupted call goes on where it stopped. Further
    tasks, families and configurations can be added; the settings that decide a score must stay.

    Args:
        tasks: Tasks with unique titles.
        families: Families to evaluate.
        folder: The meta-dataset's folder.
        settings: How.
        on_progress: Called after each unit with (done, all, name of the unit).

    Raises:
        StoreError: If the folder's evaluations were made with other settings, or a title names other data
            than there.
    """
    done, stored = part_names(folder), evaluated(folder)
    same_settings(
        folder / SETTINGS,
        {name: getattr(settings, name) for name in _DECISIVE},
        has_results=bool(done) or bool(stored),
    )
    add_tasks(folder, [record_of(task) for task in tasks])
    units = list(_units(tasks, families, settings))
    unfinished = [unit for unit in units if not unit.is_done(done, settings.round_size)]
    waiting = [unit for unit in (u.without(stored) for u in unfinished) if unit.candidates]
    finished = len(units) - len(waiting)

    def run(unit: _Unit, workers: WorkerPool) -> None:
        _run_unit(unit, settings, folder, workers)

    def report(unit: _Unit) -> None:
        nonlocal finished
        finished += 1
        if on_progress:
            on_progress(finished, len(units), unit.name)

    run_all(waiting, run, jobs=settings.jobs, memory_limit=settings.memory, on_done=report)


def record_of(task: Task) -> TaskRecord:
    """Return what a meta-dataset keeps of a task."""
    source = task.provenance.get("source", task.name)
    return TaskRecord(
        task.title, source, task.kind, task.metric, fingerprint(task), meta_features(task)
    )


def small_copy(task: Task, max_rows: int, seed: int) -> Task:
    """Return a task of at most ``max_rows`` rows, all of them training rows.

    Args:
        task: Any task.
        max_rows: Rows to keep; a stratified sample where there are more.
        seed: Seed of the sample.
    """
    rows = np.arange(len(task.target))
    if len(rows) > max_rows:
        labels = None if task.kind == "regression" else _merge_rare(np.asarray(task.target))
        rows, _ = train_test_split(rows, train_size=max_rows, random_state=seed, stratify=labels)
        rows = np.sort(rows)
    everything = Split(
        np.arange(len(rows)), np.array([], dtype=np.int64), "all rows are training rows"
    )
    features = task.features.iloc[rows].reset_index(drop=True)
    return replace(task, features=features, target=task.target[rows], split=everything)


def _merge_rare(target: Any) -> Any:
    """Give classes with fewer than two rows one common label: stratification needs two.

    A single such row takes the most frequent label.
    """
    counts = np.bincount(target)
    rare = counts[target] < 2
    return np.where(rare, -1 if rare.sum() > 1 else counts.argmax(), target)


def _units(
    tasks: Sequence[Task], families: Sequence[Family], settings: CollectSettings
) -> Iterator[_Unit]:
    small = [small_copy(task, settings.max_rows, settings.seed) for task in tasks]
    digests = [fingerprint(task).digest for task in tasks]
    n, size = settings.n_configurations, settings.round_size
    for first in range(0, n, size):
        for task, digest in zip(small, digests, strict=True):
            candidates = tuple(
                (family, candidate)
                for family in families
                for candidate in design(family, task.problem, n, digest, settings.seed)[
                    first : first + size
                ]
            )
            yield _Unit(task, first, min(first + size, n), candidates)


def _short_name(names: str) -> str:
    """Return names that fit into a file's name and still tell sets of families apart."""
    if len(names) <= 40:
        return names
    return f"{names[:31]}-{hashlib.sha256(names.encode()).hexdigest()[:8]}"


def _run_unit(unit: _Unit, settings: CollectSettings, folder: Path, workers: WorkerPool) -> None:
    limits = Limits(settings.seconds_per_fold * settings.folds, settings.memory)
    evaluator = Evaluator(
        unit.task, settings.folds, seed=settings.seed, limits=limits, worker=workers.mine()
    )
    facts = {
        "rows": len(unit.task.target),
        "folds": settings.folds,
        "seed": settings.seed,
        "scikit_learn": version("scikit-learn"),
        "numpy": version("numpy"),
    }
    rows = []
    for family, candidate in unit.candidates:
        evaluation = evaluator.evaluate(family, candidate.configuration)
        if workers.stopped.is_set():  # killed with its worker: not a failure of the configuration
            return
        evaluation = replace(evaluation, task=unit.task.title)
        schema = family.space(unit.task.problem).schema_hash
        rows.append(
            evaluation_row(
                evaluation, number=candidate.number, origin=candidate.origin, space=schema, **facts
            )
        )
    write_part(folder, unit.name, rows)
