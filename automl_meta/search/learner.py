"""The public face of a prior: load it, and make what a study needs."""

from collections.abc import Mapping
from pathlib import Path

from optuna import Study

from automl_meta.exceptions import InvalidParameterError
from automl_meta.prior import Learner, Prior, load_learner, save_learner
from automl_meta.search.pruner import MetaPruner
from automl_meta.search.sampler import MetaSampler
from automl_meta.search.warm_start import warm_start
from automl_meta.spaces import SearchSpace


class MetaLearner:
    """What was learned across tasks, ready to serve Optuna studies.

    One meta-learner may serve any number of studies: it is never changed by them.

    Args:
        learner: What is stored: priors for all tasks and for every left-out fold.
        model: Which of them serves: ``"all"``, or ``"fold-K"``, which never saw the tasks of fold K.

    Raises:
        InvalidParameterError: If there is no such model.

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

    def __init__(self, learner: Learner, *, model: str = "all") -> None:
        self._learner = learner
        self._prior = learner.prior(model)

    @classmethod
    def load(cls, folder: str | Path, *, model: str = "all") -> "MetaLearner":
        """Load a meta-learner that ``save`` or ``automl-meta train`` wrote.

        Args:
            folder: The folder of one search space's learner.
            model: Which of its models serves.

        Raises:
            StoreError: If it is missing, damaged or of another schema.
            InvalidParameterError: If there is no such model.
        """
        return cls(load_learner(Path(folder)), model=model)

    def save(self, folder: str | Path) -> None:
        """Write the whole meta-learner, all its models, as safetensors and JSON.

        Args:
            folder: Made if it does not exist.
        """
        save_learner(self._learner, Path(folder))

    @property
    def prior(self) -> Prior:
        """The prior that serves."""
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
            space: The study's space, if it is not the learner's: starting points of other categories
                are left out, numbers are clipped into it.

        Returns:
            How many were queued; fewer than ``n`` where clipping makes two equal or the study has some.

        Raises:
            InvalidParameterError: If ``n`` is no int >= 1.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InvalidParameterError.of(
                "n", "MetaLearner.warm_start", "an int >= 1", n, "Try n=5."
            )
        searched = self.space if space is None else space
        configurations = self._prior.warm_start(n, meta_features, space=searched)
        return warm_start(study, configurations, searched)
