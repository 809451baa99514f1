"""What the model-based peers share: the shape of a prior that ``MetaSampler`` asks, and candidates."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from automl_meta._typing import Configuration, FloatArray
from automl_meta.prior import Observation
from automl_meta.prior.prior import scores_of
from automl_meta.prior.pruning import PrunerModel
from automl_meta.spaces import Encoder, SearchSpace

#: Random points, and neighbours of the best trials, that a proposal chooses among.
_DRAWN = 1000
_NEIGHBOURS = 100
_BEST = 5


class Proposer(ABC):
    """A searcher over one space that never hands over to another.

    Args:
        space: The space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.encoder = Encoder(space)

    @property
    def pruner(self) -> PrunerModel:
        """Never prunes."""
        return PrunerModel(0.0, 0)

    def warm_start(
        self, n: int, meta_features: Mapping[str, float] | None = None
    ) -> list[Configuration]:
        """Return nothing: starting points are given to the search."""
        del n, meta_features
        return []

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
        """Return the candidate with the greatest value.

        Args:
            observed: Finished trials.
            pending: Running trials; ignored, as in the papers.
            rng: Source of randomness.
            space: Ignored: peers search the space that they learned on.
        """
        del pending, space
        scores = scores_of(observed)
        known = np.isfinite(scores)
        units = self.encoder.to_units([o.configuration for o in observed])
        if not known.any():
            return self.encoder.from_units(self.encoder.sample_units(rng, 1)[0])
        scores = np.where(known, scores, scores[known].min())
        rows = self._candidates(units[np.argsort(-scores)[:_BEST]], rng)
        value = self.value(self.encoder.expand(units), scores, self.encoder.expand(rows), rng)
        return self.encoder.from_units(rows[int(np.argmax(value))])

    @abstractmethod
    def value(
        self, x: FloatArray, scores: FloatArray, new: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Return how promising candidates are, shape [m].

        Args:
            x: Encodings of the trials, shape [n, d].
            scores: Their scores, shape [n], greater is better.
            new: Encodings of the candidates, shape [m, d].
            rng: Source of randomness.
        """

    def _candidates(self, best: FloatArray, rng: np.random.Generator) -> FloatArray:
        centre = np.nan_to_num(best[rng.integers(len(best), size=_NEIGHBOURS)], nan=0.5)
        moved = centre + rng.normal(size=centre.shape) * 0.1
        kept = rng.uniform(size=centre.shape) < 0.7
        near = self.encoder.normalise(np.where(kept, moved, rng.uniform(size=centre.shape)))
        return np.concatenate([self.encoder.sample_units(rng, _DRAWN), near])


def standardised(scores: FloatArray) -> FloatArray:
    """Return scores with mean 0 and standard deviation 1, or zeros where they are all the same.

    Args:
        scores: Shape [n].
    """
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros(len(scores))
