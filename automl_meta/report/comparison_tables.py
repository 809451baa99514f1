"""Numbers behind the comparison of methods: incumbents, regret, ranks, wins.

Notation: k tasks, m methods, s seeds, n trials. An *incumbent* is the best score so far; greater is better.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from automl_meta._typing import FloatArray
from automl_meta.exceptions import InvalidParameterError
from automl_meta.statistics import (
    bootstrap_interval,
    incumbent,
    mean_ranks,
    normalised_regret,
    wilcoxon,
    wins_ties_losses,
)

COLUMNS = ("task", "method", "seed", "trial", "score")
_RESAMPLES = 2000


@dataclass(frozen=True)
class Duel:
    """One method against another one, the baseline mostly, after some number of trials.

    Attributes:
        method: The method.
        baseline: The other one.
        checkpoint: Trials, >= 1.
        tasks: Wins, ties and losses over tasks, seeds averaged, such as ``"6/1/1"``.
        pairs: The same over (task, seed) pairs.
        gain: Mean difference of normalised regret (baseline minus method; > 0 favours the method).
        low: Lower end of its 95 % bootstrap interval over tasks.
        high: Upper end.
        p: Two-sided p-value of Wilcoxon's signed-rank test over tasks.
    """

    method: str
    baseline: str
    checkpoint: int
    tasks: str
    pairs: str
    gain: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean normalised regret over tasks after each trial, with a 95 % band.

    Attributes:
        method: The method.
        mean: Shape [n].
        low: Lower end of the bootstrap band over tasks, shape [n].
        high: Upper end, shape [n].
    """

    method: str
    mean: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, eq=False)
class Comparison:
    """A comparison of methods, ready to be printed.

    Attributes:
        methods: In the order of the table.
        n_tasks: k.
        n_seeds: s, the smallest over tasks and methods.
        n_trials: n.
        checkpoints: Trials at which tables are made.
        ranks: Index method, columns checkpoints; mean rank over tasks, 1 is best.
        regrets: Index method, columns checkpoints; mean normalised regret.
        duels: Every other method against the baseline, at every checkpoint.
        others: The first method against all others but the baseline, at every checkpoint.
        curves: One for each method.
        scores: Index task, columns methods; mean incumbent at the last checkpoint.
    """

    methods: tuple[str, ...]
    n_tasks: int
    n_seeds: int
    n_trials: int
    checkpoints: tuple[int, ...]
    ranks: pd.DataFrame
    regrets: pd.DataFrame
    duels: tuple[Duel, ...]
    others: tuple[Duel, ...]
    curves: tuple[Curve, ...]
    scores: pd.DataFrame


def compare_methods(
    table: pd.DataFrame,
    *,
    baseline: str,
    checkpoints: Sequence[int],
    tolerance: float = 0.0,
    seed: int = 0,
) -> Comparison:
    """Compare methods that ran on the same tasks with the same seeds.

    Scores are averaged over seeds within a task first, so that every task counts once. Regret is
    normalised per task: 0 is the best score that any method found there, 1 the worst incumbent after
    the first trial.

    Args:
        table: Long format with the columns ``task``, ``method``, ``seed``, ``trial`` (from 0) and
            ``score`` (greater is better, NaN for a failed trial).
        baseline: The method that the others are compared with.
        checkpoints: Numbers of trials, each from 1 to the number of trials.
        tolerance: Differences of score up to this size are ties.
        seed: Seed of the bootstrap.

    Returns:
        Ranks, duels, curves and scores.

    Raises:
        InvalidParameterError: If a column is missing, the runs are incomplete, or the baseline or a
            checkpoint is not in the table.
    """
    best = _incumbents(table)
    methods = tuple(dict.fromkeys(table["method"]))
    n_trials = best.shape[1]
    _check(methods, baseline, checkpoints, n_trials)
    regret = _regrets(best)
    by_task = regret.groupby(level=["task", "method"]).mean()
    rng = np.random.default_rng(seed)
    duels = [
        _duel(best, by_task, method, baseline, n, tolerance, rng)
        for n in checkpoints
        for method in methods
        if method != baseline
    ]
    others = [
        _duel(best, by_task, methods[0], other, n, tolerance, np.random.default_rng(seed))
        for n in checkpoints
        for other in methods[1:]
        if methods[0] != baseline != other
    ]
    wide = {n: _at(best, n) for n in checkpoints}
    return Comparison(
        methods=methods,
        n_tasks=len(wide[checkpoints[0]]),
        n_seeds=int(best.groupby(level=["task", "method"]).size().min()),
        n_trials=n_trials,
        checkpoints=tuple(checkpoints),
        ranks=pd.DataFrame({n: mean_ranks(wide[n]) for n in checkpoints}).loc[list(methods)],
        regrets=pd.DataFrame(
            {n: by_task[n - 1].groupby(level="method").mean() for n in checkpoints}
        ).loc[list(methods)],
        duels=tuple(duels),
        others=tuple(others),
        curves=tuple(_curve(by_task, method, rng) for method in methods),
        scores=wide[checkpoints[-1]][list(methods)],
    )


def _incumbents(table: pd.DataFrame) -> pd.DataFrame:
    """Return incumbents, one row for each (task, method, seed), one column for each trial from 0."""
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing or table.empty:
        raise InvalidParameterError.of(
            "table",
            "comparison_report",
            f"a non-empty table with the columns {', '.join(COLUMNS)}",
            f"columns {', '.join(map(str, table.columns))}",
            f"Add {', '.join(missing) or 'rows'}.",
        )
    key = ["task", "method", "seed"]
    if bool(table.duplicated([*key, "trial"]).any()):
        raise InvalidParameterError.of(
            "table",
            "comparison_report",
            "one row for each trial of a run",
            "duplicates",
            "Drop them.",
        )
    shown = table.assign(score=table["score"].astype(float).fillna(-np.inf))
    wide = shown.pivot_table(index=key, columns="trial", values="score", aggfunc="max")
    complete = len(wide) == math.prod(len(set(table[name])) for name in key)
    if bool(wide.isna().to_numpy().any()) or not complete:
        raise InvalidParameterError.of(
            "table",
            "comparison_report",
            "the same seeds and the same number of trials for every task and method",
            f"{int(wide.isna().to_numpy().sum())} missing trials",
            "Leave out the tasks that not every method finished.",
        )
    values = incumbent(wide.replace(-np.inf, np.nan).to_numpy())
    return pd.DataFrame(values, index=wide.index, columns=range(wide.shape[1]))


def _regrets(best: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for _, rows in best.groupby(level="task"):
        values = rows.to_numpy()
        high, low = float(np.nanmax(values)), float(np.nanmin(values))
        parts.append(
            pd.DataFrame(
                normalised_regret(values, high, low), index=rows.index, columns=rows.columns
            )
        )
    return pd.concat(parts)


def _at(best: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return mean incumbents after n trials, shape [k, m]; a run without any success ranks last."""
    lowest = best.groupby(level="task").min().min(axis="columns")
    column = best[n - 1].fillna(
        best.index.get_level_values("task").to_series(index=best.index).map(lowest)
    )
    return column.groupby(level=["task", "method"]).mean().unstack("method")  # noqa: PD010 - the rows are an index already


def _duel(
    best: pd.DataFrame,
    regret: pd.DataFrame,
    method: str,
    baseline: str,
    n: int,
    tolerance: float,
    rng: np.random.Generator,
) -> Duel:
    means = _at(best, n)
    pairs = best[n - 1].unstack("method").fillna(-1e300)  # noqa: PD010 - the rows are an index already
    ours = regret[n - 1].xs(method, level="method")
    theirs = regret[n - 1].xs(baseline, level="method").loc[ours.index]
    interval = bootstrap_interval(theirs.to_numpy(), ours.to_numpy(), rng, resamples=_RESAMPLES)
    return Duel(
        method=method,
        baseline=baseline,
        checkpoint=n,
        tasks=str(wins_ties_losses(means[method], means[baseline], tolerance=tolerance)),
        pairs=str(wins_ties_losses(pairs[method], pairs[baseline], tolerance=tolerance)),
        gain=interval.mean,
        low=interval.low,
        high=interval.high,
        p=wilcoxon(means[method].to_numpy(), means[baseline].to_numpy()),
    )


def _curve(regret: pd.DataFrame, method: str, rng: np.random.Generator) -> Curve:
    values = regret.xs(method, level="method").to_numpy()
    drawn = rng.integers(len(values), size=(_RESAMPLES, len(values)))
    means = values[drawn].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return Curve(method, values.mean(axis=0), low, high)


def _check(
    methods: Sequence[str], baseline: str, checkpoints: Sequence[int], n_trials: int
) -> None:
    if baseline not in methods:
        raise InvalidParameterError.of(
            "baseline",
            "comparison_report",
            f"one of {', '.join(methods)}",
            baseline,
            "Choose one of them.",
        )
    bad = [n for n in checkpoints if not 1 <= n <= n_trials]
    if bad or not checkpoints:
        raise InvalidParameterError.of(
            "checkpoints",
            "comparison_report",
            f"numbers of trials from 1 to {n_trials}",
            list(checkpoints),
            "Run more trials or ask for fewer.",
        )
