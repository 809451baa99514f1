"""The README's first picture: searches on recorded evaluations and live ones, from the published results.

AUTOML_META_DATA=DATA python benchmarks/picture.py
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, StrMethodFormatter

from automl_meta.benchmark.hpo.publish import scales_of
from automl_meta.benchmark.hpo.sources import load_problem
from automl_meta.report.benchmark_numbers import problem_numbers
from automl_meta.report.comparison_tables import Curve, compare_methods
from automl_meta.report.svg import SERIES, Size, marker, new_figure, style_axes, svg_text

ROOT = Path(__file__).resolve().parents[1]
PROBLEM = "rbv2_xgboost-pool"
#: In both panels one colour a method.
METHODS = ("automl-meta", "TPE", "portfolio + GPSampler", "portfolio + TPE", "RGPE")
_FLOOR = 1e-3


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=Path, default=ROOT / "reports")
    options = parser.parse_args()
    live, n_live = live_lines(options.reports / "live" / "results.parquet")
    pool, n_pool = pool_lines(options.reports / "hpo" / f"{PROBLEM}-gp" / "results.parquet")
    figure, left = new_figure(Size(9.6, 3.8))
    left.set_subplotspec(figure.add_gridspec(1, 2)[0])
    right = figure.add_subplot(1, 2, 2)
    style_axes(right)
    drawn = [
        (left, live, f"live: {n_live} tasks, models trained for real"),
        (right, pool, f"rbv2_xgboost, 2,000 settings: {n_pool} tasks"),
    ]
    for axes, lines, title in drawn:
        draw(axes, lines)
        axes.set_title(title, loc="left", fontsize=9.5, color=marker("ink"))
    left.set_ylabel("mean normalised regret", color=marker("muted"), fontsize=9)
    named = {h.get_label(): h for axes in (left, right) for h in axes.get_lines()}
    shown = [m for m in METHODS if m in named]
    figure.legend(
        [named[m] for m in shown],
        shown,
        loc="outside upper left",
        ncols=len(shown),
        frameon=False,
        fontsize=9,
        labelcolor=marker("ink"),
    )
    (options.reports / "searches.svg").write_text(svg_text(figure, name="searches", page=False))


def live_lines(path: Path) -> tuple[list[Curve], int]:
    """Return the methods of the live comparison and the number of its tasks."""
    found = compare_methods(pd.read_parquet(path), baseline="TPE", checkpoints=[10])
    return list(found.curves), found.n_tasks


def pool_lines(path: Path) -> tuple[list[Curve], int]:
    """Return the methods on the pool and the number of its tasks."""
    scales: Mapping[str, tuple[float, float]] = scales_of(load_problem(PROBLEM))
    table = pd.read_parquet(path)
    numbers = problem_numbers(table, scales, name=PROBLEM, title=PROBLEM, ours="automl-meta")
    courses = [c for c in numbers.courses if c.method in METHODS]
    return [Curve(c.method, c.mean, c.low, c.high) for c in courses], table["task"].nunique()


def draw(axes: Any, lines: Sequence[Curve]) -> None:
    """Draw lines with bands on logarithmic axes; what is below a thousandth lies on the edge."""
    for line in lines:
        trials = np.arange(1, len(line.mean) + 1)
        colour = marker(SERIES[METHODS.index(line.method)])
        low, high, mean = (np.maximum(v, _FLOOR) for v in (line.low, line.high, line.mean))
        axes.fill_between(trials, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(trials, mean, color=colour, linewidth=1.8, label=line.method)
    axes.set_xscale("log")
    axes.set_yscale("log")
    bottom, top = axes.get_ylim()
    if top < 30 * bottom:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_locator(FixedLocator([1, 2, 5, 10, 25, 50, 100]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlim(1, max(len(line.mean) for line in lines))
    axes.set_xlabel("trials", color=marker("muted"), fontsize=9)


if __name__ == "__main__":
    main()
