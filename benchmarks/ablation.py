"""What each part of the prior of past searches brings, on folds inside the training tasks of two problems.

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
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
import torch
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from automl_meta.benchmark.hpo.groups import folds_of_groups
from automl_meta.benchmark.hpo.problem import Problem
from automl_meta.benchmark.hpo.search import Search, run_search
from automl_meta.benchmark.hpo.sources import load_problem
from automl_meta.metadata.files import file_title
from automl_meta.metalearn import FOMAML, MAML, Algorithm, MetaSGD, Reptile
from automl_meta.prior import mixture
from automl_meta.prior import prior as proposals
from automl_meta.prior.responses import WARPS
from automl_meta.search import MetaLearner
from automl_meta.statistics import bootstrap_interval, incumbent, normalised_regret

ROOT = Path(__file__).resolve().parents[1]
#: Problem to every nth inner task is searched on.
PROBLEMS = {"rbv2_xgboost-pool": 1, "oboe": 2}
INNER_FOLDS = (0, 1)
TRIALS = 50
MARKS = (5, 10, 25, 50)
SHARES = mixture.COMPONENTS
TPE_FROM = 20


@dataclass(frozen=True)
class Variation:
    """One line of the table.

    Attributes:
        name: What is different.
        constants: (module, name) to another value while it searches.
        algorithm: How the deep kernel adapts.
        start: Starting points.
        warps: How scores become comparable, for the response model.
        tpe_every: From the twentieth trial on every nth is Optuna's TPE's; 0 for none.
    """

    name: str
    constants: Mapping[tuple[Any, str], Any] = field(default_factory=dict)
    algorithm: Algorithm = field(default_factory=lambda: MetaSGD(initial_rate=0.01, steps=1))
    start: int = 5
    warps: Sequence[str] = WARPS
    tpe_every: int = 0


class Blended(optuna.samplers.BaseSampler):
    """A sampler of ours with TPE's proposals among its own.

    Args:
        ours: The sampler.
        every: From trial ``TPE_FROM`` on every nth is TPE's.
    """

    def __init__(self, ours: optuna.samplers.BaseSampler, every: int) -> None:
        self._ours, self._every = ours, every
        self._tpe = optuna.samplers.TPESampler(seed=0)

    def _of(self, trial: FrozenTrial) -> optuna.samplers.BaseSampler:
        late = trial.number >= TPE_FROM
        return self._tpe if late and trial.number % self._every == 0 else self._ours

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Ask whose trial it is."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask whose trial it is."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, distribution: Any
    ) -> Any:
        """Ask whose trial it is."""
        return self._of(trial).sample_independent(study, trial, param_name, distribution)


def variations() -> list[Variation]:
    """Return the shipped setting first, then one change each."""
    weight, temper = (proposals, "TRANSFER_WEIGHT"), (mixture, "TEMPER")
    shares, never = (mixture, "COMPONENTS"), 10**9
    return [
        Variation("as shipped"),
        Variation("1 starting point", start=1),
        Variation("3 starting points", start=3),
        Variation("8 starting points", start=8),
        Variation("no deep kernel", {weight: 0.0}),
        Variation("deep kernel not adapted", algorithm=MAML(rate=1e-9, steps=1)),
        Variation("deep kernel by MAML", algorithm=MAML(rate=0.01, steps=1)),
        Variation("deep kernel by FOMAML", algorithm=FOMAML(rate=0.01, steps=1)),
        Variation("deep kernel by Reptile", algorithm=Reptile(rate=0.01, steps=5)),
        Variation(
            "deep kernel by Meta-SGD, 3 steps", algorithm=MetaSGD(initial_rate=0.01, steps=3)
        ),
        Variation("deep kernel of weight .5", {weight: 0.5}),
        Variation("no task-only proposals", {(proposals, "TASK_ONLY_FROM_IF_CLOSED"): never}),
        Variation(
            "every fifth proposal task-only",
            {(proposals, "TASK_ONLY_FROM_IF_CLOSED"): 10, (proposals, "TASK_ONLY_EVERY"): 5},
        ),
        Variation("every fourth proposal TPE's from the twentieth on", tpe_every=4),
        Variation("no proposals by coverage", {(proposals, "COVER_EVERY"): never}),
        Variation("every fourth proposal by coverage", {(proposals, "COVER_EVERY"): 4}),
        Variation("no new structure", {shares: SHARES[:1]}),
        Variation("evidence not tempered", {temper: 1.0}),
        Variation("evidence to the power .5", {temper: 0.5}),
        Variation("scores as ranks alone", warps=("rank",)),
        Variation("scores as log regrets alone", warps=("gap",)),
        Variation("noise of .03", {shares: tuple((s, 0.03, w) for s, _, w in SHARES)}),
        Variation("noise of .3", {shares: tuple((s, 0.3, w) for s, _, w in SHARES)}),
        Variation("half the kernel's length", {(mixture, "_LENGTH"): 0.5 * mixture._LENGTH}),  # noqa: SLF001
    ]


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
        for variation in variations():
            results[problem, variation.name] = measured(problem, variation, options.runs)
            print(
                problem, variation.name, results[problem, variation.name].mean(axis=0), flush=True
            )
    write_report(results, options.problems.split(","), options.output)


def measured(name: str, variation: Variation, runs: Path) -> np.ndarray:
    """Return regrets at the marks, one row a task, from the kept file where it is there."""
    path = runs / f"{file_title(f'{name}--{variation.name}')}.json"
    if not path.exists():
        rows = [list(search(name, variation, fold)) for fold in INNER_FOLDS]
        path.write_text(json.dumps([r for part in rows for r in part]))
    return np.array(json.loads(path.read_text()))


def search(name: str, variation: Variation, fold: int) -> Sequence[list[float]]:
    """Learn on the other inner folds and search on the tasks of this one."""
    problem, folds = inner_problem(name)
    with ExitStack() as stack:
        for (module, constant), value in variation.constants.items():
            stack.enter_context(patch.object(module, constant, value))
        learner = with_warps(learned(name, fold, variation.algorithm), variation.warps)
        start = learner.prior.warm_start(variation.start)
        rows = []
        for task in np.flatnonzero(folds == fold)[:: PROBLEMS[name]]:
            sampler = learner.sampler(seed=0)
            if variation.tpe_every:
                sampler = Blended(sampler, variation.tpe_every)
            made = Search(sampler, problem.space, start)
            trace = run_search(made, problem.objective(int(task)), problem.space, TRIALS)
            worst, best = problem.scale(int(task))
            regret = normalised_regret(incumbent(trace.scores), best, worst)
            rows.append([float(regret[n - 1]) for n in MARKS])
    return rows


@cache
def inner_problem(name: str) -> tuple[Problem, np.ndarray]:
    """Return the problem without the first outer fold, and the inner fold of each task."""
    problem = load_problem(name)
    kept = np.flatnonzero(folds_of_groups(problem.groups, problem.definition.folds) != 0)
    inner = problem.part(kept)
    return inner, folds_of_groups(inner.groups, 4, seed=1)


@cache
def learned(name: str, fold: int, algorithm: Algorithm) -> MetaLearner:
    """Return a learner of the other inner folds; the same one for all that searches differently."""
    problem, folds = inner_problem(name)
    tasks = [problem.past(int(t)) for t in np.flatnonzero(folds != fold)]
    return MetaLearner.from_tasks(
        tasks, problem.space, algorithm=algorithm, refine=not problem.definition.table
    )


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
        shipped = results[problem, "as shipped"]
        header = " | ".join(f"after {n}" for n in MARKS)
        lines += [
            f"## {problem}: {len(shipped)} tasks, 1 seed",
            "",
            f"| variation | {header} | difference at 10 [95 %] | at 25 [95 %] |",
            "|---|" + "---:|" * (len(MARKS) + 2),
        ]
        for variation in variations():
            found = results[problem, variation.name]
            cells = [f"{value:.4f}" for value in found.mean(axis=0)]
            for column in (1, 2):
                gap = bootstrap_interval(found[:, column], shipped[:, column], rng)
                cells.append(f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]")
            lines.append(f"| {variation.name} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        "Mean normalised regret; difference: the variation's minus the shipped setting's, bootstrap over tasks.",
        "",
        f"Made with: `AUTOML_META_DATA=DATA python benchmarks/ablation.py --problems {','.join(problems)}`",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
