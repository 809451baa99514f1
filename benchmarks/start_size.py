"""The number of starting points chosen from data, beside the shipped one: from the lines that ``ablation.py`` keeps.

On each judged inner fold the number is the one of least mean regret on the others. Lines that are missing are searched:

    AUTOML_META_DATA=DATA python benchmarks/start_size.py --runs runs/ablation
"""

import argparse
from pathlib import Path

import ablation
import numpy as np
from variations import variations

#: Number of starting points to the line of the ablation; the shipped number first.
ON_TABLES = {
    5: "as shipped",
    1: "1 starting point",
    3: "3 starting points",
    8: "8 starting points",
}
IN_SPACES = {
    1: "as shipped",
    3: "3 starting points",
    5: "5 starting points",
    8: "8 starting points",
}


def main() -> None:
    """Print, for each problem, what is chosen by the regret after 5 or 10 trials, and what that leaves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    options = parser.parse_args()
    for problem, every in ablation.PROBLEMS.items():
        lines = IN_SPACES if problem == "lcbench" else ON_TABLES
        known = {v.name: v for v in variations(problem)}
        found = {
            n: ablation.measured(problem, known[line], options.runs) for n, line in lines.items()
        }
        _, folds = ablation.inner_problem(problem)
        kept = [np.flatnonzero(folds == f)[::every] for f in ablation.INNER_FOLDS[problem]]
        fold_of = np.repeat(np.arange(len(kept)), [len(tasks) for tasks in kept])
        print(problem, "shipped", next(iter(found.values())).mean(axis=0).round(4))
        for column, mark in enumerate(ablation.MARKS[:2]):
            chosen, left = [], []
            for fold in range(len(kept)):
                means = {n: r[fold_of != fold, column].mean() for n, r in found.items()}
                chosen.append(min(means, key=lambda n: float(means[n])))
                left.append(found[chosen[-1]][fold_of == fold])
            print(problem, f"by regret after {mark}", chosen, np.concatenate(left).mean(0).round(4))


if __name__ == "__main__":
    main()
