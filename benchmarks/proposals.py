"""How long a proposal takes: ours beside TPE and GPSampler, after 100 trials, in one process and one thread.

Also how the memory of a search grows over 1,000 trials. Writes one table:

    OMP_NUM_THREADS=1 python benchmarks/proposals.py
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import optuna
import psutil
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from automl_meta.metadata.past import PastTask
from automl_meta.search import MetaLearner
from automl_meta.spaces import Encoder, SearchSpace

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
SPACE = SearchSpace(
    "ten",
    1,
    {
        **{f"x{i}": FloatDistribution(0.0, 1.0) for i in range(9)},
        "kind": CategoricalDistribution(["a", "b", "c"]),
    },
)


def response(units: np.ndarray, best: np.ndarray | float) -> np.ndarray:
    """Return a bowl with its top at ``best``, lower for later kinds."""
    return -((units[:, :9] - best) ** 2).sum(axis=1) - 0.3 * np.floor(units[:, 9] * 3)


def learner(n_tasks: int, n_evaluations: int) -> tuple[MetaLearner, float]:
    """Return a learner of random past tasks and the seconds that its training took."""
    rng = np.random.default_rng(0)
    encoder = Encoder(SPACE)
    tasks = []
    for number in range(n_tasks):
        units = encoder.sample_units(rng, n_evaluations)
        scores = response(units, rng.uniform(0.3, 0.7, size=9))
        tasks.append(PastTask(str(number), units, scores))
    begin = time.perf_counter()
    made = MetaLearner.from_tasks(tasks, SPACE)
    return made, time.perf_counter() - begin


def objective(trial: optuna.Trial) -> float:
    """Return the response of a new task."""
    units = Encoder(SPACE).to_units([SPACE.suggest(trial)])
    return float(response(units, 0.5)[0])


def median_ask(sampler: BaseSampler, past: list[optuna.trial.FrozenTrial], repeats: int) -> float:
    """Return the median milliseconds of a whole proposal after the past trials."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(past)
    spent = []
    for _ in range(repeats):
        begin = time.perf_counter()
        trial = study.ask()
        units = Encoder(SPACE).to_units([SPACE.suggest(trial)])
        spent.append(time.perf_counter() - begin)
        study.tell(trial, float(response(units, 0.5)[0]))
    return 1e3 * float(np.median(spent))


def memory_over_trials(sampler: BaseSampler, marks: tuple[int, ...]) -> list[float]:
    """Return the process's resident MiB after so many trials."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    found = []
    for mark in marks:
        study.optimize(objective, n_trials=mark - len(study.trials))
        found.append(psutil.Process().memory_info().rss / 2**20)
    return found


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "hpo" / "proposals.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    made, seconds = learner(options.tasks, options.evaluations)
    peak = psutil.Process().memory_info().rss / 2**20
    base = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    base.optimize(objective, n_trials=100)
    samplers: dict[str, Callable[[], BaseSampler]] = {
        "automl-meta": lambda: made.sampler(seed=0),
        "TPE": lambda: TPESampler(seed=0),
        "GPSampler": lambda: GPSampler(seed=0),
    }
    asks: dict[str, list[float]] = {name: [] for name in samplers}
    for _ in range(3):  # in turns
        for name, make in samplers.items():
            asks[name].append(median_ask(make(), base.trials, 8))
    marks = (100, 250, 500, 1000)
    memory = memory_over_trials(made.sampler(seed=0), marks)
    lines = [
        "# What a proposal costs",
        "",
        (
            f"10 parameters, 100 past trials of the study, one thread. Learned from {options.tasks} past tasks x "
            f"{options.evaluations} evaluations in {seconds:.0f} s, {peak:.0f} MiB resident."
        ),
        "",
        "| sampler | proposal, median ms | range over 3 rounds |",
        "|---|---:|---:|",
        *(
            f"| {name} | {np.median(a):.1f} | {min(a):.1f} to {max(a):.1f} |"
            for name, a in asks.items()
        ),
        "",
        "Resident MiB of one search of ours: "
        + ", ".join(f"{m:.0f} after {n} trials" for n, m in zip(marks, memory, strict=True))
        + ".",
        "",
        "Made with: `OMP_NUM_THREADS=1 python benchmarks/proposals.py`",
    ]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
