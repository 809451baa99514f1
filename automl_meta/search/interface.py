"""What a search asks of a prior; ``automl_meta.prior.Prior`` is one, and anything of this shape will do."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from automl_meta._typing import Configuration
from automl_meta.prior import Observation
from automl_meta.spaces import SearchSpace


class PruningModel(Protocol):
    """Judges whether the remaining folds of a configuration are worth their time."""

    def should_prune(
        self, fold_scores: Sequence[float], n_folds: int, finished: Sequence[Sequence[float]]
    ) -> bool:
        """Tell whether to stop after the folds seen so far.

        Args:
            fold_scores: Scores of the first folds, in fold order, greater is better.
            n_folds: Folds of a complete evaluation.
            finished: Fold scores of the complete evaluations of this search, each of ``n_folds``.
        """
        ...


class SearchPrior(Protocol):
    """What was learned across tasks, seen from a search."""

    @property
    def space(self) -> SearchSpace:
        """The space that was learned on."""
        ...

    @property
    def pruner(self) -> PruningModel:
        """The learned pruner."""
        ...

    def warm_start(
        self, n: int, meta_features: Mapping[str, float] | None = None
    ) -> Sequence[Configuration]:
        """Return up to ``n`` configurations to try first, best first, valid in ``space``."""
        ...

    def propose(
        self,
        observed: Sequence[Observation],
        pending: Sequence[Configuration],
        rng: np.random.Generator,
        *,
        space: SearchSpace | None = None,
    ) -> Configuration:
        """Return the configuration to try next, valid in ``space``.

        Args:
            observed: Finished evaluations, oldest first; possibly none.
            pending: Configurations being evaluated now: a proposal should keep away from them.
            rng: The only source of randomness.
            space: The space that is searched: the proposal's categories should be among its own.
        """
        ...

    @property
    def closed(self) -> bool:
        """Whether only given configurations may be proposed: a cold sampler never takes over."""
        ...

    def hands_over(self, observed: Sequence[Observation]) -> bool:
        """Tell whether the trials contradict what was learned, so that a cold sampler should go on.

        Args:
            observed: Finished evaluations, oldest first.
        """
        ...
