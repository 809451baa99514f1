"""Configurations that past tasks know, from which starting points are chosen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from automl_meta._typing import Configuration, FloatArray
from automl_meta.prior.conditioning import differs, standardised
from automl_meta.prior.warm_start import greedy_set, similarity_weights
from automl_meta.spaces import SearchSpace


@dataclass(frozen=True, eq=False)
class Portfolio:
    """Configurations evaluated on every past task, from which warm starts are chosen.

    Attributes:
        configurations: C configurations.
        regrets: Shape [T, C], in [0, 1]; see ``warm_start.regret_matrix``.
        meta_features: Shape [T, F]; NaN where a past task lacks one: it counts as average.
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
        """Return how much each past task counts, shape [T]; None where no feature tells them apart."""
        told = np.array([features.get(name, np.nan) for name in self.feature_names])
        # A past task that lacks a feature must not take it from all the others.
        past = np.where(np.isfinite(self.meta_features), self.meta_features, np.nan)
        useful = [i for i in np.flatnonzero(np.isfinite(told)) if differs(past[:, i])]
        if not useful:
            return None
        past = past[:, useful]
        centre, spread = np.nanmean(past, axis=0), np.nanstd(past, axis=0)
        return similarity_weights(
            standardised(past, centre, spread), standardised(told[useful], centre, spread)
        )
