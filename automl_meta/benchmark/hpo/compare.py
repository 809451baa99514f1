"""Run methods on problems: train on four fifths of the tasks, search on the others, keep every search.

A *unit* is one method on one fold of one problem. Its searches are appended to a file of its own as they
finish, so an interrupted comparison goes on where it stopped; a cut-off last line is run again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from automl_meta._typing import JSON, FloatArray
from automl_meta.benchmark.hpo.groups import folds_of_groups
from automl_meta.benchmark.hpo.methods import Method, Past
from automl_meta.benchmark.hpo.plans import HpoSettings, Plan, plans_of
from automl_meta.benchmark.hpo.problem import Problem
from automl_meta.benchmark.hpo.search import Search, run_search
from automl_meta.benchmark.hpo.sources import problem_of
from automl_meta.benchmark.results import read_results
from automl_meta.exceptions import StoreError
from automl_meta.metadata.files import file_title, same_settings

RUNS = "runs"


@dataclass(frozen=True)
class _Unit:
    problem: str | Problem
    method: Method
    plan: Plan
    fold: int
    path: Path


def run_comparison(
    problems: Sequence[str | Problem],
    methods: Sequence[Method],
    folder: Path,
    settings: HpoSettings,
    *,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Run what is not there yet.

    Args:
        problems: Names or paths of definitions, or problems.
        methods: The methods.
        folder: Where the searches are kept.
        settings: How much.
        on_progress: Called after each unit with (done, all, name).

    Raises:
        InvalidParameterError: If a problem or a setting breaks its rule.
        StoreError: If data are missing, or the folder holds searches that were made in another way.
    """
    for name in problems:
        _check_settings(name, folder, settings)
    units = [unit for name in problems for unit in _units(name, methods, folder, settings)]
    results = Parallel(n_jobs=settings.jobs, return_as="generator_unordered")(
        delayed(_run_unit)(unit, settings) for unit in units
    )
    for done, name in enumerate(results, start=1):
        if on_progress:
            on_progress(done, len(units), name)


def _units(
    given: str | Problem, methods: Sequence[Method], folder: Path, settings: HpoSettings
) -> Iterator[_Unit]:
    """Yield what is run on one problem: each method on each fold."""
    problem = problem_of(given)
    plans = plans_of(problem, methods, settings)
    for method in methods:
        for fold in range(problem.definition.folds):
            path = unit_path(folder, problem, method, fold)
            yield _Unit(given, method, plans[method.name], fold, path)


def _check_settings(given: str | Problem, folder: Path, settings: HpoSettings) -> None:
    """Make sure that kept searches were made as new ones would be; the file travels with a published report."""
    problem = problem_of(given)
    definition = problem.definition
    deciding: JSON = {
        "workers": settings.workers,
        "source": definition.source,
        "table": definition.table,
        "folds": definition.folds,
        "past": definition.past,
        "options": definition.options,
        "space": problem.space.schema_hash,
    }
    if isinstance(given, Problem):  # of a definition the options name the data
        deciding["data"] = _digest(problem)
    has_results = (folder / RUNS / definition.name).exists() or _is_published(folder, problem)
    same_settings(folder / f"{definition.name}-settings.json", deciding, has_results=has_results)


def _is_published(folder: Path, problem: Problem) -> bool:
    """Tell whether a report in the folder holds searches on the problem, of methods that have no runs."""
    table = read_results(folder, ["problem"])
    return table is not None and bool((table["problem"] == problem.definition.name).any())


def _digest(problem: Problem) -> str:
    """Return sixteen hex digits that change with the tasks' names, settings, scores or groups."""
    found = hashlib.sha256(json.dumps(problem.names).encode())
    for array in (*problem.rows, *problem.scores, problem.groups):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def search_row(
    task: str, seed: int, scores: Sequence[float] | FloatArray, *, seconds: float, learned: float
) -> JSON:
    """Return what is kept of one search, JSON-ready.

    Args:
        task: Name of the task.
        seed: Of the search.
        scores: Of its trials in order; NaN for failed ones.
        seconds: Median time of a proposal.
        learned: Seconds that the method learned.
    """
    return {
        "task": task,
        "seed": seed,
        "learn_seconds": round(learned, 2),
        "seconds": round(seconds, 5),
        "scores": [None if np.isnan(s) else round(float(s), 7) for s in scores],
    }


def unit_path(folder: Path, problem: Problem, method: Method, fold: int) -> Path:
    """Return the file of one method on one fold.

    Args:
        folder: The comparison's folder.
        problem: The problem.
        method: The method.
        fold: Number of the fold.
    """
    return folder / RUNS / problem.definition.name / file_title(method.name) / f"fold-{fold}.jsonl"


def _run_unit(unit: _Unit, settings: HpoSettings) -> str:
    problem = problem_of(unit.problem)
    folds = folds_of_groups(problem.groups, problem.definition.folds)
    plan = unit.plan
    done = {(r["task"], r["seed"]) for r in read_unit(unit.path) if len(r["scores"]) >= plan.trials}
    wanted = {
        seed: [
            task
            for task in plan.tasks
            if folds[task] == unit.fold and (problem.names[task], seed) not in done
        ]
        for seed in range(plan.seeds)
    }
    name = f"{problem.definition.name} {unit.method.name} fold {unit.fold}"
    if not any(wanted.values()):
        return name
    unit.path.parent.mkdir(parents=True, exist_ok=True)
    tasks = [problem.past(int(t)) for t in np.flatnonzero(folds != unit.fold)]
    cut_off = unit.path.exists() and not unit.path.read_text(encoding="utf-8").endswith("\n")
    with unit.path.open("a", encoding="utf-8") as file:
        file.write("\n" if cut_off else "")
        for seed, own in wanted.items():
            if not own:
                continue
            # Anew for each seed: what chance does in the learning is part of what a search may come to.
            begin = perf_counter()
            past = Past(problem.space, tasks, seed=seed, table=problem.definition.table)
            made = unit.method.learn(past)
            learned = perf_counter() - begin
            for task in own:
                row = _searched(problem, task, seed, made(seed), plan, settings, learned)
                file.write(json.dumps(row) + "\n")
                file.flush()
    return name


def _searched(
    problem: Problem,
    task: int,
    seed: int,
    search: Search,
    plan: Plan,
    settings: HpoSettings,
    learned: float,
) -> JSON:
    """Run one search, and return what is kept of it."""
    objective, workers = problem.objective(task), settings.workers
    trace = run_search(search, objective, problem.space, plan.trials, workers=workers)
    asked = float(np.median([s for s in trace.seconds if s > 0] or [0]))
    return search_row(problem.names[task], seed, trace.scores, seconds=asked, learned=learned)


def read_unit(path: Path) -> Iterator[JSON]:
    """Yield the searches of one file; a cut-off line is left out.

    Args:
        path: A file that need not exist.
    """
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def read_comparison(
    problem: Problem, methods: Sequence[Method], folder: Path, settings: HpoSettings
) -> pd.DataFrame:
    """Return the searches of one problem, on tasks that every method has searched on.

    A method that was run with fewer trials than are asked for now counts with those that it has.

    Args:
        problem: The problem.
        methods: The methods.
        folder: Where the searches are kept.
        settings: How much was asked for.

    Returns:
        One row a trial: ``task``, ``method``, ``seed``, ``trial`` (from 0), ``score`` (greater is better,
        NaN for a failed trial), ``seconds`` (the search's median proposal), ``learn_seconds``.

    Raises:
        StoreError: If a method has finished no task.
    """
    parts = []
    plans = plans_of(problem, methods, settings)
    for method in methods:
        plan = plans[method.name]
        names = {problem.names[t] for t in plan.tasks}
        rows = {
            (r["task"], r["seed"]): r
            for fold in range(problem.definition.folds)
            for r in read_unit(unit_path(folder, problem, method, fold))
            if r["task"] in names and r["seed"] < plan.seeds
        }
        if not rows:
            msg = f"{method.name} has no finished search on {problem.definition.name} in {folder}. Run it."
            raise StoreError(msg)
        n = min(plan.trials, *(len(r["scores"]) for r in rows.values()))
        parts += [
            pd.DataFrame(
                {
                    "task": task,
                    "method": method.name,
                    "seed": seed,
                    "trial": np.arange(n),
                    "score": np.array(row["scores"][:n], dtype=np.float64),
                    "seconds": row["seconds"],
                    "learn_seconds": row["learn_seconds"],
                }
            )
            for (task, seed), row in sorted(rows.items())
        ]
    table = pd.concat(parts, ignore_index=True)
    common = set.intersection(*(set(g["task"]) for _, g in table.groupby("method")))
    return table[table["task"].isin(common)].reset_index(drop=True)
