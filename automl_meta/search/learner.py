"""The public face of a prior: load it, and make what a study needs."""

from collections.abc import Mapping
from pathlib import Path

from optuna import Study

from automl_meta.exceptions import InvalidParameterError
from automl_meta.search.interface import StoredPrior
from automl_meta.search.pruner import MetaPruner
from automl_meta.search.sampler import MetaSampler
from automl_meta.search.warm_start import warm_start
from automl_meta.spaces import SearchSpace


class MetaLearner:
    """What was learned across tasks, ready to serve Optuna studies.

    One meta-learner may serve any number of studies: it is never changed by them.

    Args:
        prior: The learned prior.

    Example:
        A search with everything that was learned::

            learner = MetaLearner.load("learners/random_forest-classification")
            study = optuna.create_study(
                direction="maximize",
                sampler=learner.sampler(seed=0),
                pruner=learner.pruner(n_folds=5),
            )
            learner.warm_start(study, 5)
            study.optimize(objective, n_trials=30)
    """

    def __init__(self, prior: StoredPrior) -> None:
        self._prior = prior

    @classmethod
    def load(cls, folder: str | Path) -> "MetaLearner":
        """Load a meta-learner that ``save`` or ``automl-meta train`` wrote.

        Args:
            folder: Its folder.

        Raises:
            StoreError: If it is missing, damaged or of another schema.
        """
        # PyTorch is needed from here on, and not before.
        from automl_meta.prior import Prior

        return cls(Prior.load(Path(folder)))

    def save(self, folder: str | Path) -> None:
        """Write the meta-learner as safetensors and JSON.

        Args:
            folder: Made if it does not exist.
        """
        self._prior.save(Path(folder))

    @property
    def prior(self) -> StoredPrior:
        """The prior itself."""
        return self._prior

    @property
    def space(self) -> SearchSpace:
        """The space that was learned on."""
        return self._prior.space

    def sampler(
        self,
        *,
        space: SearchSpace | None = None,
        seed: int | None = None,
        n_startup_trials: int = 10,
    ) -> MetaSampler:
        """Return a sampler; see ``MetaSampler`` for the arguments.

        Args:
            space: The space of the search, if it is not the learner's.
            seed: Fixes the proposals.
            n_startup_trials: Random trials for parameters that were never learned.
        """
        return MetaSampler(self._prior, space=space, seed=seed, n_startup_trials=n_startup_trials)

    def pruner(self, *, n_folds: int) -> MetaPruner:
        """Return a pruner over fold scores; see ``MetaPruner``.

        Args:
            n_folds: Folds of a complete trial.
        """
        return MetaPruner(self._prior.pruner, n_folds=n_folds)

    def warm_start(
        self,
        study: Study,
        n: int = 5,
        *,
        meta_features: Mapping[str, float] | None = None,
        space: SearchSpace | None = None,
    ) -> int:
        """Queue the best starting configurations of past tasks.

        Args:
            study: The study.
            n: How many, >= 1.
            meta_features: The new task's, where they should choose among the starting points.
            space: The study's space, if it is not the learner's: starting points are clipped into it.

        Returns:
            How many were queued; fewer than ``n`` where clipping makes two equal or the study has some.

        Raises:
            InvalidParameterError: If ``n`` is no int >= 1.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InvalidParameterError.of(
                "n", "MetaLearner.warm_start", "an int >= 1", n, "Try n=5."
            )
        configurations = self._prior.warm_start(n, meta_features)
        return warm_start(study, configurations, self.space if space is None else space)
