"""An acquisition trained end to end: are there weights that search better than expected improvement as it is?

On a table a proposal is the row of greatest

    log E[max(f - best - shift s, 0)], with s = spread times the posterior's deviation, + cover exp(-trial / lasting) log(coverage),

where the deep kernel has a share of the first term. The five numbers are chosen so that whole searches end well: mean
regret after 5 to 25 trials on the tasks of one inner fold, by a learner of two others. Judged they are on a fold that
neither learner nor weights have seen, beside the shipped ones (0, 1, 0, -, .25, and every seventh proposal by coverage
alone). The folds are those of ``ablation.py``. Finished searches are kept; start it again to go on:

    AUTOML_META_DATA=DATA python benchmarks/acquisition.py --runs runs/acquisition
"""

import argparse
import dataclasses
import json
import logging
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import optuna
import torch
from ablation import MARKS, N_INNER, ROOT, TRIALS, learned, others, searched

from automl_meta._typing import Configuration, FloatArray
from automl_meta.benchmark.hpo.methods import START_ON_TABLE
from automl_meta.prior import Observation, acquisition, mixture
from automl_meta.prior import prior as proposals
from automl_meta.prior.observations import support_of
from automl_meta.prior.past_portfolio import coverage
from automl_meta.prior.prior import Prior
from automl_meta.search import MetaLearner
from automl_meta.spaces import Region
from automl_meta.statistics import bootstrap_interval

TABLES = ("rbv2_xgboost-pool", "oboe")
LEARNED_ON = 25
#: Judged fold to the one that the weights are chosen on; learners for choosing know the other two alone.
CHOSEN_ON = {0: 1, 1: 0}
SHIPPED = {"shift": 0.0, "spread": 1.0, "cover": 0.0, "lasting": 10.0, "deep": 0.25}
RANGES = {
    "shift": (-0.5, 0.5),
    "spread": (0.4, 2.5),
    "cover": (0.0, 3.0),
    "lasting": (2.0, 50.0),
    "deep": (0.0, 0.8),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Weighed(Prior):
    """A prior of a closed space whose proposals follow learned weights.

    Attributes:
        cover: Weight of the logarithm of coverage, at the first trial.
        lasting: Trials after which that weight has fallen to a third.
    """

    cover: float = 0.0
    lasting: float = 10.0

    def _propose(
        self,
        observed: Sequence[Observation],
        pending: Sequence[Configuration],
        rng: np.random.Generator,
        region: Region | None,
    ) -> Configuration:
        if not self.cover:
            return super()._propose(observed, pending, rng, region)
        encoder, n = self._encoder, len(observed)
        seen = self._reading("proposal", support_of(observed, rng))
        rows = acquisition.fresh(self._proven, seen.units)
        gain = self._gain(seen, encoder.expand(encoder.to_units([])), n)(encoder.expand(rows))
        covered = coverage(self.portfolio.regrets, self._proven, seen.units, seen.raw, rows)
        share = covered / max(float(covered.max()), 1e-12)
        gain = gain + self.cover * np.exp(-n / self.lasting) * np.log(share + 1e-3)
        return encoder.from_units(rows[int(np.argmax(gain))])


def main() -> None:
    """Choose what is missing, judge it, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/acquisition"))
    parser.add_argument("--choices", type=int, default=40, help="weights that are tried")
    parser.add_argument("--problems", default=",".join(TABLES))
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "hpo" / "acquisition.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    lines = []
    for problem in options.problems.split(","):
        lines += section(problem, options.choices, options.runs)
        print("\n".join(lines), flush=True)
    write_report(lines, options.choices, options.problems, options.output)


def section(problem: str, n_choices: int, runs: Path) -> list[str]:
    """Return the lines of one problem."""
    chosen = {fold: weights_for(problem, fold, n_choices, runs) for fold in CHOSEN_ON}
    found = {
        "as shipped": judged(problem, "shipped", dict.fromkeys(CHOSEN_ON, SHIPPED), runs),
        "trained weights": judged(problem, "trained", {f: w for f, (w, _) in chosen.items()}, runs),
    }
    shipped, trained = found.values()
    rng = np.random.default_rng(0)
    lines = [f"## {problem}: {len(shipped)} tasks", ""]
    for weights, gained in chosen.values():
        told = ", ".join(f"{name} {value:.2f}" for name, value in weights.items())
        lines.append(f"- {told}: {gained}")
    lines += [
        "",
        f"| | {' | '.join(f'after {n}' for n in MARKS)} |",
        "|---|" + "---:|" * len(MARKS),
    ]
    for name, regrets in found.items():
        cells = [f"{value:.4f}" for value in regrets.mean(axis=0)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    gaps = [bootstrap_interval(trained[:, i], shipped[:, i], rng) for i in range(len(MARKS))]
    cells = [f"{g.mean:+.4f} [{g.low:+.4f}, {g.high:+.4f}]" for g in gaps]
    return [*lines, f"| difference [95 %] | {' | '.join(cells)} |", ""]


def weights_for(
    problem: str, fold: int, n_choices: int, runs: Path
) -> tuple[dict[str, float], str]:
    """Return the weights for a judged fold, and how much better they were where they were chosen."""
    storage = f"sqlite:///{runs / f'{problem}-{fold}.db'}"
    study = optuna.create_study(
        storage=storage,
        study_name="weights",
        sampler=optuna.samplers.GPSampler(seed=fold, deterministic_objective=True),
        load_if_exists=True,
    )
    if not study.trials:
        study.enqueue_trial(SHIPPED)
    seen = tuple(f for f in range(N_INNER) if f not in {fold, CHOSEN_ON[fold]})

    def objective(trial: optuna.Trial) -> float:
        weights = {name: trial.suggest_float(name, *ends) for name, ends in RANGES.items()}
        regrets = regrets_with(problem, seen, CHOSEN_ON[fold], weights, LEARNED_ON)
        return float(regrets[:, START_ON_TABLE - 1 :].mean())

    done = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    study.optimize(objective, n_trials=max(n_choices - len(done), 0))
    # The first finished trial has the shipped weights.
    first = next(t.value for t in study.trials if t.value is not None)
    return (
        study.best_params,
        f"{study.best_value:.4f} instead of {first:.4f} where they were chosen",
    )


def judged(problem: str, name: str, weights: dict[int, dict[str, float]], runs: Path) -> FloatArray:
    """Return regrets at the marks on the judged folds, one row a task, from the kept file where it is there."""
    path = runs / f"{problem}-{name}.json"
    if not path.exists():
        rows = []
        for fold, of_fold in weights.items():
            regrets = regrets_with(problem, others(fold), fold, of_fold, TRIALS)
            rows += regrets[:, np.array(MARKS) - 1].tolist()
        path.write_text(json.dumps(rows))
    return np.array(json.loads(path.read_text()))


def regrets_with(
    name: str, seen: tuple[int, ...], fold: int, weights: dict[str, float], trials: int
) -> FloatArray:
    """Return the regret after each trial on the tasks of a fold, [tasks, trials], by a learner of other folds."""
    prior = learned(name, seen).prior
    own = {f.name: getattr(prior, f.name) for f in dataclasses.fields(prior)}
    learner = MetaLearner(Weighed(**own, cover=weights["cover"], lasting=weights["lasting"]))
    plain = acquisition.log_expected_improvement

    def improvement(mean: FloatArray, variance: FloatArray, best: float) -> FloatArray:
        deviation = weights["spread"] * np.sqrt(variance)
        return plain(mean - weights["shift"] * deviation, deviation**2, best)

    with ExitStack() as stack:
        for module in (acquisition, mixture):
            stack.enter_context(patch.object(module, "log_expected_improvement", improvement))
        stack.enter_context(patch.object(proposals, "TRANSFER_WEIGHT", weights["deep"]))
        start = learner.prior.warm_start(START_ON_TABLE)
        return searched(name, fold, lambda: learner.sampler(seed=0), start, trials)


def write_report(lines: Sequence[str], n_choices: int, problems: str, path: Path) -> None:
    """Write what was measured."""
    how = " ".join((__doc__ or "").split("Finished searches")[0].replace("``", "`").split())
    text = ["# An acquisition trained end to end", "", how, "", *lines]
    text += [
        f"Mean normalised regret, one seed; {n_choices} sets of weights tried a fold by Optuna's GPSampler.",
        "",
        f"Made with: `AUTOML_META_DATA=DATA python benchmarks/acquisition.py --choices {n_choices} --problems {problems}`",
    ]
    path.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
