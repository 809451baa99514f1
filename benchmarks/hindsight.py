"""What a fixed order of settings can reach at best: chosen in hindsight, on the very tasks that it is judged on.

No search knows its test tasks' scores, so this is no method: it tells how much of the regret after a few trials a set of
settings leaves that does not look at the new task's own trials. Problems whose tasks share their settings:

    AUTOML_META_DATA=DATA python benchmarks/hindsight.py
"""

import argparse
from pathlib import Path

import numpy as np

from automl_meta._typing import FloatArray
from automl_meta.benchmark.hpo.groups import folds_of_groups
from automl_meta.benchmark.hpo.sources import load_problem
from automl_meta.prior.warm_start import greedy_set
from automl_meta.statistics import normalised_regret

ROOT = Path(__file__).resolve().parents[1]
PROBLEMS = ("rbv2_xgboost-pool", "oboe")
MARKS = (1, 3, 5, 10, 25, 50)


def main() -> None:
    """Compute and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    output = ROOT / "reports" / "hpo" / "hindsight.md"
    parser.add_argument("--output", type=Path, default=output)
    options = parser.parse_args()
    what = (__doc__ or "").split("\n\n")[1]
    lines = ["# What a fixed order of settings can reach", "", what, ""]
    lines += [
        "| problem | greedy set, chosen on | " + " | ".join(f"after {n}" for n in MARKS) + " |",
        "|---|---|" + "---:|" * len(MARKS),
    ]
    for name in PROBLEMS:
        for label, regrets in curves(name).items():
            cells = " | ".join(f"{r:.4f}" for r in regrets)
            lines.append(f"| {name} | {label} | {cells} |")
    lines += ["", "Mean normalised regret; every task is a test task once."]
    lines += ["", "Made with: `AUTOML_META_DATA=DATA python benchmarks/hindsight.py`"]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def curves(name: str) -> dict[str, FloatArray]:
    """Return mean regrets at the marks by what the set was chosen on.

    Args:
        name: A problem whose tasks all have the same settings.
    """
    problem = load_problem(name)
    scores = np.stack(problem.scores)
    worst, best = np.array([problem.scale(t) for t in range(len(scores))]).T
    regrets = normalised_regret(scores, best[:, None], worst[:, None])
    folds = folds_of_groups(problem.groups, problem.definition.folds)
    found: dict[str, list[FloatArray]] = {"the other folds": [], "the test fold itself": []}
    for fold in range(problem.definition.folds):
        test = folds == fold
        for label, seen in zip(found, (~test, test), strict=True):
            order = greedy_set(regrets[seen], max(MARKS))
            found[label].append(np.minimum.accumulate(regrets[test][:, order], axis=1))
    columns = np.array(MARKS) - 1
    return {k: np.concatenate(parts).mean(axis=0)[columns] for k, parts in found.items()}


if __name__ == "__main__":
    main()
