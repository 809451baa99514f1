"""Configurations that past tasks know, from which starting points are chosen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from automl_meta._typing import Configuration, FloatArray
from automl_meta.prior.warm_start import greedy_set, similarity_weights
from automl_meta.spaces import SearchSpace


@dataclass(frozen=True, eq=False)
class Portfolio:
    """Configurations evaluated on every past task, from which warm starts are chosen.

    Attributes:
        configurations: C configurations.
        regrets: Shape [T, C], in [0, 1]; see ``warm_start.regret_matrix``.
        meta_features: Shape [T, F].
        feature_names: F names, the order of the columns.
    """

    configurations: tuple[Configuration, ...]
    regrets: FloatArray
    meta_features: FloatArray
    feature_names: tuple[str, ...]

    def best(
        self,
        n: int,
        features: Mapping[str, float] | None = None,
        space: SearchSpace | None = None,
    ) -> list[Configuration]:
        """Return the greedy set of n, conditioned on the new task's meta-features where given.

        Args:
            n: How many, >= 0.
            features: Meta-features by name; missing ones are ignored.
            space: Only configurations whose categories it has.
        """
        weights = None if features is None else self._weights(features)
        kept = [i for i, c in enumerate(self.configurations) if space is None or space.fits(c)]
        if not kept:
            return []
        return [self.configurations[kept[i]] for i in greedy_set(self.regrets[:, kept], n, weights)]

    def _weights(self, features: Mapping[str, float]) -> FloatArray | None:
        told = [features.get(name, np.nan) for name in self.feature_names]
        known = np.flatnonzero(np.isfinite(told))
        past = self.meta_features[:, known]
        spread = past.std(axis=0)
        useful = spread > 1e-9
        if not useful.any():
            return None
        new = np.array([features[self.feature_names[i]] for i in known])
        mean, spread = past.mean(axis=0)[useful], spread[useful]
        return similarity_weights((past[:, useful] - mean) / spread, (new[useful] - mean) / spread)
