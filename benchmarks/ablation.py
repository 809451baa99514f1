"""What each part of the prior of past searches brings, on folds inside the training tasks of three problems.

The choices behind ``MetaLearner.from_tasks`` are made here: the tasks of the first outer fold are put aside, the others
are split into four inner folds by fingerprint, learners are trained on three of them and judged on the fourth. Nothing
that the search benchmark reports on that fold is looked at.

Finished lines are kept; start it again to go on:

    AUTOML_META_DATA=DATA python benchmarks/ablation.py --runs runs/ablation
"""

import argparse
import dataclasses
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
import torch
from variations import Blended, Variation, draws_by, variations

from automl_meta._typing import Configuration, FloatArray
from automl_meta.benchmark.hpo.groups import folds_of_groups
from automl_meta.benchmark.hpo.methods import START_IN_SPACE, START_ON_TABLE
from automl_meta.benchmark.hpo.problem import Problem
from automl_meta.benchmark.hpo.publish import scales_of
from automl_meta.benchmark.hpo.search import Search, run_search
from automl_meta.benchmark.hpo.sources import load_problem
from automl_meta.metadata.files import file_title
from automl_meta.metadata.past import PastTask
from automl_meta.metalearn import Algorithm
from automl_meta.prior import acquisition
from automl_meta.search import MetaLearner
from automl_meta.statistics import bootstrap_interval, incumbent, normalised_regret

ROOT = Path(__file__).resolve().parents[1]
#: Problem to every nth inner task is searched on.
PROBLEMS = {"rbv2_xgboost-pool": 1, "oboe": 2, "lcbench": 1}
#: Judged inner folds; of a problem with few tasks all four.
INNER_FOLDS = {"rbv2_xgboost-pool": (0, 1), "oboe": (0, 1), "lcbench": (0, 1, 2, 3)}
N_INNER = 4
TRIALS = 50
MARKS = (5, 10, 25, 50)


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "hpo" / "ablation.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    results = {}
    for problem in options.problems.split(","):
        for variation in variations(problem):
            results[problem, variation.name] = measured(problem, variation, options.runs)
            print(
                problem, variation.name, results[problem, variation.name].mean(axis=0), flush=True
            )
    write_report(results, options.problems.split(","), options.output)


def measured(name: str, variation: Variation, runs: Path) -> np.ndarray:
    """Return regrets at the marks, one row a task, from the kept file where it is there."""
    path = runs / f"{file_title(f'{name}--{variation.name}')}.json"
    if not path.exists():
        rows = [list(search(name, variation, fold)) for fold in INNER_FOLDS[name]]
        path.write_text(json.dumps([r for part in rows for r in part]))
    return np.array(json.loads(path.read_text()))


def search(name: str, variation: Variation, fold: int) -> Sequence[list[float]]:
    """Learn on the other inner folds and search on the tasks of this one."""
    problem, _ = inner_problem(name)
    known = learned(name, others(fold), variation.algorithm, variation.learning, variation.seed)
    learner = with_warps(known, variation.warps)

    def make() -> optuna.samplers.BaseSampler:
        sampler = learner.sampler(seed=variation.seed)
        return Blended(sampler, variation.tpe_every) if variation.tpe_every else sampler

    with ExitStack() as stack:
        for (module, constant), value in variation.constants.items():
            stack.enter_context(patch.object(module, constant, value))
        if variation.learned_steps:
            steps = partial(draws_by, steps_of(name, fold))
            stack.enter_context(patch.object(acquisition, "_draws", steps))
        usual = START_ON_TABLE if problem.definition.table else START_IN_SPACE
        start = learner.prior.warm_start(variation.start or usual)
        regrets = searched(name, fold, make, start, TRIALS)
    return [[float(row[n - 1]) for n in MARKS] for row in regrets]


def searched(
    name: str,
    fold: int,
    make: Callable[[], optuna.samplers.BaseSampler],
    start: Sequence[Configuration],
    trials: int,
) -> FloatArray:
    """Return the regret after each trial on every nth task of a fold, shape [tasks, trials].

    Args:
        name: The problem.
        fold: The inner fold.
        make: A sampler for each search.
        start: Starting points.
        trials: Of each search.
    """
    problem, folds = inner_problem(name)
    rows = []
    for task in np.flatnonzero(folds == fold)[:: PROBLEMS[name]]:
        made = Search(make(), problem.space, list(start))
        trace = run_search(made, problem.objective(int(task)), problem.space, trials)
        worst, best = scales(name)[problem.names[task]]
        rows.append(normalised_regret(incumbent(trace.scores), best, worst))
    return np.array(rows)


@cache
def inner_problem(name: str) -> tuple[Problem, np.ndarray]:
    """Return the problem without the first outer fold, and the inner fold of each task."""
    problem = load_problem(name)
    kept = np.flatnonzero(folds_of_groups(problem.groups, problem.definition.folds) != 0)
    inner = problem.part(kept)
    return inner, folds_of_groups(inner.groups, N_INNER, seed=1)


@cache
def scales(name: str) -> dict[str, tuple[float, float]]:
    """Return worst and best known score of each task, where a whole space is searched the stored ones."""
    return scales_of(inner_problem(name)[0])


def past_tasks(name: str, seen: tuple[int, ...]) -> list[PastTask]:
    """Return the tasks of some inner folds."""
    problem, folds = inner_problem(name)
    return [problem.past(int(t)) for t in np.flatnonzero(np.isin(folds, seen))]


def others(fold: int) -> tuple[int, ...]:
    """Return all inner folds but one."""
    return tuple(f for f in range(N_INNER) if f != fold)


@cache
def learned(
    name: str,
    seen: tuple[int, ...],
    algorithm: Algorithm | None = None,
    constants: tuple[tuple[Any, str, Any], ...] = (),
    seed: int = 0,
) -> MetaLearner:
    """Return a learner of some inner folds; the same one for all that searches differently."""
    problem, _ = inner_problem(name)
    with ExitStack() as stack:
        for module, constant, value in constants:
            stack.enter_context(patch.object(module, constant, value))
        return MetaLearner.from_tasks(
            past_tasks(name, seen),
            problem.space,
            algorithm=algorithm,
            refine=not problem.definition.table,
            seed=seed,
        )


@cache
def steps_of(name: str, fold: int) -> FloatArray:
    """Return how far the best fiftieth of each past task's configurations lie apart, in each parameter; mean 1, [p]."""
    apart = []
    for task in past_tasks(name, others(fold)):
        best = task.best_units(max(10, len(task.scores) // 50))
        apart.append(np.nanstd(best, axis=0))
    mean = np.nanmean(apart, axis=0)
    return np.asarray(mean / mean.mean(), dtype=np.float64)


def with_warps(learner: MetaLearner, names: Sequence[str]) -> MetaLearner:
    """Return the learner with some of the response model's warps."""
    responses = learner.prior.responses
    kept = {name: responses.warps[name] for name in names}
    responses = dataclasses.replace(responses, warps=kept)
    return MetaLearner(dataclasses.replace(learner.prior, responses=responses))


def write_report(
    results: Mapping[tuple[str, str], np.ndarray], problems: Sequence[str], path: Path
) -> None:
    """Write mean regrets and the paired difference to the shipped setting."""
    rng = np.random.default_rng(0)
    how = (__doc__ or "").split("\n\n")[1].replace("\n", " ").replace("``", "`")
    lines = ["# What each part brings", "", how, ""]
    for problem in problems:
        found = {v.name: results[problem, v.name] for v in variations(problem)}
        n_tasks = len(next(iter(found.values())))
        lines += [f"## {problem}: {n_tasks} tasks, 1 seed", "", *table("variation", found, rng), ""]
    lines += [
        (
            "Mean normalised regret; difference: the variation's minus the shipped setting's, bootstrap over tasks. The "
            "intervals know of the tasks' chance, not of the searches': what another seed changes is no effect."
        ),
        "",
        f"Made with: `AUTOML_META_DATA=DATA python benchmarks/ablation.py --problems {','.join(problems)}`",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def table(what: str, found: Mapping[str, np.ndarray], rng: np.random.Generator) -> list[str]:
    """Return the lines of a table of regrets at the marks, each beside the first one's.

    Args:
        what: Heads the first column.
        found: Line to regrets, one row a task; the shipped setting first.
        rng: Of the bootstrap.
    """
    shipped = next(iter(found.values()))
    header = " | ".join(f"after {n}" for n in MARKS)
    lines = [
        f"| {what} | {header} | difference at 10 [95 %] | at 25 [95 %] |",
        "|---|" + "---:|" * (len(MARKS) + 2),
    ]
    for name, regrets in found.items():
        cells = [f"{value:.4f}" for value in regrets.mean(axis=0)]
        for column in (1, 2):
            gap = bootstrap_interval(regrets[:, column], shipped[:, column], rng)
            cells.append(f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
