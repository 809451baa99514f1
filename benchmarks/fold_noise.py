"""Whether noise that differs from trial to trial, by the variance over its folds, helps the response model.

Only the project's own evaluations record folds. Searched are folds inside the training tasks, as in ``ablation.py``: the
tasks of the first outer fold are put aside. A trial's noise variance is the shipped one times the variance of its fold
scores, less what each fold adds for all configurations, over the task's median one, cut to a tenth and ten times; the same
half shrunk to the median. What a fold adds is taken from all of a task's evaluations, more than a search would know.

    python benchmarks/fold_noise.py --runs runs/fold_noise
"""

import argparse
import json
import logging
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ablation
import numpy as np
import optuna
import torch
from scipy.linalg import cholesky

from automl_meta._resources import tasks_folder
from automl_meta._typing import FloatArray
from automl_meta.benchmark.hpo.methods import START_ON_TABLE
from automl_meta.benchmark.hpo.search import Search, run_search
from automl_meta.metadata.store import read_evaluations, read_tasks
from automl_meta.pipelines import join
from automl_meta.prior import mixture
from automl_meta.spaces import Encoder
from automl_meta.statistics import incumbent, normalised_regret

PROBLEMS = ("collected-classification", "collected-regression")
FOLDS = (0, 1, 2, 3)
#: Line to what is made of a trial's variance over the median one; None for the same noise everywhere, then the seed.
LINES: Mapping[str, tuple[float | None, int]] = {
    "the same noise for all trials": (None, 0),
    "the same, another seed": (None, 1),
    "by the variance over folds": (0.0, 0),
    "by it, half shrunk to the median": (0.5, 0),
}
#: Of the response model's components, which all have the same.
NOISE_VARIANCE = mixture.COMPONENTS[0][1] ** 2


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/fold_noise"))
    parser.add_argument("--output", type=Path, default=ablation.ROOT / "reports/hpo/fold_noise.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    how = " ".join((__doc__ or "").split("\n\n")[1].replace("``", "`").split())
    lines = ["# Noise by the variance over folds", "", how, ""]
    for problem in PROBLEMS:
        found = {line: measured(problem, line, options.runs) for line in LINES}
        n_tasks = len(next(iter(found.values())))
        rows = ablation.table("noise", found, np.random.default_rng(0))
        lines += [f"## {problem}: {n_tasks} tasks", "", *rows, ""]
    lines.append("Made with: `python benchmarks/fold_noise.py`")
    options.output.write_text("\n".join(lines) + "\n")


def measured(problem: str, line: str, runs: Path) -> FloatArray:
    """Return regrets at the marks, one row a task, from the kept file where it is there."""
    path = runs / f"{problem}-{list(LINES).index(line)}.json"
    if not path.exists():
        rows = [row for fold in FOLDS for row in searched(problem, line, fold)]
        path.write_text(json.dumps(rows))
        print(problem, line, np.mean(rows, axis=0), flush=True)
    return np.array(json.loads(path.read_text()))


def searched(name: str, line: str, fold: int) -> list[list[float]]:
    """Learn on the other inner folds and search on the tasks of this one."""
    shrunk, seed = LINES[line]
    problem, folds = ablation.inner_problem(name)
    learner = ablation.learned(name, ablation.others(fold), seed=seed)
    start = learner.prior.warm_start(START_ON_TABLE)
    rows = []
    for task in np.flatnonzero(folds == fold):
        with ExitStack() as stack:
            if shrunk is not None:
                known = variances(name)[problem.names[task]]
                stack.enter_context(noise_of(known, Encoder(problem.space), shrunk))
            made = Search(learner.sampler(seed=seed), problem.space, list(start))
            trace = run_search(made, problem.objective(int(task)), problem.space, ablation.TRIALS)
        worst, best = ablation.scales(name)[problem.names[task]]
        regret = normalised_regret(incumbent(trace.scores), best, worst)
        rows.append([float(regret[n - 1]) for n in ablation.MARKS])
    return rows


@cache
def variances(name: str) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return, for each task, unit rows of its evaluations and their variances over folds, 1 the median one."""
    problem, _ = ablation.inner_problem(name)
    table = read_evaluations(tasks_folder() / "evaluations")
    table = table[(table["origin"] != "random") & (table["status"] == "ok")]
    metrics = {r.title: r.metric for r in read_tasks(tasks_folder() / "evaluations")}
    encoder, found = Encoder(problem.space), {}
    for title in problem.names:
        own = table[table["task"] == title]
        scores = np.array([values[metrics[title]] for values in own["scores"]])  # [n, K]
        pairs = zip(own["family"], own["configuration"], strict=True)
        rest = scores - scores.mean(axis=1, keepdims=True)
        rest -= rest.mean(axis=0)
        variance = rest.var(axis=1, ddof=1)
        middle = float(np.median(variance[variance > 0])) if (variance > 0).any() else 1.0
        relative = np.clip(variance / middle, 0.1, 10.0)
        found[title] = (encoder.to_units([join(n, c) for n, c in pairs]), relative)
    return found


def noise_of(known: tuple[FloatArray, FloatArray], encoder: Encoder, shrunk: float) -> Any:
    """Return a patch of the response model: its trials' noise is that of the evaluations with the same encoding."""
    relative = {
        row.tobytes(): (1.0 - shrunk) * value + shrunk
        for row, value in zip(encoder.expand(known[0]), known[1], strict=True)
    }
    original = mixture.ResponseModel._weighed  # noqa: SLF001

    def weighed(model: Any) -> Any:
        own = [relative.get(row.tobytes(), 1.0) for row in model._x]  # noqa: SLF001
        more = np.diag(NOISE_VARIANCE * (np.array(own) - 1.0))

        def factor(matrix: FloatArray, **options: Any) -> FloatArray:
            return np.asarray(cholesky(matrix + more, **options), dtype=np.float64)

        with patch.object(mixture, "cholesky", factor):
            return original(model)

    return patch.object(mixture.ResponseModel, "_weighed", weighed)


if __name__ == "__main__":
    main()
