"""How the search fares when its past is small, noisy, incomplete, misleading, or trials fail or run side by side.

Two folds of one problem, one seed; the cold samplers beside it see the same objectives. Finished lines are kept:

    AUTOML_META_DATA=DATA python benchmarks/stress.py --runs runs/stress
"""

import argparse
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
import torch
from optuna.distributions import CategoricalDistribution

from automl_meta.benchmark.hpo.groups import folds_of_groups
from automl_meta.benchmark.hpo.methods import Method, Past
from automl_meta.benchmark.hpo.problem import Objective, Problem
from automl_meta.benchmark.hpo.publish import scales_of
from automl_meta.benchmark.hpo.registry import methods
from automl_meta.benchmark.hpo.search import run_search
from automl_meta.benchmark.hpo.sources import load_problem
from automl_meta.metadata.files import file_title
from automl_meta.metadata.past import PastTask
from automl_meta.spaces import Encoder
from automl_meta.statistics import incumbent, normalised_regret

ROOT = Path(__file__).resolve().parents[1]
FOLDS = (0, 1)
MARKS = (5, 10, 25, 30, 50)

Change = Callable[[list[PastTask], Problem, np.random.Generator], list[PastTask]]


@dataclass(frozen=True)
class Condition:
    """One line of the table.

    Attributes:
        name: What is different.
        change: Alters the past.
        method: Who searches.
        workers: Trials at once.
        failing: Whether a fifth of the space fails, in the past too.
    """

    name: str
    change: Change = lambda tasks, _problem, _rng: tasks
    method: str = "automl-meta"
    workers: int = 1
    failing: bool = False


def first_tasks(n: int) -> Change:
    """Keep n past tasks, drawn at random."""
    return lambda tasks, _problem, rng: [tasks[i] for i in rng.permutation(len(tasks))[:n]]


def evaluations(n: int) -> Change:
    """Keep n evaluations of each past task, other ones of each."""

    def change(
        tasks: list[PastTask], _problem: Problem, rng: np.random.Generator
    ) -> list[PastTask]:
        kept = [rng.permutation(len(t.scores))[:n] for t in tasks]
        return [
            replace(t, units=t.units[k], scores=t.scores[k])
            for t, k in zip(tasks, kept, strict=True)
        ]

    return change


def shifted(tasks: list[PastTask], problem: Problem, _rng: np.random.Generator) -> list[PastTask]:
    """Leave out what lies in the lowest fifth of three numeric parameters: the past never searched there."""
    columns = numeric(problem)[:3]
    kept = [np.all(np.nan_to_num(t.units[:, columns], nan=1.0) >= 0.2, axis=1) for t in tasks]
    return [
        replace(t, units=t.units[k], scores=t.scores[k]) for t, k in zip(tasks, kept, strict=True)
    ]


def unrecorded(
    tasks: list[PastTask], problem: Problem, _rng: np.random.Generator
) -> list[PastTask]:
    """Forget one numeric parameter: the past tasks never recorded it."""
    result = []
    for task in tasks:
        units = task.units.copy()
        units[:, numeric(problem)[1]] = np.nan
        result.append(replace(task, units=units))
    return result


def noisy(tasks: list[PastTask], _problem: Problem, rng: np.random.Generator) -> list[PastTask]:
    """Add noise of a fifth of each task's spread."""
    return [
        replace(t, scores=t.scores + rng.normal(size=len(t.scores)) * 0.2 * np.nanstd(t.scores))
        for t in tasks
    ]


def reversed_tasks(share: float) -> Change:
    """Turn the scores of a share of the past tasks around."""

    def change(
        tasks: list[PastTask], _problem: Problem, _rng: np.random.Generator
    ) -> list[PastTask]:
        n = max(1, round(share * len(tasks)))
        return [replace(t, scores=-t.scores) if i < n else t for i, t in enumerate(tasks)]

    return change


def unrelated(tasks: list[PastTask], _problem: Problem, rng: np.random.Generator) -> list[PastTask]:
    """Shuffle the scores within every past task."""
    return [replace(t, scores=rng.permutation(t.scores)) for t in tasks]


def numeric(problem: Problem) -> list[int]:
    """Return the columns of the numeric parameters."""
    distributions = problem.space.distributions.values()
    return [i for i, d in enumerate(distributions) if not isinstance(d, CategoricalDistribution)]


CONDITIONS = (
    Condition("all past tasks, 2,000 shared settings"),
    Condition("1 past task", first_tasks(1)),
    Condition("5 past tasks", first_tasks(5)),
    Condition("20 past tasks", first_tasks(20)),
    Condition("25 evaluations a past task, not shared", evaluations(25)),
    Condition("200 evaluations a past task, not shared", evaluations(200)),
    Condition("ranges shifted: the past lacks a fifth of three", shifted),
    Condition("a parameter that the past did not record", unrecorded),
    Condition("noise of a fifth of the spread on past scores", noisy),
    Condition("one past task reversed", reversed_tasks(0.0)),
    Condition("half of the past tasks reversed", reversed_tasks(0.5)),
    Condition("all past tasks reversed", reversed_tasks(1.0)),
    Condition("unrelated past: scores shuffled", unrelated),
    Condition("4 trials at once", workers=4),
    Condition("a fifth of the space fails", failing=True),
    Condition("TPE", method="tpe"),
    Condition("random", method="random"),
    Condition("TPE, 4 trials at once", method="tpe", workers=4),
    Condition("TPE, a fifth of the space fails", method="tpe", failing=True),
)


class Failing:
    """An objective that fails in the upper fifth of one parameter.

    Args:
        inner: The objective.
        problem: Its problem.
    """

    def __init__(self, inner: Objective, problem: Problem) -> None:
        self._inner, self._encoder = inner, Encoder(problem.space)
        self._column = numeric(problem)[1]

    def evaluate(self, configuration):  # noqa: ANN001, ANN201 - as Objective
        """Return NaN where it fails."""
        done, score = self._inner.evaluate(configuration)
        unit = self._encoder.to_units([done])[0, self._column]
        return done, float("nan") if unit > 0.8 else score


def failing_past(tasks: Sequence[PastTask], problem: Problem) -> list[PastTask]:
    """Return past tasks that failed where the objective does."""
    column = numeric(problem)[1]
    return [replace(t, scores=np.where(t.units[:, column] > 0.8, np.nan, t.scores)) for t in tasks]


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problem", default="lcbench")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--runs", type=Path, default=Path("runs/stress"))
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "hpo" / "stress.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    problem = load_problem(options.problem)
    rows = {}
    for condition in CONDITIONS:
        path = options.runs / f"{file_title(f'{options.problem}--{condition.name}')}.json"
        if not path.exists():
            path.write_text(json.dumps(curves(problem, condition, options.trials)))
        rows[condition.name] = np.array(json.loads(path.read_text()))
        print(condition.name, rows[condition.name].mean(axis=0)[[n - 1 for n in MARKS]], flush=True)
    write_report(rows, problem, options.output)


def curves(problem: Problem, condition: Condition, trials: int) -> list[list[float]]:
    """Return the regret after each trial, one row a task."""
    method: Method = methods()[condition.method]
    folds = folds_of_groups(problem.groups, problem.definition.folds)
    scales, result = scales_of(problem), []
    for fold in FOLDS:
        rng = np.random.default_rng(fold)
        tasks = [problem.past(int(t)) for t in np.flatnonzero(folds != fold)]
        tasks = condition.change(tasks, problem, rng)
        tasks = failing_past(tasks, problem) if condition.failing else tasks
        make = method.learn(Past(problem.space, tasks, table=problem.definition.table))
        for task in np.flatnonzero(folds == fold):
            objective = problem.objective(int(task))
            if condition.failing:
                objective = Failing(objective, problem)
            trace = run_search(make(0), objective, problem.space, trials, workers=condition.workers)
            worst, best = scales[problem.names[task]]
            result.append(normalised_regret(incumbent(trace.scores), best, worst).tolist())
    return result


def write_report(rows: dict[str, np.ndarray], problem: Problem, path: Path) -> None:
    """Write the table."""
    count = len(next(iter(rows.values())))
    header = " | ".join(f"after {n}" for n in MARKS)
    lines = [
        "# Under stress",
        "",
        (__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n", " "),
        "",
        f"{problem.definition.name}, {count} tasks of folds {FOLDS}, 1 seed, mean normalised regret.",
        "",
        f"| condition | {header} |",
        "|---|" + "---:|" * len(MARKS),
        *(
            f"| {name} | {' | '.join(f'{found[:, n - 1].mean():.4f}' for n in MARKS)} |"
            for name, found in rows.items()
        ),
        "",
        "Made with: `AUTOML_META_DATA=DATA python benchmarks/stress.py`",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
