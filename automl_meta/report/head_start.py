"""Few trials of a method against many of the baseline, on validation and on held-out scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl_meta.report.text import DASH, number
from automl_meta.statistics import wins_ties_losses

EARLY = 10


@dataclass(frozen=True, eq=False)
class HeadStart:
    """A method after ``early`` trials against the baseline after ``late``.

    Attributes:
        method: The method.
        early: Its trials.
        late: The baseline's trials.
        validation: Wins, ties, losses over tasks; a tie: within one standard error of the baseline's score over the folds.
        not_worse: Share of tasks won or tied.
        held_out: The same counts on held-out rows, ties only where equal; None without held-out scores.
        tasks: Index task; ``ours``, ``theirs``, ``error`` of theirs, and ``ours_held_out``, ``theirs_held_out``.
    """

    method: str
    early: int
    late: int
    validation: str
    not_worse: float
    held_out: str | None
    tasks: pd.DataFrame


def head_starts(table: pd.DataFrame, baseline: str) -> tuple[HeadStart, ...]:
    """Compare every method after ten trials with the baseline after all of them.

    Args:
        table: As for ``comparison_report``, with ``error`` and, at the trials that count, ``held_out``.
        baseline: The method with all trials.

    Returns:
        One for each other method; none where there are no more than ten trials or no errors.
    """
    late = int(table["trial"].max()) + 1
    if late <= EARLY or "error" not in table.columns:
        return ()
    theirs = _after(table[table["method"] == baseline], late)
    methods = [m for m in dict.fromkeys(table["method"]) if m != baseline]
    return tuple(
        _head_start(str(m), _after(table[table["method"] == m], EARLY), theirs, late)
        for m in methods
    )


def _head_start(method: str, ours: pd.DataFrame, theirs: pd.DataFrame, late: int) -> HeadStart:
    tasks = pd.DataFrame(
        {
            "ours": ours["score"],
            "theirs": theirs["score"],
            "error": theirs["error"],
            "ours_held_out": ours["held_out"],
            "theirs_held_out": theirs["held_out"],
        }
    )
    # Two searches without any success are equal: their difference is no number.
    gap = (tasks["ours"] - tasks["theirs"]).fillna(0.0)
    in_errors = gap / tasks["error"].clip(lower=1e-12)
    counts = wins_ties_losses(in_errors, np.zeros(len(tasks)), tolerance=1.0)
    seen = tasks.dropna(subset=["ours_held_out", "theirs_held_out"])
    held_out = (
        str(wins_ties_losses(seen["ours_held_out"], seen["theirs_held_out"])) if len(seen) else None
    )
    share = float((in_errors >= -1.0).mean())
    return HeadStart(method, EARLY, late, str(counts), share, held_out, tasks)


def _after(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return each task's incumbent after n trials: score, standard error, held-out score, means over seeds."""
    rows = []
    for (task, _), run in table[table["trial"] < n].groupby(["task", "seed"], sort=False):
        lowest: dict[str, Any] = {"task": task, "score": -np.inf, "error": 0.0, "held_out": np.nan}
        found = run.dropna(subset=["score"])
        if len(found):
            best = found.sort_values("score", ascending=False, kind="stable").iloc[0]
            lowest |= {"score": float(best["score"]), "error": float(best["error"])}
        if "held_out" in run.columns:
            lowest["held_out"] = float(
                run.loc[run["trial"] == n - 1, "held_out"].astype(float).sum(min_count=1)
            )
        rows.append(lowest)
    return pd.DataFrame(rows).groupby("task").mean()


def shown(starts: Sequence[HeadStart]) -> list[dict[str, Any]]:
    """Return head starts as the templates print them."""
    return [
        {
            "method": start.method,
            "early": start.early,
            "late": start.late,
            "validation": start.validation,
            "not_worse": f"{start.not_worse:.0%}",
            "held_out": start.held_out or DASH,
            "tasks": [
                {
                    "task": str(task),
                    "ours": number(row["ours"]),
                    "theirs": number(row["theirs"]),
                    "error": number(row["error"]),
                    "ours_held_out": _or_dash(row["ours_held_out"]),
                    "theirs_held_out": _or_dash(row["theirs_held_out"]),
                }
                for task, row in start.tasks.iterrows()
            ],
        }
        for start in starts
    ]


def _or_dash(value: float) -> str:
    return DASH if np.isnan(value) else number(value)
