"""AutoML with a past: the next study of a team starts from the studies that it has.

A support vector machine is tuned on small tables. For each table the studies of all the others, random trials, are the
past: ``MetaLearner.from_storage`` learns from them and proposes on the one left out; Optuna's TPE searches it cold. Everything is
trained for real. Finished searches are kept; start it again to go on:

    AUTOML_META_DATA=DATA python examples/automl.py --output reports/automl
"""

import argparse
import hashlib
import json
import shlex
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from automl_meta import MetaLearner
from automl_meta.exceptions import AutomlMetaError
from automl_meta.statistics import bootstrap_interval
from automl_meta.tasks.suites import load_suite, load_suite_task
from automl_meta.tasks.task import Task

#: Tables of numbers without gaps, 200 to 800 rows.
TABLES = (
    "balance_scale",
    "blood-transfusion-service-center",
    "climate-model-simulation-crashes",
    "diabetes",
    "glass",
    "heart-statlog",
    "ionosphere",
    "new_thyroid",
    "profb",
    "prnn_synth",
    "sonar",
    "wdbc",
)
METHODS = {"meta": "learned from the past studies", "cold": "cold search (TPE)"}
MARKS = (1, 3, 5, 10, 20)


def main() -> None:
    """Run what is missing, then write the report."""
    options = _options()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = options.tables.split(",")
    if unknown := [name for name in names if name not in TABLES]:
        sys.exit(f"No such table: {', '.join(unknown)}. Choose among {', '.join(TABLES)}.")
    if len(names) < 3:
        sys.exit("Give three tables or more: all but one are the past.")
    try:
        entries = {entry.title: entry for entry in load_suite("meta").tasks}
        tasks = {name: load_suite_task(entries[name]) for name in names}
        storage = past_studies(tasks, options)
        errors = {
            (name, method): searches(tasks, name, method, storage, options)
            for name in names
            for method in METHODS
        }
    except AutomlMetaError as error:
        sys.exit(str(error))
    write_report(errors, options)


def objective(trial: optuna.Trial, task: Task) -> float:
    """Return the error of a support vector machine over three folds."""
    kernel = trial.suggest_categorical("kernel", ["linear", "rbf"])
    cost = trial.suggest_float("C", 1e-3, 1e3, log=True)
    gamma = trial.suggest_float("gamma", 1e-5, 1e1, log=True) if kernel == "rbf" else "scale"
    # A bound on the iterations, for settings that would not end.
    machine = SVC(kernel=kernel, C=cost, gamma=gamma, max_iter=20_000)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), machine)
    return float(1 - cross_val_score(model, task.features, task.target, cv=folds).mean())


def past_studies(tasks: dict[str, Task], options: argparse.Namespace) -> JournalStorage:
    """Return a study of each table, with the trials made that were missing."""
    options.runs.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(options.runs / f"past-{options.past}.log")))
    there = optuna.get_all_study_names(storage)
    for name, task in tasks.items():
        make = optuna.load_study if name in there else optuna.create_study
        study = make(study_name=name, storage=storage)
        done = len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE]))
        # Another seed after an interruption: the same one would draw the first trials again.
        study.sampler = optuna.samplers.RandomSampler(seed=done)
        study.optimize(partial(objective, task=task), n_trials=max(0, options.past - done))
    return storage


def searches(
    tasks: dict[str, Task],
    name: str,
    method: str,
    storage: JournalStorage,
    options: argparse.Namespace,
) -> np.ndarray:
    """Return the best error after each trial of a table's searches, shape [seeds, trials]."""
    digest = hashlib.sha256(",".join(tasks).encode()).hexdigest()[:8]
    searched = f"{options.past}-{options.trials}-{options.seeds}"
    path = options.runs / f"{digest}-{name}-{method}-{searched}.json"
    if not path.exists():
        others = [each for each in tasks if each != name]
        learner = MetaLearner.from_storage(storage, names=others) if method == "meta" else None
        found = []
        for seed in range(options.seeds):
            sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(seed=seed)
            if learner is not None:
                sampler = learner.sampler(seed=seed)
            study = optuna.create_study(sampler=sampler)
            study.optimize(partial(objective, task=tasks[name]), n_trials=options.trials)
            found.append([trial.value for trial in study.trials])
        path.write_text(json.dumps(found))
    return np.minimum.accumulate(np.array(json.loads(path.read_text())), axis=1)


def write_report(errors: dict[tuple[str, str], np.ndarray], options: argparse.Namespace) -> None:
    """Write the table of mean errors, the gains, and each table's errors."""
    marks = [mark for mark in MARKS if mark <= options.trials]
    means = pd.DataFrame({key: found.mean(0) for key, found in errors.items()}).T
    names = list(dict.fromkeys(name for name, _ in errors))
    lines = ["# AutoML: the next study starts from the past ones", ""]
    about = " ".join((__doc__ or "").split("\n\n")[1].split()).partition(" Finished")[0]
    amount = (
        f"{options.past} trials of each of {len(names) - 1} past studies, {options.seeds} seeds"
    )
    lines += [about, "", f"Mean error in % over {len(names)} tables, {amount}:", ""]
    lines += [f"| | {' | '.join(f'after {m}' for m in marks)} |", "|---|" + "---:|" * len(marks)]
    for method, title in METHODS.items():
        own = 100 * means.xs(method, level=1)
        lines.append(f"| {title} | {' | '.join(f'{own[m - 1].mean():.2f}' for m in marks)} |")
    lines += ["", *gains(means, marks), "", "Each table's error in %:", ""]
    cells = [f"{title}, {mark}" for mark in marks[-2:] for title in METHODS.values()]
    lines += [f"| table | {' | '.join(cells)} |", "|---|" + "---:|" * len(cells)]
    for name in names:
        row = [100 * means.loc[(name, m), mark - 1] for mark in marks[-2:] for m in METHODS]
        lines.append(f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |")
    command = f"Made with: `AUTOML_META_DATA=DATA python {shlex.join(sys.argv)}`"
    lines += ["", command]
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines[4:10]))


def gains(means: pd.DataFrame, marks: list[int]) -> list[str]:
    """Say how far ours is ahead after each number of trials, with an interval over tables."""
    said, rng = [], np.random.default_rng(0)
    ours, cold = means.xs("meta", level=1), means.xs("cold", level=1)
    for mark in marks:
        mine, theirs = (100 * each[mark - 1].to_numpy() for each in (ours, cold))
        gap = bootstrap_interval(theirs, mine, rng)
        said.append(
            f"- After {mark}: cold minus learned {gap.mean:+.2f} points [{gap.low:+.2f}, {gap.high:+.2f}], 95 % "
            f"bootstrap over tables; learned better on {(mine < theirs).sum()}, worse on {(mine > theirs).sum()}."
        )
    return said


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=Path("automl"))
    parser.add_argument("--runs", type=Path, default=Path("runs/automl"))
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--past", type=int, default=30, help="random trials of each past study")
    parser.add_argument("--trials", type=int, default=20, help="of each search")
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
