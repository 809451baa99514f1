"""What more past tasks, and more configurations of each, bring to the shipped meta-learners.

Learners of the auto space are trained on part of the meta-dataset and search the evaluated configurations of the tasks
of a left-out fold, which are the same for every part.

Finished lines are kept:

    OMP_NUM_THREADS=1 python benchmarks/doublings.py --runs runs/doublings
"""

import argparse
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from automl_meta._typing import ProblemKind
from automl_meta.benchmark.hpo.problem import TableObjective
from automl_meta.benchmark.hpo.search import Search, run_search
from automl_meta.metadata.files import file_title
from automl_meta.metadata.splits import task_folds
from automl_meta.metadata.store import read_evaluations, read_tasks
from automl_meta.pipelines import AUTO, SKLEARN_FAMILIES, join
from automl_meta.prior.build import BuildSettings, portfolio_of, train_models
from automl_meta.prior.dataset import MetaTable, meta_table
from automl_meta.prior.prior import Prior
from automl_meta.prior.storage import collected_prior
from automl_meta.report.svg import SERIES, Size, marker, new_figure, svg_text
from automl_meta.search.sampler import MetaSampler
from automl_meta.spaces import Encoder
from automl_meta.statistics import bootstrap_interval, incumbent, normalised_regret

ROOT = Path(__file__).resolve().parents[1]
PROBLEMS: tuple[ProblemKind, ...] = ("classification", "regression")
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
CONFIGURATIONS = (7, 15, 30, 60)
TRIALS, MARKS = 15, (5, 10, 15)
ALL_TASKS, FOLDS = 1.0, 5
SETTINGS = BuildSettings()


@dataclass(frozen=True)
class Part:
    """A part of the meta-dataset.

    Attributes:
        share: Of the past tasks.
        configurations: Of each family and task.
    """

    share: float
    configurations: int

    def __str__(self) -> str:
        """Return a name for lines and files."""
        return f"{self.share:.3f} of the tasks, {self.configurations} configurations"


WHOLE = Part(ALL_TASKS, max(CONFIGURATIONS))


def parts() -> tuple[Part, ...]:
    """Return the parts: tasks doubled at all configurations, configurations doubled at all tasks."""
    most = max(CONFIGURATIONS)
    by_tasks = [Part(share, most) for share in SHARES]
    return (*by_tasks, *(Part(ALL_TASKS, n) for n in CONFIGURATIONS if n < most))


def main() -> None:
    """Run what is missing, then write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=Path, default=ROOT / "tasks" / "evaluations")
    parser.add_argument("--runs", type=Path, default=Path("runs/doublings"))
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "meta_dataset")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, Part], np.ndarray] = {}
    for problem in PROBLEMS:
        for part in parts():
            path = options.runs / f"{file_title(f'{problem}--{part}')}.json"
            if not path.exists():
                path.write_text(json.dumps(list(regrets(options.evaluations, problem, part))))
            found[problem, part] = np.array(json.loads(path.read_text()))
            print(problem, part, found[problem, part].mean(axis=0).round(4), flush=True)
    write_report(found, options.output)


def regrets(folder: Path, problem: ProblemKind, part: Part) -> Iterator[list[float]]:
    """Yield the regrets at the marks, one row a task; each is a test task once."""
    whole, objectives, fold_of = tables(folder, problem, max(CONFIGURATIONS))
    known, _, _ = tables(folder, problem, part.configurations)
    for fold in range(FOLDS):
        prior = learned(known, fold_of != fold, part.share)
        for place in np.flatnonzero(fold_of == fold):
            task = whole.tasks[place]
            features = task.record.meta_features
            start = prior.warm_start(prior.n_start, features)
            search = Search(MetaSampler(prior.conditioned(features), seed=0), whole.space, start)
            objective = TableObjective(whole.space, objectives[place], task.raw)
            scores = run_search(search, objective, whole.space, TRIALS).scores
            best, median = float(np.nanmax(task.raw)), float(np.nanmedian(task.raw))
            regret = normalised_regret(incumbent(scores), best, median)
            yield [float(regret[n - 1]) for n in MARKS]


@cache
def tables(
    folder: Path, problem: ProblemKind, configurations: int
) -> tuple[MetaTable, list[np.ndarray], np.ndarray]:
    """Return the tasks with their first configurations of each family, these as unit rows, and the folds."""
    evaluations, records = read_evaluations(folder), read_tasks(folder)
    evaluations = evaluations[
        evaluations["family"].isin([family.name for family in SKLEARN_FAMILIES])
        & (evaluations["number"] < configurations)
    ]
    table = meta_table(evaluations, records, AUTO, problem)
    encoder, rows = Encoder(table.space), []
    for task in table.tasks:
        own = evaluations[evaluations["task"] == task.record.title]
        pairs = zip(own["family"], own["configuration"], strict=True)
        rows.append(encoder.to_units([join(name, c) for name, c in pairs]))
    _, folds = task_folds(records, FOLDS, seed=0)
    of_title = {r.title: int(f) for r, f in zip(records, folds, strict=True)}
    return table, rows, np.array([of_title[task.record.title] for task in table.tasks])


def learned(table: MetaTable, training: np.ndarray, share: float) -> Prior:
    """Return what ``automl-meta train`` makes of a share of the training tasks, drawn at random."""
    places = np.random.default_rng(0).permutation(np.flatnonzero(training))
    kept = places[: max(2, round(share * len(places)))]
    part = table.without([i not in set(kept.tolist()) for i in range(len(table.tasks))])
    models = train_models(part, SETTINGS)
    return collected_prior(table.space, models, portfolio_of(part), SETTINGS.algorithm)


def write_report(found: Mapping[tuple[str, Part], np.ndarray], folder: Path) -> None:
    """Write the table and the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, header = np.random.default_rng(0), " | ".join(f"after {n}" for n in MARKS)
    lines = ["# More past tasks, more configurations", "", *(__doc__ or "").split("\n\n")[:2], ""]
    for problem in PROBLEMS:
        whole = found[problem, WHOLE]
        lines += [
            f"## {problem}: {len(whole)} tasks, 1 seed",
            "",
            f"| past tasks | configurations a family | {header} | more than with all, at 10 [95 %] |",
            "|---:|---:|" + "---:|" * (len(MARKS) + 1),
        ]
        for part in parts():
            regret = found[problem, part]
            gap = bootstrap_interval(regret[:, 1], whole[:, 1], rng)
            means = " | ".join(f"{value:.3f}" for value in regret.mean(axis=0))
            tasks = round(part.share * len(whole) * (1 - 1 / FOLDS))
            more = f"{gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
            if part == WHOLE:
                more = ""
            lines.append(f"| {tasks} | {part.configurations} | {means} | {more} |")
        lines.append("")
    lines += [
        "Mean regret: 0 the best evaluated configuration of the task, 1 its median one. Interval: bootstrap over tasks.",
        "",
        "![Mean regret after 10 trials](doublings.svg)",
        "",
        "Made with: `OMP_NUM_THREADS=1 python benchmarks/doublings.py`",
    ]
    (folder / "report.md").write_text("\n".join(lines) + "\n")
    (folder / "doublings.svg").write_text(svg_text(drawn(found), name="doublings", page=False))


def drawn(found: Mapping[tuple[str, Part], np.ndarray]) -> Figure:
    """Draw the mean regret after 10 trials against the share of tasks and of configurations."""
    figure, axes = new_figure(Size(7.6, 3.6))
    most = max(CONFIGURATIONS)
    colours = iter(SERIES)
    for problem in PROBLEMS:
        for what in ("tasks", "configurations"):
            chosen = [
                p
                for p in parts()
                if (p.configurations == most if what == "tasks" else p.share == ALL_TASKS)
            ]
            at = {
                (p.share if what == "tasks" else p.configurations / most): float(
                    found[problem, p][:, 1].mean()
                )
                for p in chosen
            }
            share = sorted(at)
            axes.plot(
                share,
                [at[s] for s in share],
                "o-" if what == "tasks" else "s--",
                color=marker(next(colours)),
                linewidth=1.8,
                label=f"{problem}, share of {what}",
            )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([1 / 8, 1 / 4, 1 / 2, 1]))
    axes.set_xticklabels(["1/8", "1/4", "1/2", "all"])
    axes.set_xlabel("share of the meta-dataset", color=marker("muted"), fontsize=9)
    axes.set_ylabel("mean regret after 10 trials", color=marker("muted"), fontsize=9)
    figure.legend(
        loc="outside upper left", ncols=2, frameon=False, fontsize=9, labelcolor=marker("ink")
    )
    return figure


if __name__ == "__main__":
    main()
