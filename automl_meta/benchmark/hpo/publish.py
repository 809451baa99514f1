"""What a comparison leaves beside its report: scales of regret, per-trial results, notes; and reading these back."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from automl_meta._resources import tasks_folder
from automl_meta._words import counted
from automl_meta.benchmark.hpo.compare import search_row, unit_path
from automl_meta.benchmark.hpo.groups import folds_of_groups
from automl_meta.benchmark.hpo.methods import Method
from automl_meta.benchmark.hpo.plans import HpoSettings, plans_of
from automl_meta.benchmark.hpo.problem import Problem
from automl_meta.benchmark.results import KEYS, read_results
from automl_meta.exceptions import StoreError
from automl_meta.metadata.files import file_title, write_whole
from automl_meta.runs.result import machine_record, versions_record
from automl_meta.statistics import incumbent, normalised_regret

if TYPE_CHECKING:
    from automl_meta._typing import JSON

_SCALES = "hpo/scales"
#: What a search is read back from.
_SEARCHES = ["problem", *KEYS, "trial", "score", "seconds", "learn_seconds"]


def scales_of(problem: Problem) -> dict[str, tuple[float, float]]:
    """Return worst and best known score of each task, which regret is measured between.

    On a table they are the table's. Where the whole space is open they are the stored ones, fixed once by
    ``fix_scales``, or those of the recorded settings where none are stored.

    Args:
        problem: The problem.
    """
    recorded = {name: problem.scale(i) for i, name in enumerate(problem.names)}
    path = _scales_path(problem)
    if problem.definition.table or not path.exists():
        return recorded
    stored: Mapping[str, list[float]] = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: (stored[name][0], stored[name][1]) if name in stored else scale
        for name, scale in recorded.items()
    }


def _scales_path(problem: Problem) -> Path:
    return tasks_folder() / _SCALES / f"{problem.definition.name}.json"


def fix_scales(problem: Problem, table: pd.DataFrame) -> Path:
    """Store worst recorded score and best known one, that of any method included, for all later comparisons.

    What is stored already stays known: a best score is never lowered, whichever methods are compared this time.

    Args:
        problem: A problem whose whole space is open.
        table: Every method's searches.

    Returns:
        The file, among the definitions.
    """
    top = table.groupby("task")["score"].max()
    scales = {}
    for name, (worst, best) in scales_of(problem).items():
        found = float(top[name]) if name in top.index else best
        scales[name] = [round(worst, 7), round(max(best, found), 7)]
    path = _scales_path(problem)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(pair)}" for name, pair in scales.items())
    write_whole(path, "{\n" + lines + "\n}\n")
    return path


def write_hpob(
    problem: str, table: pd.DataFrame, scales: Mapping[str, tuple[float, float]], folder: Path
) -> None:
    """Write the per-trial results of each method in the layout of HPO-B's result files.

    That is {search space: {data set: {"test0", ...: [normalised score of the best trial so far, ...]}}}, a key a seed, one
    file a method; several problems share it. What the folder has of the problem from another time is taken out.

    Args:
        problem: Name of the problem, in the place of the search space.
        table: The searches.
        scales: Task to worst and best known score.
        folder: Where the files go.

    Reference:
        Pineda-Arango et al. (2021), HPO-B, and its benchmark-plot code's result files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    documents = _without(problem, folder)
    for method, rows in table.groupby("method", sort=False):
        found: dict[str, dict[str, list[float]]] = {}
        for (task, seed), run in rows.groupby(["task", "seed"]):
            worst, best = scales[str(task)]
            regret = normalised_regret(incumbent(run["score"].to_numpy()), best, worst)
            curve = [round(1.0 - float(r), 6) for r in regret]
            found.setdefault(str(task), {})[f"test{seed}"] = curve
        path = folder / f"{file_title(str(method))}.json"
        documents[path] = {**documents.get(path, {}), problem: found}
    for path, document in documents.items():
        if document:
            write_whole(path, json.dumps(document))
        else:
            path.unlink()  # of a method that the report does not have


def _without(problem: str, folder: Path) -> "dict[Path, JSON]":
    """Return what the files of a folder hold beside a problem."""
    documents: dict[Path, JSON] = {}
    for path in folder.glob("*.json"):
        try:
            documents[path] = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            msg = f"The published curves in {path} are damaged ({error}). Remove the file."
            raise StoreError(msg) from error
        documents[path].pop(problem, None)
    return documents


def restore_runs(problem: Problem, methods: Sequence[Method], folder: Path) -> None:
    """Write the searches of a published report back as runs, where these are not there: only results travel.

    Args:
        problem: The problem.
        methods: The methods.
        folder: Where the report is.

    Raises:
        StoreError: If the results are damaged.
    """
    table = read_results(folder, _SEARCHES)
    if table is None:
        return
    table = table[table["problem"] == problem.definition.name]
    numbers = folds_of_groups(problem.groups, problem.definition.folds)
    fold_of = dict(zip(problem.names, numbers.tolist(), strict=True))
    for method in methods:
        own = table[(table["method"] == method.name) & table["task"].isin(problem.names)]
        for fold, searches in own.groupby(own["task"].map(fold_of)):
            path = unit_path(folder, problem, method, int(str(fold)))
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, "".join(json.dumps(row) + "\n" for row in _searches(searches)))


def _searches(table: pd.DataFrame) -> Iterator["JSON"]:
    """Yield what is kept of each search of one method."""
    for (task, seed), trials in table.groupby(["task", "seed"], sort=False):
        first = trials.iloc[0]
        yield search_row(
            str(task),
            int(str(seed)),
            trials.sort_values("trial")["score"].to_numpy(),
            seconds=float(first["seconds"]),
            learned=float(first["learn_seconds"]),
        )


def protocol_notes(
    problems: Sequence[Problem], methods: Sequence[Method], settings: HpoSettings
) -> list[str]:
    """Return what a reader of the report must know.

    Args:
        problems: The problems.
        methods: The methods.
        settings: How much was run.
    """
    machine, versions = machine_record(), versions_record()
    plans = [(p, m, plans_of(p, methods, settings)[m.name]) for p in problems for m in methods]
    amounts = {
        slow: sorted(
            {
                f"{m.name + ' on ' if slow else ''}{p.definition.name}: {len(plan.tasks)} tasks, "
                f"{counted(plan.seeds, 'seed')}, {counted(plan.trials, 'trial')}"
                for p, m, plan in plans
                if m.slow == slow
            }
        )
        for slow in (False, True)
    }
    return [
        (
            "Tasks are split into folds by groups, which near duplicates and versions of one data set share; a method "
            "learns from all folds but one and searches on that one, so every task is a test task once. Folds: "
            + ", ".join(f"{p.definition.name} {p.definition.folds}" for p in problems)
            + "."
        ),
        (
            "On a table a proposal is moved to the nearest row (in the encoding of the space) that was not yet "
            "evaluated, and the method is told of that row; the same for all methods."
        ),
        (
            "Portfolio: greedy by mean regret over the past tasks. Before TPE and GPSampler it has 10 configurations, "
            "as many as these draw at random first, and they go on in the space without its conditions."
        ),
        (
            f"Fast methods: {'; '.join(amounts[False]) or 'none'}. Slow methods: {'; '.join(amounts[True]) or 'none'}. All "
            "methods of a report are compared on the tasks that all of them ran, a method with fewer trials up to its last. "
            f"{counted(settings.workers, 'trial')} at once."
        ),
        *(
            f"{p.definition.name}: {p.definition.score}; regret 1 is "
            + (
                "the lowest recorded score"
                if p.definition.worst == 0
                else f"the {p.definition.worst:.0%} quantile of the recorded scores"
            )
            + f"; {min(p.definition.past, len(p.rows[0]))} evaluations of each past task."
            for p in problems
        ),
        f"Machine: {machine['cpu']}, {counted(machine['cores'], 'core')}, one thread a search. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
    ]
