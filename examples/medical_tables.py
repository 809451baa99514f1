"""Medical tables with few labels: does a search that has seen other tables diagnose better? It is no medical device.

Of each table a hundred patients, drawn with the shares of both classes, are all that is learned from; the others are the
test. Ours and a cold search (Optuna's TPE) try as many configurations of the same families, logistic
regression stands beside them. Meta-learners are those that never saw the table. Finished parts are kept; start it
again to go on:

    AUTOML_META_DATA=DATA python examples/medical_tables.py --output reports/medical_tables
"""

import argparse
import json
import logging
import shlex
import shutil
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from automl_meta.api import fit
from automl_meta.exceptions import AutomlMetaError
from automl_meta.statistics import bootstrap_interval, incumbent
from automl_meta.statistics.diagnosis import FIGURES, Diagnosis, diagnosis
from automl_meta.tasks.suites import load_suite, load_suite_task
from automl_meta.tasks.task import Split, Task

#: Table to the class that means illness, or its bad end.
ILL = {
    "breast-cancer": "recurrence-events",
    "breast-w": "malignant",
    "wdbc": "2",
    "diabetes": "tested_positive",
    "haberman": "2",
    "heart-statlog": "present",
    "hepatitis": "1",
    "sick": "sick",
    "hypothyroid": "0",
}
TITLES = {
    "meta": "automl-meta",
    "cold": "cold search (TPE)",
    "logistic": "logistic regression",
}
WARNING = "**This is a comparison of search methods on public tables. It is no medical device and no medical advice.**"


def main() -> None:
    """Run what is missing, then write the report."""
    options = _options()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    names = options.tables.split(",")
    if unknown := [name for name in names if name not in ILL]:
        sys.exit(f"No such table: {', '.join(unknown)}. Choose among {', '.join(ILL)}.")
    try:
        for name in names:
            task = load_suite_task({e.title: e for e in load_suite("meta").tasks}[name])
            for seed in range(options.seeds):
                for method in TITLES:
                    rows.append(kept(task, name, method, seed, options))
                    print(name, method, seed, rows[-1]["auc"], flush=True)
    except AutomlMetaError as error:
        sys.exit(str(error))
    write_report(pd.DataFrame(rows), options)


def kept(
    task: Task, name: str, method: str, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Return the figures of one model, from its file where it is there."""
    path = options.runs / f"{name}-{method}-{seed}-{options.labels}-{options.trials}.json"
    if not path.exists():
        scarce = with_labels(task, options.labels, seed)
        told, course = trained(scarce, method, seed, options)
        found = judged(scarce, name, told)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"table": name, "method": method, "seed": seed, "course": course}
        path.write_text(json.dumps(record | asdict(found)))
    record = json.loads(path.read_text())
    assert isinstance(record, dict)
    return record


def with_labels(task: Task, n: int, seed: int) -> Task:
    """Return the task with n patients to learn from and all others as the test."""
    rows = np.arange(len(task.target))
    train, test = train_test_split(rows, train_size=n, stratify=task.target, random_state=seed)
    source = f"{n} labels, seed {seed}"
    return replace(task, split=Split(np.sort(train), np.sort(test), source))


def trained(
    task: Task, method: str, seed: int, options: argparse.Namespace
) -> tuple[np.ndarray, list[float]]:
    """Train a model.

    Returns:
        Its probabilities for the test, shape [n_test, 2], in the order of the classes, and the best cross-validated area
        under the curve up to each trial of its search; none for a model without one.
    """
    test = task.features.iloc[task.split.test]
    if method == "logistic":
        model = logistic()
        train = task.split.train
        model.fit(task.features.iloc[train], task.target[train])
        return np.asarray(model.predict_proba(test)), []
    folder = options.runs / "fit"
    shutil.rmtree(folder, ignore_errors=True)
    result = fit(
        task,
        trials=options.trials,
        folds=3,
        seed=seed,
        output=folder,
        offline=True,
        prior="default" if method == "meta" else "none",
    )
    scores = [np.nan if t["score"] is None else t["score"] for t in result.document["trials"]]
    told = np.asarray(result.predict(test, proba=True)[list(task.classes)])
    return told, np.nan_to_num(incumbent(scores), nan=0.5).tolist()


def logistic() -> Any:
    """Return logistic regression on imputed, scaled and one-hot encoded columns."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (words, make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=5000))


def judged(task: Task, name: str, told: np.ndarray) -> Diagnosis:
    """Return the figures of the test."""
    place = task.classes.index(ILL[name])
    ill = (task.target[task.split.test] == place).astype(np.int64)
    return diagnosis(ill, np.clip(told[:, place], 0.0, 1.0))


def write_report(rows: pd.DataFrame, options: argparse.Namespace) -> None:
    """Write the tables: means over tables, then each table's area under the curve."""
    rng = np.random.default_rng(0)
    means = rows.groupby(["table", "method"])[list(FIGURES)].mean()
    lines = ["# Medical tables with few labels", "", WARNING, ""]
    about = " ".join((__doc__ or "").split("\n\n")[1].split()).partition(" Finished parts")[0]
    lines += [about, ""]
    tables = list(dict.fromkeys(rows["table"]))
    lines += [f"## Means over {len(tables)} tables", ""]
    lines += [f"| method | {' | '.join(FIGURES.values())} |", "|---|" + "---:|" * len(FIGURES)]
    for method, title in TITLES.items():
        own = means.xs(method, level="method")
        lines.append(f"| {title} | {' | '.join(f'{own[f].mean():.3f}' for f in FIGURES)} |")
    lines += ["", *gains(means, rng), "", *courses(rows)]
    lines += ["## Area under the curve, by table", ""]
    lines += [f"| table | {' | '.join(TITLES.values())} |", "|---|" + "---:|" * len(TITLES)]
    for table in tables:
        cells = [f"{means.loc[(table, method), 'auc']:.3f}" for method in TITLES]
        lines.append(f"| {table} | {' | '.join(cells)} |")
    notes = (
        f"{options.labels} labels, {options.trials} trials of each search, 3 folds, {options.seeds} draws of the "
        "labels. Called ill from a probability of one half on. Calibration error: ten bins of equal size; smaller is "
        "better, as for the Brier score."
    )
    command = f"Made with: `AUTOML_META_DATA=DATA python {shlex.join(sys.argv)}`"
    lines += ["", notes, "", command]
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def courses(rows: pd.DataFrame) -> list[str]:
    """Show what the searches had found after their first trials: what a warm start is for."""
    searches = rows[rows["course"].map(len) > 0]
    last = int(searches["course"].map(len).max())
    marks = sorted({mark for mark in (1, 2, 3, 5, 10) if mark < last} | {last})
    lines = ["## The first trials: best cross-validated area under the curve so far", ""]
    lines += [f"| method | {' | '.join(f'after {mark}' for mark in marks)} |"]
    lines += ["|---|" + "---:|" * len(marks)]
    for method in ("meta", "cold"):
        own = searches[searches["method"] == method]["course"]
        best = [np.mean([course[min(mark, len(course)) - 1] for course in own]) for mark in marks]
        lines.append(f"| {TITLES[method]} | {' | '.join(f'{value:.3f}' for value in best)} |")
    return [*lines, ""]


def gains(means: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Say how far ours is ahead, with an interval over the tables."""
    said = []
    ours = means.xs("meta", level="method")
    for method in ("cold", "logistic"):
        other = means.xs(method, level="method").loc[ours.index]
        gap = bootstrap_interval(ours["auc"].to_numpy(), other["auc"].to_numpy(), rng)
        said.append(
            f"- Area under the curve, automl-meta minus {TITLES[method]}: {gap.mean:+.3f} "
            f"[{gap.low:+.3f}, {gap.high:+.3f}], 95 % bootstrap over tables."
        )
    return said


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=Path("medical-tables"))
    parser.add_argument("--runs", type=Path, default=Path("runs/medical-tables"))
    parser.add_argument("--tables", default=",".join(ILL))
    parser.add_argument("--labels", type=int, default=100, help="patients to learn from")
    parser.add_argument("--trials", type=int, default=10, help="of each search")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the labels")
    return parser.parse_args()


if __name__ == "__main__":
    main()
