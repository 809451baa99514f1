"""Does averaging trials help? Single best trial, ensembles and the best default on the held-out rows of other tasks.

Runs ``automl_meta.fit`` on tables that are not among the six of ``held_out.py`` nor near copies of them, with
generated splits, refits every completed trial, and compares ways to make a model of them. Selection sees
out-of-fold predictions only. Finished runs are kept, so an interrupted measurement goes on:

    python benchmarks/ensemble.py --data ../shared/data --runs runs/ensemble
"""

import argparse
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from automl_meta.api import load_task
from automl_meta.evaluation import Evaluator, Folds, Limits, fit_pipeline, greedy_selection
from automl_meta.evaluation.metrics import Predictions
from automl_meta.pipelines import SKLEARN_FAMILIES, Budget, get_family
from automl_meta.runs import FitSettings, RunRequest, run_fit
from automl_meta.runs.predictions import PredictionStore
from automl_meta.tasks import read_table

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1)
TRIALS, FOLDS = 15, 5
#: Table to target, and to the rows drawn from it where it is large.
TABLES: dict[str, tuple[str, int | None]] = {
    "pmlb/vowel": ("target", None),
    "openml/blood-transfusion-service-center": ("Class", None),
    "openml/pc1": ("defects", None),
    "openml/tic-tac-toe": ("Class", None),
    "pmlb/colic": ("target", None),
    "pmlb/wine_quality_red": ("target", None),
    "pmlb/522_pm10": ("target", None),
    "openml/ionosphere": ("class", None),
    "pmlb/1027_ESL": ("target", None),
    "openml/anneal": ("class", None),
    "pmlb/analcatdata_authorship": ("target", None),
    "openml/breast-cancer": ("Class", None),
    "pmlb/profb": ("target", None),
    "openml/climate-model-simulation-crashes": ("Class", None),
    "openml/oil_spill": ("class", None),
    "pmlb/547_no2": ("target", None),
    "openml/mfeat-morphological": ("class", 1000),
    "openml/kc1": ("defects", 1200),
    "pmlb/tokyo1": ("target", None),
    "openml/cardiotocography": ("Class", 1000),
}


def main() -> None:
    """Run what is missing, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with openml/ and pmlb/")
    parser.add_argument("--runs", type=Path, default=Path("runs/ensemble"))
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "ensemble")
    parser.add_argument("--report", action="store_true", help="only report what was run")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        for path in TABLES:
            stem = options.runs / f"{Path(path).name}-{seed}"
            if not options.report and not stem.with_suffix(".npz").exists():
                collect(path, seed, options.data, stem)
                print(stem.name, "done", flush=True)
    write_report(options.runs, options.output)


def as_csv(path: str, data: Path, runs: Path) -> Path:
    """Write a table of the shared data as CSV."""
    table, rows = runs / f"{Path(path).name}.csv", TABLES[path][1]
    if table.exists():
        return table
    if path.startswith("pmlb"):
        frame = pd.read_csv(data / f"{path}.tsv.gz", sep="\t")
    else:
        arff = table.with_suffix(".arff")
        arff.write_bytes(gzip.decompress((data / f"{path}.arff.gz").read_bytes()))
        frame = read_table(arff)
    if rows:
        frame = frame.sample(rows, random_state=0)
    frame.to_csv(table, index=False)
    return table


def collect(path: str, seed: int, data: Path, stem: Path) -> None:
    """Search, then keep the out-of-fold and held-out predictions of every trial and default."""
    target = TABLES[path][0]
    task = load_task(str(as_csv(path, data, stem.parent)), target=target, seed=seed, offline=True)
    folder = stem.with_name(f"run-{stem.name}")
    settings = FitSettings(trials=TRIALS, folds=FOLDS, seed=seed)
    result = run_fit(RunRequest(task, settings, folder, resume=folder.exists()))
    folds, store = (
        Folds.of(task, FOLDS, seed),
        PredictionStore(folder, len(task.classes), len(task.split.train)),
    )
    meta, oof, test = [], [], []

    def keep(kind: str, family: Any, configuration: Any, output: Any) -> None:
        pipeline = fit_pipeline(task, task.split.train, family, configuration, Budget(seed=seed))
        rows = task.split.test
        held = Predictions(pipeline, task.features.iloc[rows], task.target[rows], len(task.classes))
        meta.append({"kind": kind, "family": family.member_name(configuration)})
        oof.append(output)
        test.append(held.output())

    for trial in result["trials"]:
        output = store.load(trial["number"]) if trial["state"] == "complete" else None
        if output is not None:
            keep("trial", get_family("auto"), trial["configuration"], output)
    with Evaluator(task, folds, seed=seed, keep=True, limits=Limits(300, 4096)) as evaluator:
        for family in SKLEARN_FAMILIES:
            default = family.default(task.problem)
            evaluation = evaluator.evaluate(family, default)
            if evaluation.predictions:
                keep("default", family, default, np.concatenate(evaluation.predictions))
    about = {"meta": meta, "metric": task.metric, "seconds": result["seconds"]}
    stem.with_suffix(".json").write_text(json.dumps(about))
    np.savez_compressed(
        stem.with_suffix(".npz"),
        oof=np.array(oof),
        test=np.array(test),
        lengths=[len(rows) for rows in folds.test],
        y=task.target[np.concatenate(folds.test)],
        yt=task.target[task.split.test],
    )


def score(metric: str, target: Any, output: Any) -> float:
    """Return one of the three default metrics, without scikit-learn's checks: it is called often."""
    if metric == "roc_auc":
        ranks, positive = rankdata(output[:, 1]), target == 1
        n = positive.sum()
        return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(target) - n)))
    if metric == "neg_log_loss":
        chosen = output[np.arange(len(target)), target.astype(int)]
        return float(np.log(np.clip(chosen, np.finfo(float).eps, 1)).mean())
    return -float(np.sqrt(np.mean((output[:, 0] - target) ** 2)))


def held_out_scores(stem: Path) -> dict[str, float]:
    """Return the held-out score of every way to make a model of one run's trials."""
    kept, about = (
        np.load(stem.with_suffix(".npz")),
        json.loads(stem.with_suffix(".json").read_text()),
    )
    oof, test, cuts = kept["oof"], kept["test"], np.cumsum(kept["lengths"])[:-1]
    metric, targets = about["metric"], np.split(kept["y"], np.cumsum(kept["lengths"])[:-1])

    def folds_of(output: Any) -> list[float]:
        parts = zip(targets, np.split(output, cuts), strict=True)
        return [score(metric, target, part) for target, part in parts]

    def mean_but(left_out: int | None) -> Callable[[Any], float]:
        return lambda output: float(
            np.mean([s for k, s in enumerate(folds_of(output)) if k != left_out])
        )

    def held(weights: Any, rows: Any) -> float:
        return score(metric, kept["yt"], np.tensordot(np.asarray(weights), test[rows], 1))

    def greedy(
        rows: Any, rounds: int, members: int, left_out: int | None = None
    ) -> tuple[Any, int]:
        chosen = greedy_selection(
            [oof[i] for i in rows], mean_but(left_out), rounds=rounds, members=members
        )
        return np.array(chosen.counts) / sum(chosen.counts), chosen.single

    trial = np.array([entry["kind"] == "trial" for entry in about["meta"]])
    trials, defaults = np.flatnonzero(trial), np.flatnonzero(~trial)
    cv = np.array([mean_but(None)(output) for output in oof])
    ranked = trials[np.argsort(-cv[trials], kind="stable")]
    found = {
        "best default": held([1.0], defaults[[np.argmax(cv[defaults])]]),
        "best trial alone": held([1.0], ranked[:1]),
    }
    for rounds, members in ((5, 5), (10, 10), (25, 3), (25, 5), (25, 10), (50, 10), (50, 15)):
        found[f"{rounds} rounds, {members} members"] = held(
            greedy(trials, rounds, members)[0], trials
        )
    for n in (3, 5, 8):
        found[f"plain mean of the best {n}"] = held(
            np.ones(len(ranked[:n])) / len(ranked[:n]), ranked[:n]
        )
    shares, inner, inner_single = [], [], []
    for k in range(len(targets)):
        weights, single = greedy(trials, 25, 10, k)
        shares.append(weights)
        inner.append(folds_of(np.tensordot(weights, oof[trials], 1))[k])
        inner_single.append(folds_of(oof[trials[single]])[k])
    found["25, 10; weights averaged over selections without one fold each"] = held(
        np.mean(shares, axis=0), trials
    )
    better = np.mean(inner) > np.mean(inner_single)
    found["25, 10; only where better on folds left out, else the best trial"] = found[
        "25 rounds, 10 members" if better else "best trial alone"
    ]
    everything = np.arange(len(oof))
    found["25, 10; the defaults as candidates too"] = held(
        greedy(everything, 25, 10)[0], everything
    )
    return found


def write_report(runs: Path, output: Path) -> None:
    """Write the table over all finished runs."""
    stems = sorted(path.with_suffix("") for path in runs.glob("*-?.npz"))
    table = pd.DataFrame([held_out_scores(stem) for stem in stems])
    tasks = table.groupby([stem.name[:-2] for stem in stems]).mean()
    spread = table.std(axis=1).clip(lower=1e-6)
    single = table["best trial alone"]
    rows = [
        f"| {name} | {wins(table[name], table['best default']):g} | {wins(tasks[name], tasks['best default']):g} | "
        f"{wins(table[name], single):g} | {wins(tasks[name], tasks['best trial alone']):g} | "
        f"{((table[name] - single) / spread).mean():+.2f} |"
        for name in table
    ]
    about = (
        f"{len(tasks)} tables that are neither among the six of `held_out/` nor near copies of them, {len(stems)} runs "
        f"(seeds {', '.join(map(str, SEEDS))}; the seed also draws the held-out quarter), {TRIALS} trials, {FOLDS} folds, "
        "family `auto`, each judged by a meta-learner that never saw it. A tie counts half. *Gain*: mean difference to "
        "the best trial alone, in standard deviations of the run's rows. Made by "
        "`python benchmarks/ensemble.py --data DATA`."
    )
    head = f"beats the best default, of {len(stems)} runs | of {len(tasks)} tasks | beats the best trial, runs | tasks"
    text = [
        "# Averaging trials: other tasks",
        "",
        about,
        "",
        f"| model | {head} | gain |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "The default of `fit` is 25 rounds, 10 members.",
        "",
        "| run | " + " | ".join(SHOWN) + " |",
        "|---" * (len(SHOWN) + 1) + "|",
        *(
            f"| {stem.name} | " + " | ".join(f"{row[name]:.5f}" for name in SHOWN) + " |"
            for stem, (_, row) in zip(stems, table.iterrows(), strict=True)
        ),
    ]
    output.mkdir(parents=True, exist_ok=True)
    (output / "report.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


SHOWN = ("best default", "best trial alone", "25 rounds, 10 members")


def wins(ours: Any, other: Any) -> float:
    """Count wins, ties as one half."""
    tied = np.isclose(ours, other, rtol=0, atol=1e-9)
    return float(np.where(tied, 0.5, ours > other).sum())


if __name__ == "__main__":
    main()
