"""The trials of the present task, as priors read them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl_meta._typing import Configuration, FloatArray
from automl_meta.metadata.past import within_reach
from automl_meta.prior.transfer import MAX_SUPPORT


@dataclass(frozen=True)
class Observation:
    """One trial of the present task.

    Attributes:
        configuration: A valid configuration of the prior's space.
        score: Greater is better; None for a failed trial.
    """

    configuration: Configuration
    score: float | None


def scores_of(trials: Sequence[Observation]) -> FloatArray:
    """Return the scores of trials, shape [n]; NaN for failed ones."""
    known = [np.nan if t.score is None else t.score for t in trials]
    return within_reach(np.array(known, dtype=np.float64))


def support_of(observed: Sequence[Observation], rng: np.random.Generator) -> Sequence[Observation]:
    """Return the trials that a model reads: all, or the best half and a random rest of many.

    Args:
        observed: All trials.
        rng: Source of randomness.
    """
    if len(observed) <= MAX_SUPPORT:
        return observed
    order = np.argsort([-np.inf if o.score is None else o.score for o in observed])[::-1]
    best, rest = order[: MAX_SUPPORT // 2], order[MAX_SUPPORT // 2 :]
    kept = np.concatenate([best, rng.choice(rest, size=MAX_SUPPORT - len(best), replace=False)])
    return [observed[i] for i in np.sort(kept)]
