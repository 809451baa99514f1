"""What the model-based peers share: the shape of a prior that ``MetaSampler`` asks, and candidates."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from automl_meta._typing import Configuration, FloatArray
from automl_meta.benchmark.hpo.methods import Past
from automl_meta.prior import Observation
from automl_meta.prior.acquisition import fresh
from automl_meta.prior.observations import scores_of
from automl_meta.prior.pruning import NEVER, PrunerModel
from automl_meta.spaces import Encoder, SearchSpace

#: Random points, and neighbours of the best trials, that a proposal chooses among.
_DRAWN = 1000
_NEIGHBOURS = 100
_BEST = 5
#: On a table: past tasks' settings, not yet tried, that a proposal chooses among.
_SETTINGS = 2000


#: Finished trials and a source of randomness to what to try next.
Choose = Callable[[Sequence[Observation], np.random.Generator], Configuration]
#: Encodings [n, d] and scores [n] of trials, encodings [m, d] of candidates, randomness: how promising they are, [m].
Value = Callable[[FloatArray, FloatArray, FloatArray, np.random.Generator], FloatArray]


class Proposer:
    """A searcher over one space, as ``MetaSampler`` asks one; it never hands over to another.

    Running trials are ignored, as in the papers.

    Args:
        space: The space.
        choose: What decides.
    """

    def __init__(self, space: SearchSpace, choose: Choose) -> None:
        self.space = space
        self._choose = choose

    @property
    def pruner(self) -> PrunerModel:
        """Never prunes."""
        return NEVER

    def warm_start(
        self, n: int, meta_features: Mapping[str, float] | None = None
    ) -> list[Configuration]:
        """Return nothing: starting points are given to the search."""
        del n, meta_features
        return []

    @property
    def closed(self) -> bool:
        """False: on a table the search itself moves proposals to rows."""
        return False

    def hands_over(self, _observed: Sequence[Observation]) -> bool:
        """Return False."""
        return False

    def propose(
        self,
        observed: Sequence[Observation],
        pending: Sequence[Configuration],
        rng: np.random.Generator,
        *,
        space: SearchSpace | None = None,
    ) -> Configuration:
        """Return what to try next; see ``SearchPrior``."""
        del pending, space
        return self._choose(observed, rng)


def most_promising(encoder: Encoder, value: Value, past: Past) -> Choose:
    """Return a choice of the best candidate: in an open space among random points and neighbours of the best trials.

    On a table the candidates are the settings of past tasks, as ours has them: a point in the open space that looks
    best would only be moved to a row that may look worse.

    Args:
        encoder: Of the space.
        value: How promising candidates are.
        past: The past tasks.
    """
    settings = None
    if past.table:
        rows = np.concatenate([task.units for task in past.tasks])
        settings = fresh(encoder.normalise(rows), rows[:0])  # each once

    def choose(observed: Sequence[Observation], rng: np.random.Generator) -> Configuration:
        scores = scores_of(observed)
        known = np.isfinite(scores)
        units = encoder.to_units([o.configuration for o in observed])
        if not known.any():
            return encoder.from_units(encoder.sample_units(rng, 1)[0])
        scores = np.where(known, scores, scores[known].min())
        rows = (
            _candidates(encoder, units[np.argsort(-scores)[:_BEST]], rng)
            if settings is None
            else _untried(settings, units, rng)
        )
        promise = value(encoder.expand(units), scores, encoder.expand(rows), rng)
        return encoder.from_units(rows[int(np.argmax(promise))])

    return choose


def _untried(settings: FloatArray, tried: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return settings that were not tried, ``_SETTINGS`` at most, at random; all where all were tried."""
    left = fresh(settings, tried)
    if not len(left):
        return settings
    chosen = np.sort(rng.permutation(len(left))[:_SETTINGS])
    return np.asarray(left[chosen], dtype=np.float64)


def _candidates(encoder: Encoder, best: FloatArray, rng: np.random.Generator) -> FloatArray:
    centre = np.nan_to_num(best[rng.integers(len(best), size=_NEIGHBOURS)], nan=0.5)
    moved = centre + rng.normal(size=centre.shape) * 0.1
    kept = rng.uniform(size=centre.shape) < 0.7
    near = encoder.normalise(np.where(kept, moved, rng.uniform(size=centre.shape)))
    return np.concatenate([encoder.sample_units(rng, _DRAWN), near])


def standardised(scores: FloatArray) -> FloatArray:
    """Return scores with mean 0 and standard deviation 1, or zeros where they are all the same.

    Args:
        scores: Shape [n].
    """
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros(len(scores))
