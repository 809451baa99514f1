"""The tables of a search benchmark, as rows of text."""

from collections.abc import Sequence
from dataclasses import dataclass

from automl_meta._typing import FloatArray
from automl_meta._words import counted
from automl_meta.report.benchmark_numbers import (
    SOLVED,
    TIE,
    Course,
    Duel,
    ProblemNumbers,
    trials_to_reach,
)
from automl_meta.report.text import DASH, p_value, signed


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: What it shows.
        header: Column names; the first column is text, the others numbers.
        rows: Cells; one that starts with ``**`` is the best of its column.
        note: How to read it.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def verdict(numbers: ProblemNumbers) -> list[str]:
    """Return a paragraph that says what was run and what it shows.

    Args:
        numbers: A problem's numbers.
    """
    ours = numbers.course(numbers.ours)
    marks = [n for n in numbers.marks if n >= 5] or numbers.marks
    text = [
        f"{counted(numbers.n_tasks, 'task')}. Mean regret of {numbers.ours}: "
        + ", ".join(f"{ours.mean[n - 1]:.4f} after {n}" for n in marks)
        + "."
    ]
    if numbers.beyond:
        text.append(
            f"On {counted(numbers.beyond, 'task')} a method found a score above the best known one; regret counts 0 there."
        )
    return text


def regret_table(numbers: ProblemNumbers) -> Table:
    """Return mean regrets with intervals, and medians.

    Args:
        numbers: A problem's numbers.
    """
    rows = []
    for label in ("mean", "median"):
        of_method = {c.method: _with_interval(c, label) for c in numbers.courses}
        for method, (value, low, high) in of_method.items():
            cells = []
            for n in numbers.marks:
                if len(value) < n:
                    cells.append(DASH)
                    continue
                least = min(v[n - 1] for v, _, _ in of_method.values() if len(v) >= n)
                text = f"{value[n - 1]:.4f} [{low[n - 1]:.4f}, {high[n - 1]:.4f}]"
                cells.append(f"**{text}**" if value[n - 1] <= least else text)
            rows.append([f"{method}, {label}", *cells])
    return Table(
        "Normalised regret",
        ["method", *(f"after {n}" for n in numbers.marks)],
        rows,
        "Best trial so far, seeds averaged within a task; in brackets 95 % bootstrap over tasks.",
    )


def standing_table(numbers: ProblemNumbers) -> Table:
    """Return ranks, solved tasks, speed-up and times.

    Args:
        numbers: A problem's numbers.
    """
    marks = [n for n in numbers.marks if n in {5, 10, 25, 50, 100}] or list(numbers.marks)
    cold = _cold(numbers)
    at = min(10, *(len(c.solved) for c in numbers.courses))
    rows = []
    for c in numbers.courses:
        ranks = [f"{c.rank[n - 1]:.2f}" if len(c.rank) >= n else DASH for n in marks]
        rows.append(
            [
                c.method,
                *ranks,
                f"{c.solved[at - 1]:.0%}",
                f"{c.solved[-1]:.0%}",
                *_speed_up(c, cold),
                f"{1e3 * c.seconds:.1f} ms",
                f"{c.learn_seconds:.0f} s",
                f"{len(c.mean)} x {c.seeds}",
            ]
        )
    reach = f"trials to {cold.method}'s end" if cold else "trials to TPE's end"
    return Table(
        "Ranks, solved tasks, speed-up, cost",
        [
            "method",
            *(f"rank at {n}" for n in marks),
            f"solved at {at}",
            "solved at end",
            reach,
            "speed-up",
            "proposal",
            "learning",
            "trials x seeds",
        ],
        rows,
        f"Solved: regret of at most {SOLVED}. Speed-up: the cold sampler's number of trials over the number that "
        "the method needs for the same mean regret. Learning: from all past tasks of a fold, once a seed.",
    )


def _cold(numbers: ProblemNumbers) -> Course | None:
    return next((c for c in numbers.courses if c.method == "TPE"), None)


def _speed_up(course: Course, cold: Course | None) -> tuple[str, str]:
    if cold is None:
        return DASH, DASH
    needed = trials_to_reach(course, float(cold.mean[-1]))
    if needed is None:
        return f"> {len(course.mean)}", DASH
    return str(needed), f"{len(cold.mean) / needed:.1f}"


def duel_table(numbers: ProblemNumbers) -> Table:
    """Return ours against each other method at the marks.

    Args:
        numbers: A problem's numbers.
    """
    rows = [
        [d.method, str(d.ours_at), d.tasks, _gain(d), p_value(d.p)]
        for d in numbers.duels
        if d.ours_at >= 5 or d.ours_at == max(numbers.marks)
    ]
    return Table(
        f"{numbers.ours} against each method",
        ["method", "trials", "wins/ties/losses", "regret gained [95 %]", "p"],
        rows,
        f"Tasks on which {numbers.ours} has less, equal (within {TIE}) and more regret. Regret gained: the other's "
        "minus ours, bootstrap over tasks. p: Wilcoxon's signed-rank test, Holm-corrected over the methods.",
    )


def later_table(numbers: ProblemNumbers) -> Table:
    """Return ours after ten trials against the others after many.

    Args:
        numbers: A problem's numbers.
    """
    rows = [[d.method, str(d.theirs_at), d.tasks, _gain(d)] for d in numbers.later]
    return Table(
        f"{numbers.ours} after 10 trials against others later",
        ["method", "its trials", "wins/ties/losses", "regret gained [95 %]"],
        rows,
        "Not worse, to within .005, where the lower end of the interval is above -.005.",
    )


def _gain(duel: Duel) -> str:
    return f"{signed(round(duel.gain, 4))} [{signed(round(duel.low, 4))}, {signed(round(duel.high, 4))}]"


def _with_interval(course: Course, label: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    if label == "mean":
        return course.mean, course.low, course.high
    return course.median, course.median_low, course.median_high
