"""Numbers of a search benchmark: regrets, ranks, solved tasks, speed-ups, duels, on one problem.

Notation: k tasks, m methods, n trials. A *mark* is a number of trials at which tables are made. Seeds are
averaged within a task first, so that every task counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from automl_meta._typing import FloatArray
from automl_meta.statistics import (
    bootstrap_interval,
    incumbent,
    normalised_regret,
    wins_ties_losses,
)
from automl_meta.statistics.comparison import wilcoxon
from automl_meta.statistics.many import (
    CriticalDifferences,
    bootstrap_statistics,
    critical_differences,
    holm,
)

MARKS = (1, 3, 5, 10, 25, 50, 100)
#: A task is solved where the regret is at most this.
SOLVED = 0.01
#: Regrets that differ by no more are a tie.
TIE = 0.001


@dataclass(frozen=True, eq=False)
class Course:
    """One method over the trials.

    Attributes:
        method: The method.
        mean: Mean regret over tasks, shape [n].
        low: Lower end of its 95 % bootstrap interval over tasks, shape [n].
        high: Upper end.
        median: Median regret over tasks, shape [n].
        median_low: Lower end of its interval.
        median_high: Upper end.
        rank: Mean rank among the methods that have as many trials, shape [n].
        solved: Share of tasks with a regret of at most ``SOLVED``, shape [n].
        seeds: Searches a task.
        seconds: Median time of a proposal.
        learn_seconds: Median time of learning from the past tasks of a fold.
    """

    method: str
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    median: FloatArray
    median_low: FloatArray
    median_high: FloatArray
    rank: FloatArray
    solved: FloatArray
    seeds: int
    seconds: float
    learn_seconds: float


@dataclass(frozen=True)
class Duel:
    """Ours against another method, both after given numbers of trials.

    Attributes:
        method: The other one.
        ours_at: Trials of ours.
        theirs_at: Trials of the other one.
        tasks: Wins, ties and losses over tasks, such as ``"6/1/1"``.
        gain: Mean of their regret minus ours; > 0 favours ours.
        low: Lower end of its 95 % bootstrap interval over tasks.
        high: Upper end.
        p: Wilcoxon's signed-rank test over tasks, two-sided, Holm-corrected over the methods of a mark.
    """

    method: str
    ours_at: int
    theirs_at: int
    tasks: str
    gain: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class ProblemNumbers:
    """A comparison on one problem.

    Attributes:
        name: The problem.
        title: A line about it.
        ours: The method that the others are compared with.
        n_tasks: k.
        marks: Marks that ours reached.
        courses: One a method, in the order of the table.
        duels: Ours against each other method at each mark that both reached.
        later: Ours after 10 trials against others after as many as they have and, for slow ones, 40.
        differences: At the mark ``differences_at``.
        differences_at: The largest mark up to 25 that all methods reached.
        regrets: Method to regrets, shape [k, n].
        tasks: Names of the tasks, in the order of ``regrets``.
        beyond: Tasks on which some method exceeded the best known score: regret 0 there.
    """

    name: str
    title: str
    ours: str
    n_tasks: int
    marks: tuple[int, ...]
    courses: tuple[Course, ...]
    duels: tuple[Duel, ...]
    later: tuple[Duel, ...]
    differences: CriticalDifferences
    differences_at: int
    regrets: Mapping[str, FloatArray]
    tasks: tuple[str, ...]
    beyond: int

    def course(self, method: str) -> Course:
        """Return the course of a method."""
        return next(c for c in self.courses if c.method == method)


def problem_numbers(
    table: pd.DataFrame,
    scales: Mapping[str, tuple[float, float]],
    *,
    name: str,
    title: str,
    ours: str,
    seed: int = 0,
) -> ProblemNumbers:
    """Compute the numbers of one problem.

    Args:
        table: One row a trial: ``task``, ``method``, ``seed``, ``trial`` (from 0), ``score``, ``seconds``,
            ``learn_seconds``. All methods have the same tasks; seeds and trials may differ.
        scales: Task to worst and best known score.
        name: The problem.
        title: A line about it.
        ours: The method that the others are compared with.
        seed: Seed of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    tasks = tuple(sorted(set(table["task"])))
    methods = list(dict.fromkeys(table["method"]))
    regrets = {m: _regrets(table[table["method"] == m], tasks, scales) for m in methods}
    ranks = _ranks(regrets)
    top = table.groupby("task")["score"].max()
    n_ours = regrets[ours].shape[1]
    marks = tuple(n for n in MARKS if n <= n_ours) or (n_ours,)
    shortest = min(r.shape[1] for r in regrets.values())
    at = max([n for n in marks if n <= min(25, shortest)], default=shortest)
    final = pd.DataFrame({m: 1.0 - r[:, at - 1] for m, r in regrets.items()})
    return ProblemNumbers(
        name=name,
        title=title,
        ours=ours,
        n_tasks=len(tasks),
        marks=marks,
        courses=tuple(
            _course(m, table[table["method"] == m], regrets[m], ranks[m], rng) for m in methods
        ),
        duels=_duels(regrets, ours, marks, rng),
        later=_later(regrets, ours, rng),
        differences=critical_differences(final),
        differences_at=at,
        regrets=regrets,
        tasks=tasks,
        beyond=sum(bool(top[t] > scales[t][1] + 1e-6) for t in tasks),
    )


def _regrets(
    rows: pd.DataFrame, tasks: Sequence[str], scales: Mapping[str, tuple[float, float]]
) -> FloatArray:
    wide = rows.pivot_table(
        index=["task", "seed"], columns="trial", values="score", dropna=False, sort=True
    )
    best = pd.DataFrame(incumbent(wide.to_numpy()), index=wide.index)
    result = []
    for task in tasks:
        worst, top = scales[task]
        result.append(normalised_regret(best.loc[task].to_numpy(), top, worst).mean(axis=0))
    return np.stack(result)


def _ranks(regrets: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return mean ranks, shape [n] each; after a method's last trial it is not ranked."""
    longest = max(r.shape[1] for r in regrets.values())
    ranks = {m: np.full(r.shape[1], np.nan) for m, r in regrets.items()}
    for trial in range(longest):
        present = {m: r[:, trial] for m, r in regrets.items() if r.shape[1] > trial}
        # Rounded: equal scores that were averaged over seeds in another order are ties.
        mean = pd.DataFrame(present).round(9).rank(axis="columns").mean()
        for m in present:
            ranks[m][trial] = float(mean[m])
    return ranks


def _course(
    method: str, rows: pd.DataFrame, regret: FloatArray, rank: FloatArray, rng: np.random.Generator
) -> Course:
    found = bootstrap_statistics(regret, rng, resamples=1000)
    return Course(
        method,
        *found["mean"],
        *found["median"],
        rank=rank,
        solved=np.asarray(np.mean(regret <= SOLVED, axis=0), dtype=np.float64),
        seeds=int(rows.groupby("task")["seed"].nunique().min()),
        seconds=float(rows["seconds"].median()),
        learn_seconds=float(rows["learn_seconds"].median()),
    )


def _duel(
    regrets: Mapping[str, FloatArray],
    ours: str,
    other: str,
    at: tuple[int, int],
    rng: np.random.Generator,
) -> Duel:
    mine, theirs = regrets[ours][:, at[0] - 1], regrets[other][:, at[1] - 1]
    gain = bootstrap_interval(theirs, mine, rng, resamples=4000)
    record = wins_ties_losses(-mine, -theirs, tolerance=TIE)
    p = wilcoxon(theirs.round(9), mine.round(9))
    return Duel(other, *at, str(record), gain.mean, gain.low, gain.high, p)


def _duels(
    regrets: Mapping[str, FloatArray], ours: str, marks: Sequence[int], rng: np.random.Generator
) -> tuple[Duel, ...]:
    result = []
    for n in marks:
        others = [m for m, r in regrets.items() if m != ours and r.shape[1] >= n]
        duels = [_duel(regrets, ours, m, (n, n), rng) for m in others]
        corrected = holm([d.p for d in duels])
        result += [Duel(**{**d.__dict__, "p": p}) for d, p in zip(duels, corrected, strict=True)]
    return tuple(result)


def _later(
    regrets: Mapping[str, FloatArray], ours: str, rng: np.random.Generator
) -> tuple[Duel, ...]:
    """Compare ours after 10 trials with what others have after 40, and at their end."""
    if regrets[ours].shape[1] < 10:
        return ()
    result = []
    for other, regret in regrets.items():
        ends = dict.fromkeys(n for n in (40, regret.shape[1]) if 10 < n <= regret.shape[1])
        if other != ours:
            result += [_duel(regrets, ours, other, (10, n), rng) for n in ends]
    return tuple(result)


def trials_to_reach(course: Course, target: float) -> int | None:
    """Return the first trial at which the mean regret is at most a target, or None.

    Args:
        course: A method's course.
        target: Mean regret.
    """
    reached = np.flatnonzero(course.mean <= target + 1e-12)
    return int(reached[0]) + 1 if reached.size else None
