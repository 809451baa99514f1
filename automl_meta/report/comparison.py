"""The report of a comparison of methods: ``report.md``, ``report.html`` and the curves as ``curves.svg``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from automl_meta import __version__
from automl_meta._words import counted
from automl_meta.report.comparison_tables import Comparison, Duel, compare_methods
from automl_meta.report.head_start import head_starts, shown
from automl_meta.report.page import render
from automl_meta.report.svg import SERIES, Size, marker, new_figure, svg_text
from automl_meta.report.text import number, signed


def comparison_report(
    table: pd.DataFrame,
    folder: Path,
    *,
    title: str,
    baseline: str,
    checkpoints: Sequence[int] = (10, 25),
    command: str = "",
    notes: Sequence[str] = (),
    tolerance: float = 0.0,
) -> tuple[Path, Path]:
    """Write the report of a comparison.

    Args:
        table: Long format: ``task``, ``method``, ``seed``, ``trial`` (from 0), ``score`` (greater is
            better, NaN for a failed trial). Every method ran on every task with the same seeds. With ``error``
            (standard error of the score) and ``held_out`` ten trials are compared with all of the baseline's, too.
        folder: Where to write; made if needed.
        title: Heading.
        baseline: The method that the others are compared with.
        checkpoints: Numbers of trials at which ranks and wins are counted.
        command: The command that makes the report again.
        notes: What a reader must know: data, leave-out rule, versions, limits.
        tolerance: Differences of score up to this size are ties.

    Returns:
        Paths of the HTML page and of the Markdown text.

    Raises:
        InvalidParameterError: If the table or a parameter breaks its rule.
    """
    found = compare_methods(table, baseline=baseline, checkpoints=checkpoints, tolerance=tolerance)
    folder.mkdir(parents=True, exist_ok=True)
    drawings = [
        (css, svg_text(curves_figure(found, size), name=f"curves-{css}"))
        for css, size in (("wide", Size(7.6, 3.8)), ("narrow", Size(4.0, 3.6, narrow=True)))
    ]
    values = _values(found, title, baseline, command, notes)
    values["head_starts"] = shown(head_starts(table, baseline))
    html, text = folder / "report.html", folder / "report.md"
    html.write_text(
        render("comparison.html.j2", drawings={"curves": drawings}, **values), encoding="utf-8"
    )
    text.write_text(render("comparison.md.j2", **values), encoding="utf-8")
    alone = svg_text(curves_figure(found, Size(7.6, 3.8)), name="curves", page=False)
    (folder / "curves.svg").write_text(alone, encoding="utf-8")
    return html, text


def curves_figure(found: Comparison, size: Size) -> Figure:
    """Draw mean normalised regret against trials with bootstrap bands.

    Args:
        found: A comparison.
        size: Size of the drawing.

    Returns:
        The figure.
    """
    figure, axes = new_figure(size)
    trials = np.arange(1, found.n_trials + 1)
    for place, curve in enumerate(found.curves):
        colour = marker(SERIES[place % len(SERIES)])
        style = "-" if place < len(SERIES) else "--"
        axes.fill_between(trials, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(trials, curve.mean, style, color=colour, linewidth=1.8, label=curve.method)
    floor = min(float(np.min(curve.mean)) for curve in found.curves)
    if floor > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlim(1, max(found.n_trials, 2))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5 if size.narrow else 10, integer=True))
    axes.set_xlabel("trials", color=marker("muted"), fontsize=9)
    axes.set_ylabel("mean normalised regret", color=marker("muted"), fontsize=9)
    figure.legend(
        loc="outside upper left",
        ncols=2 if size.narrow else 4,
        frameon=False,
        fontsize=9,
        labelcolor=marker("ink"),
    )
    return figure


def _values(
    found: Comparison, title: str, baseline: str, command: str, notes: Sequence[str]
) -> dict[str, Any]:
    return {
        "title": title,
        "subtitle": ", ".join(
            [
                counted(found.n_tasks, "task"),
                counted(found.n_seeds, "seed"),
                counted(found.n_trials, "trial"),
                counted(len(found.methods), "method"),
            ]
        ),
        "baseline": baseline,
        "checkpoints": found.checkpoints,
        "verdict": _verdict(found, baseline),
        "overview": _overview(found),
        "duels": [_duel_row(duel) for duel in found.duels],
        "others": [_duel_row(duel) for duel in found.others],
        "methods": found.methods,
        "scores": _score_rows(found),
        "command": command,
        "notes": list(notes),
        "version": __version__,
    }


def _duel_row(duel: Duel) -> dict[str, Any]:
    return {
        "method": duel.method,
        "baseline": duel.baseline,
        "checkpoint": duel.checkpoint,
        "tasks": duel.tasks,
        "pairs": duel.pairs,
        "gain": f"{signed(duel.gain)} [{signed(duel.low)}, {signed(duel.high)}]",
        "p": f"{duel.p:.3f}" if duel.p >= 0.001 else "< 0.001",
    }


def _overview(found: Comparison) -> list[dict[str, Any]]:
    rows = []
    for method in found.methods:
        cells = []
        for n in found.checkpoints:
            rank, regret = _cell(found.ranks, method, n), _cell(found.regrets, method, n)
            cells.append(
                {
                    "rank": f"{rank:.2f}",
                    "regret": f"{regret:.3f}",
                    "best": rank == float(found.ranks[n].min()),
                }
            )
        rows.append({"method": method, "cells": cells})
    return rows


def _cell(table: pd.DataFrame, method: str, checkpoint: int) -> float:
    return float(table[checkpoint].to_dict()[method])


def _verdict(found: Comparison, baseline: str) -> str:
    """Say in a sentence what the last checkpoint shows, without claiming what it does not."""
    last = found.checkpoints[-1]
    duels = [duel for duel in found.duels if duel.checkpoint == last]
    if not duels:
        return f"Only {baseline} was run."
    first = duels[0]
    if first.low > 0:
        claim = "is better than"
    elif first.high < 0:
        claim = "is worse than"
    else:
        claim = "cannot be told apart from"
    return (
        f"After {last} trials {first.method} {claim} {baseline} on these {found.n_tasks} tasks: "
        f"wins/ties/losses {first.tasks}, mean rank {_cell(found.ranks, first.method, last):.2f} against "
        f"{_cell(found.ranks, baseline, last):.2f}, mean gain in normalised regret {signed(first.gain)} "
        f"(95 % interval {signed(first.low)} to {signed(first.high)})."
    )


def _score_rows(found: Comparison) -> list[dict[str, Any]]:
    rows = []
    for task, scores in found.scores.iterrows():
        top = float(scores.max())
        cells = [{"text": number(float(s)), "best": float(s) == top} for s in scores]
        rows.append({"task": str(task), "cells": cells})
    return rows
