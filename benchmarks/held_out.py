"""Held-out scores of `automl-meta fit` beside the family defaults, through the real OpenML client.

Starts the tests' OpenML server on this machine, runs the command for six tasks and three seeds, and writes
``reports/held_out/report.md``. Finished runs are kept, so an interrupted measurement goes on:

    python benchmarks/held_out.py --data ../shared/data/openml --runs runs/held_out --jobs 2
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
TASKS = {31: "credit-g", 3: "kr-vs-kp", 37: "diabetes", 36: "segment", 3021: "sick", 41: "soybean"}
SEEDS = (0, 1, 2)


def main() -> None:
    """Run what is missing, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of OpenML ARFF files")
    parser.add_argument("--runs", type=Path, default=Path("runs/held_out"))
    parser.add_argument("--trials", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "held_out")
    options = parser.parse_args()
    server, url = start_server(options.data)
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            pairs = [(task, seed) for seed in SEEDS for task in TASKS]
            list(pool.map(lambda pair: fit(*pair, options.runs, options.trials, url), pairs))
    finally:
        server.terminate()
    write_report(options.runs, options.trials, options.output)


def start_server(data: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the loopback server and return it with its URL."""
    script = ROOT / "tests" / "support" / "openml_server.py"
    command = [sys.executable, str(script), "--data", str(data), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, server.stdout.readline().split()[-1]


def fit(task: int, seed: int, runs: Path, trials: int, url: str) -> None:
    """Run the command once, unless it was run before."""
    folder = runs / f"{TASKS[task]}-{seed}"
    if (folder / "result.json").exists():
        return
    words = ["--task", f"openml:{task}", "--openml-server", url, "--trials", str(trials)]
    words += ["--seed", str(seed), "--output", str(folder)]
    if folder.exists():
        words.append("--resume")
    command = [str(Path(sys.executable).with_name("automl-meta")), "fit", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(folder.name, "done" if done.returncode == 0 else done.stderr, flush=True)


def write_report(runs: Path, trials: int, output: Path) -> None:
    """Write the table of all finished runs."""
    rows = []
    for name in TASKS.values():
        for seed in SEEDS:
            result = json.loads((runs / f"{name}-{seed}" / "result.json").read_text())
            rows.append({"task": name, "seed": seed, **facts(result)})
    table = pd.DataFrame(rows)
    means = table.groupby("task", sort=False)[["ours", "alone", "default"]].mean()
    per_task = sum(points(row.ours, row.default) for row in means.itertuples())
    per_run = sum(points(row.ours, row.default) for row in table.itertuples())
    alone_task = sum(points(row.alone, row.default) for row in means.itertuples())
    alone_run = sum(points(row.alone, row.default) for row in table.itertuples())
    above = sum(points(row.ours, row.alone) for row in table.itertuples())
    output.mkdir(parents=True, exist_ok=True)
    command = f"python benchmarks/held_out.py --data DATA --trials {trials}"
    explanation = (
        f"`automl-meta fit --task openml:ID --trials {trials}`, fold 0 held out, 5 folds inside the rest, three seeds, "
        "family `auto`. *Ours* averages up to ten trials, *its best trial* is the best one of the same search alone. "
        "*Default* is the family default that is best by the same cross-validation. Every prior is "
        "a fold model that never saw the task or a near copy of it. Scores under the task's metric, greater is "
        "better; a tie counts half."
    )
    verdict = (
        f"**Better than the best default on {per_task:g} of {len(means)} tasks (mean over seeds), in {per_run:g} of "
        f"{len(table)} runs.** The best trial alone: {alone_task:g} tasks, {alone_run:g} runs; ours is better than it in "
        f"{above:g} runs. Made by `{command}`."
    )
    columns = "task metric held-out_rows seed ours members its_best_trial best_default its_family ours_better model"
    names = [name.replace("_", " ") for name in columns.split()]
    text = [
        "# Held-out score against the best family default",
        "",
        explanation,
        "",
        verdict,
        "",
        f"| {' | '.join(names)} |",
        "|---" * len(names) + "|",
    ]
    text += [
        f"| {r.task} | {r.metric} | {r.rows} | {r.seed} | {r.ours:.5f} | {r.members} | {r.alone:.5f} | {r.default:.5f} | "
        f"{r.family} | {points(r.ours, r.default):g} | {r.model} |"
        for r in table.itertuples()
    ]
    text += [
        "",
        "| task | ours, mean | its best trial, mean | best default, mean | ours better |",
        "|---|---|---|---|---|",
    ]
    text += [
        f"| {row.Index} | {row.ours:.5f} | {row.alone:.5f} | {row.default:.5f} | {points(row.ours, row.default):g} |"
        for row in means.itertuples()
    ]
    (output / "report.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))


def facts(result: dict) -> dict:
    """Return what the report needs of one ``result.json``."""
    test = result["test"]
    return {
        "metric": test["metric"],
        "rows": test["n_rows"],
        "ours": test["score"],
        "default": test["best_default"]["test_score"],
        "alone": test["single_best"]["score"],
        "members": len(result["ensemble"]["members"]),
        "family": test["best_default"]["family"],
        "model": result["prior"]["model"],
    }


def points(ours: float, default: float) -> float:
    """Return 1 for a win, one half for a tie, 0 for a loss."""
    return 0.5 if np.isclose(ours, default, rtol=0, atol=1e-9) else float(ours > default)


if __name__ == "__main__":
    main()
