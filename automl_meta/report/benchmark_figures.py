"""The figures of a search benchmark: regret and rank curves, critical differences, tasks as points."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter

from automl_meta.report.benchmark_numbers import MARKS, Course, ProblemNumbers
from automl_meta.report.svg import SERIES, Size, marker, new_figure
from automl_meta.statistics.many import CriticalDifferences

#: Line styles, one round of the colours each.
_STYLES = ("-", "--", ":")
_FLOOR = 1e-4


def regret_curves(numbers: ProblemNumbers, size: Size) -> Figure:
    """Draw mean regret against trials with bootstrap bands, both axes logarithmic.

    Args:
        numbers: A problem's numbers.
        size: Size of the drawing.
    """
    figure, axes = new_figure(size)
    for place, course in enumerate(numbers.courses):
        trials = np.arange(1, len(course.mean) + 1)
        colour, style = _look(place)
        low, high, mean = (np.maximum(v, _FLOOR) for v in (course.low, course.high, course.mean))
        axes.fill_between(trials, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(trials, mean, style, color=colour, linewidth=1.8, label=course.method)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    _finish(figure, axes, numbers.courses, "mean normalised regret", size)
    return figure


def rank_curves(numbers: ProblemNumbers, size: Size) -> Figure:
    """Draw mean ranks against trials; 1, the best, is on top.

    Args:
        numbers: A problem's numbers.
        size: Size of the drawing.
    """
    figure, axes = new_figure(size)
    for place, course in enumerate(numbers.courses):
        colour, style = _look(place)
        trials = np.arange(1, len(course.rank) + 1)
        axes.plot(trials, course.rank, style, color=colour, linewidth=1.8, label=course.method)
    axes.invert_yaxis()
    _finish(figure, axes, numbers.courses, "mean rank", size)
    return figure


def differences_figure(found: CriticalDifferences, size: Size) -> Figure:
    """Draw a critical-difference diagram: methods at their mean ranks, bars over those that do not differ.

    Args:
        found: The comparison of all methods.
        size: Size of the drawing; its height is adapted to the number of methods.

    Reference:
        Demsar (2006), figure 1.
    """
    n = len(found.ranks)
    half = (n + 1) // 2
    depth = 0.5 + 0.26 * len(found.cliques)
    figure, axes = new_figure(Size(size.width, 0.9 + 0.3 * half + 0.2 * depth, size.narrow))
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.spines["top"].set_color(marker("muted"))
    axes.xaxis.tick_top()
    axes.xaxis.set_major_locator(FixedLocator(range(1, n + 1)))
    margin = 0.36 * n if size.narrow else 0.22 * n
    axes.set_xlim(1 - margin, n + margin)
    axes.set_ylim(-(depth + half * 0.5), 0)
    for place, (name, rank) in enumerate(found.ranks.items()):
        left = place < half
        row = place if left else n - 1 - place
        y = -(depth + 0.5 * row)
        end = 1 - 0.05 * n if left else n + 0.05 * n
        axes.plot([rank, rank, end], [0, y, y], color=marker("muted"), linewidth=0.9)
        axes.annotate(
            f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}",
            (end, y),
            xytext=(-4 if left else 4, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=8 if size.narrow else 9,
            color=marker("ink"),
        )
    for level, clique in enumerate(found.cliques):
        y = -(0.3 + 0.26 * level)
        ends = [found.ranks[clique[0]] - 0.05, found.ranks[clique[-1]] + 0.05]
        axes.plot(ends, [y, y], color=marker("s-blue"), linewidth=3.5, solid_capstyle="butt")
    return figure


def tasks_figure(numbers: ProblemNumbers, other: str, at: tuple[int, int], size: Size) -> Figure:
    """Draw each task as a point: regret of another method against ours; ours is better above the line.

    Args:
        numbers: A problem's numbers.
        other: The other method.
        at: Trials of ours and of the other one.
        size: Size of the drawing.
    """
    figure, axes = new_figure(size)
    mine = np.maximum(numbers.regrets[numbers.ours][:, at[0] - 1], _FLOOR)
    theirs = np.maximum(numbers.regrets[other][:, at[1] - 1], _FLOOR)
    axes.plot([_FLOOR, 1], [_FLOOR, 1], color=marker("muted"), linewidth=1)
    axes.scatter(mine, theirs, s=16, color=marker("s-blue"), alpha=0.6, linewidths=0)
    for axis, name, trials in (("x", numbers.ours, at[0]), ("y", other, at[1])):
        getattr(axes, f"set_{axis}scale")("log")
        getattr(axes, f"set_{axis}lim")(_FLOOR * 0.8, 1.2)
        getattr(axes, f"{axis}axis").set_major_formatter(StrMethodFormatter("{x:g}"))
        label = f"regret of {name} after {trials} trials"
        getattr(axes, f"set_{axis}label")(label, color=marker("muted"), fontsize=9)
    return figure


def _look(place: int) -> tuple[str, str]:
    return marker(SERIES[place % len(SERIES)]), _STYLES[place // len(SERIES) % len(_STYLES)]


def _finish(
    figure: Figure, axes: object, courses: Sequence[Course], label: str, size: Size
) -> None:
    n = max(len(c.mean) for c in courses)
    axes.set_xscale("log")  # type: ignore[attr-defined]
    axes.set_xlim(1, max(n, 2))  # type: ignore[attr-defined]
    axis = axes.xaxis  # type: ignore[attr-defined]
    axis.set_major_locator(FixedLocator([m for m in MARKS if m <= n]))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("trials", color=marker("muted"), fontsize=9)  # type: ignore[attr-defined]
    axes.set_ylabel(label, color=marker("muted"), fontsize=9)  # type: ignore[attr-defined]
    figure.legend(
        loc="outside upper left",
        ncols=2 if size.narrow else 4,
        frameon=False,
        fontsize=9,
        labelcolor=marker("ink"),
    )
