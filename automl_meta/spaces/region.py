"""The part of a learned space that a search takes place in."""

from typing import Self

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from automl_meta._typing import FloatArray
from automl_meta.spaces import units
from automl_meta.spaces.encoding import Encoder
from automl_meta.spaces.space import SearchSpace

_NUMERIC = (FloatDistribution, IntDistribution)


class Region:
    """What a learned space and a searched one share, in the learned one's unit coordinates.

    Args:
        encoder: Of the learned space.
        space: The searched one. A parameter of which the two share no value, or that it lacks, is not bounded.

    Example:
        >>> learned = Encoder(SearchSpace("toy", 1, {"x": FloatDistribution(0, 10)}))
        >>> region = Region(learned, SearchSpace("toy", 1, {"x": FloatDistribution(5, 20)}))
        >>> region.moved(np.array([[0.2], [0.7]])).ravel().tolist()
        [0.5, 0.7]
    """

    def __init__(self, encoder: Encoder, space: SearchSpace) -> None:
        p = encoder.n_parameters
        self._low, self._high = np.zeros(p), np.ones(p)
        #: Column to the flags of the choices that are searched too.
        self._choices: dict[int, np.ndarray] = {}
        for column, (name, learned) in enumerate(encoder.space.distributions.items()):
            searched = space.distributions.get(name)
            if isinstance(learned, CategoricalDistribution):
                if isinstance(searched, CategoricalDistribution):
                    found = [units.index_of(searched, c) is not None for c in learned.choices]
                    if any(found):
                        self._choices[column] = np.array(found)
            elif isinstance(searched, _NUMERIC) and isinstance(learned, _NUMERIC):
                low, high = max(learned.low, searched.low), min(learned.high, searched.high)
                if low <= high:
                    self._low[column] = units.to_unit(learned, low)
                    self._high[column] = units.to_unit(learned, high)

    @classmethod
    def of(cls, encoder: Encoder, space: SearchSpace | None) -> Self | None:
        """Return the region, or None where the searched space is the learned one, whatever it is called.

        Args:
            encoder: Of the learned space.
            space: The searched one; None for the learned one.
        """
        known = encoder.space
        if space is None or (
            space.distributions == known.distributions and space.conditions == known.conditions
        ):
            return None
        return cls(encoder, space)

    def moved(self, rows: FloatArray, *, drop: bool = False) -> FloatArray:
        """Return rows with numbers moved into the region, without those of other choices; yet to be normalised.

        Args:
            rows: Unit rows, shape [m, p]; NaN where inactive.
            drop: Leave out what would have to be moved.

        Returns:
            Shape [<= m, p].
        """
        kept = np.ones(len(rows), dtype=bool)
        for column, found in self._choices.items():
            value = rows[:, column]
            index = np.minimum(np.nan_to_num(value, nan=0.0) * len(found), len(found) - 1)
            kept &= np.isnan(value) | found[index.astype(np.int64)]
        moved = np.clip(rows, self._low, self._high)
        if drop:
            kept &= ~(np.abs(moved - rows) > 1e-9).any(axis=1)
        return np.asarray(moved[kept], dtype=np.float64)

    def sample(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Draw rows of the region, uniformly in the learned coordinates; yet to be normalised, shape [n, p].

        Args:
            rng: Source of randomness.
            n: How many.
        """
        drawn = self._low + rng.uniform(size=(n, len(self._low))) * (self._high - self._low)
        for column, found in self._choices.items():
            chosen = rng.choice(np.flatnonzero(found), size=n)
            drawn[:, column] = (chosen + 0.5) / len(found)
        return drawn
