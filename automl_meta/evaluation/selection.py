"""Greedy ensemble selection with replacement over predictions that were made out of fold.

Notation: m candidates, n rows, k outputs (class probabilities, or one value).

Reference:
    Caruana, Niculescu-Mizil, Crew, Ksikes. Ensemble selection from libraries of models. ICML 2004.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from automl_meta._typing import FloatArray

#: Averaged predictions [n, k] to their score; greater is better, -inf where it is undefined.
Score: TypeAlias = Callable[[FloatArray], float]


@dataclass(frozen=True)
class Selection:
    """What was chosen.

    Attributes:
        counts: How often each candidate was taken, shape [m]; the weights times their sum.
        score: Score of the average on the rows that it was chosen on.
        single: Index of the best candidate alone.
        single_score: Its score on the same rows.
    """

    counts: tuple[int, ...]
    score: float
    single: int
    single_score: float

    @property
    def weights(self) -> dict[int, float]:
        """Index of every member to its share, greatest share first."""
        total = sum(self.counts)
        taken = [i for i, count in enumerate(self.counts) if count]
        return {i: self.counts[i] / total for i in sorted(taken, key=lambda i: -self.counts[i])}


def greedy_selection(
    predictions: Sequence[FloatArray], score: Score, *, rounds: int, members: int
) -> Selection:
    r"""Choose how often each candidate enters an average.

    The average starts with the best n candidates for the n that scores best, then takes in each round the
    candidate that helps most, one that is already in it counting more. The best average on the way wins;
    it is never worse than the best candidate alone, which wins ties.

    Args:
        predictions: m arrays [n, k].
        score: Of an average.
        rounds: Candidates taken in all, repetitions included, >= 1.
        members: Most different candidates, >= 1.

    Returns:
        The choice.

    Example:
        >>> truth = np.array([[0.0], [1.0]])
        >>> biased = [truth + 0.2, truth - 0.1]
        >>> chosen = greedy_selection(
        ...     biased, lambda p: -float(abs(p - truth).max()), rounds=9, members=2
        ... )
        >>> chosen.counts, round(chosen.score, 6)
        ((1, 2), -0.0)
    """
    alone = [score(values) for values in predictions]
    order = sorted(range(len(alone)), key=lambda i: -alone[i])
    single = order[0]
    counts, total = _sorted_start(predictions, order, score, min(members, rounds))
    best = (alone[single], _one_hot(len(alone), single))
    current = score(total / sum(counts))
    if current > best[0]:
        best = (current, tuple(counts))
    while sum(counts) < rounds:
        allowed = order if np.count_nonzero(counts) < members else [i for i in order if counts[i]]
        size = sum(counts) + 1
        reached = {i: score((total + predictions[i]) / size) for i in allowed}
        chosen = max(reached, key=lambda i: reached[i])  # of equal ones the best alone
        counts[chosen] += 1
        total = total + predictions[chosen]
        if reached[chosen] > best[0]:
            best = (reached[chosen], tuple(counts))
    return Selection(best[1], best[0], single, alone[single])


def _sorted_start(
    predictions: Sequence[FloatArray], order: Sequence[int], score: Score, most: int
) -> tuple[list[int], FloatArray]:
    """Return counts and sum of the best n candidates, for the n up to ``most`` that scores best."""
    total = np.zeros_like(predictions[0])
    reached = []
    for size, i in enumerate(order[:most], start=1):
        total = total + predictions[i]
        reached.append(score(total / size))
    size = int(np.argmax(reached)) + 1
    counts = [0] * len(predictions)
    for i in order[:size]:
        counts[i] = 1
    return counts, np.sum([predictions[i] for i in order[:size]], axis=0)


def _one_hot(length: int, index: int) -> tuple[int, ...]:
    return tuple(int(i == index) for i in range(length))
