"""The public face of a prior: load it, and make what a study needs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from optuna import Study
from optuna.storages import BaseStorage

from automl_meta.exceptions import InvalidParameterError, check_whole
from automl_meta.metadata.past import (
    PastTask,
    checked_features,
    checked_truth,
    past_tasks_of_frame,
)
from automl_meta.metadata.studies import (
    check_studies,
    common_space,
    load_studies,
    past_tasks_of_studies,
)
from automl_meta.metalearn import Algorithm
from automl_meta.prior import (
    Learner,
    Prior,
    is_past,
    learn_past,
    load_learner,
    load_past,
    save_learner,
    save_past,
)
from automl_meta.search.history import score_of, sign_of
from automl_meta.search.pruner import MetaPruner
from automl_meta.search.sampler import MetaSampler
from automl_meta.search.task_features import described_tasks, known_numbers
from automl_meta.search.warm_start import warm_start
from automl_meta.spaces import SearchSpace

if TYPE_CHECKING:
    from pandas import DataFrame


class MetaLearner:
    """What was learned across tasks, ready to serve Optuna studies.

    One meta-learner may serve any number of studies: it is never changed by them.

    Args:
        learner: What is stored: priors for all tasks and for every left-out fold, or a prior of past searches.
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

    def __init__(self, learner: Learner | Prior, *, model: str = "all") -> None:
        if isinstance(learner, Prior) and model != "all":
            raise InvalidParameterError.of(
                "model",
                "MetaLearner",
                "'all': a learner of past searches has no models of left-out folds",
                model,
                "Leave it out.",
            )
        self._learner = learner
        self._prior = learner if isinstance(learner, Prior) else learner.prior(model)

    @classmethod
    def from_studies(
        cls,
        studies: Sequence[Study],
        *,
        space: SearchSpace | None = None,
        algorithm: Algorithm | None = None,
        warm_start: int = 5,
        task_features: Mapping[str, Mapping[str, float]] | None = None,
        seed: int = 0,
    ) -> "MetaLearner":
        """Learn from past Optuna studies.

        Complete trials count with their value, pruned ones with the lower of their last and mean
        intermediate value, failed ones as the worst of their study. Studies of both directions may be
        mixed. Their spaces may differ: ranges and choices are united, a parameter that a study lacks is
        missing in its trials. Where trials reported fold scores, ``pruner`` learns from them.

        Args:
            studies: At least one, with one objective each.
            space: The space to learn on, if it is not to be the union; trials outside it are left out.
            algorithm: How the deep-kernel surrogate adapts to a new task's trials; Meta-SGD by default.
            warm_start: How many starting points ``warm_start`` queues where it is not told, >= 1.
            task_features: Study name to numbers that describe its task: what ``warm_start`` and ``sampler`` are then told
                of a new task decides what they expect. A study that is not named may carry its own, in its user
                attribute ``task_features``.
            seed: Seed of the training.

        Raises:
            InvalidParameterError: If a study has several objectives, a parameter is a number in one study
                and a category in another, or no trial has finished.

        Example:
            >>> import optuna
            >>> def study_of(best):
            ...     study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
            ...     study.optimize(lambda trial: (trial.suggest_float("x", 0, 1) - best) ** 2, n_trials=20)
            ...     return study
            >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
            >>> learner = MetaLearner.from_studies([study_of(0.7), study_of(0.75)])
            >>> new = optuna.create_study(sampler=learner.sampler(seed=0))
            >>> learner.warm_start(new, 2)
            2
        """
        given = check_studies(studies)
        _check_space(space, "MetaLearner.from_studies")
        names = [study.study_name for study in given]
        described = described_tasks(task_features, names, "MetaLearner.from_studies")
        common = common_space(given) if space is None else space
        tasks = past_tasks_of_studies(given, common, score_of, described)
        return cls.from_tasks(tasks, common, algorithm=algorithm, warm_start=warm_start, seed=seed)

    @classmethod
    def from_storage(
        cls,
        storage: str | Path | BaseStorage,
        *,
        names: Sequence[str] | None = None,
        space: SearchSpace | None = None,
        algorithm: Algorithm | None = None,
        warm_start: int = 5,
        task_features: Mapping[str, Mapping[str, float]] | None = None,
        seed: int = 0,
    ) -> "MetaLearner":
        """Learn from the studies of an Optuna storage; see ``from_studies``.

        Args:
            storage: A database URL such as ``"sqlite:///past.db"``, the path of a journal file
                (``.log`` or ``.journal``), or a storage, a gRPC proxy for instance.
            names: Studies to learn from; by default all that have one objective.
            space: See ``from_studies``.
            algorithm: See ``from_studies``.
            warm_start: See ``from_studies``.
            task_features: See ``from_studies``.
            seed: See ``from_studies``.

        Raises:
            InvalidParameterError: If a named study does not exist, or as ``from_studies``.
            StoreError: If the storage cannot be opened.
        """
        studies = load_studies(storage, names)
        return cls.from_studies(
            studies,
            space=space,
            algorithm=algorithm,
            warm_start=warm_start,
            task_features=task_features,
            seed=seed,
        )

    @classmethod
    def from_frame(  # noqa: PLR0913 - the columns' names beside the options of all sources
        cls,
        frame: "DataFrame",
        space: SearchSpace,
        *,
        task: str,
        value: str,
        maximize: bool = True,
        algorithm: Algorithm | None = None,
        warm_start: int = 5,
        task_features: Mapping[str, Mapping[str, float]] | None = None,
        seed: int = 0,
    ) -> "MetaLearner":
        """Learn from a table with one row an evaluation.

        Args:
            frame: A column for each recorded parameter, one for the task, one for the value. A missing
                entry is a parameter that was inactive or not recorded, a missing value a failed evaluation.
            space: The search space; rows outside it are left out.
            task: Name of the task column.
            value: Name of the value column.
            maximize: Whether a greater value is better.
            algorithm: See ``from_studies``.
            warm_start: See ``from_studies``.
            task_features: Entry of the task column, as a string, to numbers that describe the task; see
                ``from_studies``.
            seed: Seed of the training.

        Raises:
            InvalidParameterError: If a column is missing, no column is a parameter, no value is known, or features are
                of a task that the table does not have.
        """
        _check_space(space, "MetaLearner.from_frame", needed=True)
        tasks = past_tasks_of_frame(frame, space, task=task, value=value, maximize=maximize)
        names = [t.name for t in tasks]
        described = described_tasks(task_features, names, "MetaLearner.from_frame")
        return cls.from_tasks(
            tasks,
            space,
            algorithm=algorithm,
            warm_start=warm_start,
            task_features=described,
            seed=seed,
        )

    @classmethod
    def from_tasks(
        cls,
        tasks: Sequence[PastTask],
        space: SearchSpace,
        *,
        algorithm: Algorithm | None = None,
        warm_start: int = 5,
        task_features: Mapping[str, Mapping[str, float]] | None = None,
        refine: bool = True,
        seed: int = 0,
    ) -> "MetaLearner":
        """Learn from past tasks in the common form; ``metadata`` has importers that make them.

        Args:
            tasks: From ``metadata.past`` (tables), ``metadata.arrays`` (blackbox arrays) or ``metadata.hpob``.
            space: Their space.
            algorithm: See ``from_studies``.
            warm_start: See ``from_studies``.
            task_features: Task name to numbers that describe it, beside those that it brings; see ``from_studies``.
            refine: Whether starting points may be new configurations, found on the learned responses; False for
                searches among given configurations, a table for instance.
            seed: Seed of the training.

        Raises:
            InvalidParameterError: If no evaluation is known, or features are of a task that is not there.
        """
        _check_space(space, "MetaLearner.from_tasks", needed=True)
        if not isinstance(tasks, Sequence) or not all(isinstance(t, PastTask) for t in tasks):
            rule, remedy = (
                "a list of PastTask",
                "Make them with metadata.past, metadata.arrays or metadata.hpob.",
            )
            raise InvalidParameterError.of("tasks", "MetaLearner.from_tasks", rule, tasks, remedy)
        where = "MetaLearner.from_tasks"
        checked_truth(refine, "refine", where)
        described = described_tasks(task_features, [t.name for t in tasks], where)
        told = [
            replace(
                t, features={**checked_features(t.features, where), **described.get(t.name, {})}
            )
            for t in tasks
        ]
        learned = learn_past(
            told, space, algorithm=algorithm, n_start=warm_start, refine=refine, seed=seed
        )
        return cls(learned)

    @classmethod
    def load(cls, folder: str | Path, *, model: str = "all") -> "MetaLearner":
        """Load a meta-learner that ``save`` or ``automl-meta train`` wrote.

        Args:
            folder: The folder of one search space's learner.
            model: Which of its models serves.

        Raises:
            StoreError: If it is missing, damaged or of another schema.
            InvalidParameterError: If there is no such model, or the folder is no path.
        """
        path = _path(folder, "MetaLearner.load")
        return cls(load_past(path) if is_past(path) else load_learner(path), model=model)

    def save(self, folder: str | Path) -> None:
        """Write the whole meta-learner, all its models, as safetensors and JSON.

        Args:
            folder: Made if it does not exist.

        Raises:
            StoreError: If it cannot be made.
            InvalidParameterError: If it is no path.
        """
        path = _path(folder, "MetaLearner.save")
        if isinstance(self._learner, Prior):
            save_past(self._learner, path)
        else:
            save_learner(self._learner, path)

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
        task_features: Mapping[str, float] | None = None,
    ) -> MetaSampler:
        """Return a sampler; see ``MetaSampler`` for the arguments.

        Args:
            space: The space of the search, if it is not the learner's.
            seed: Fixes the proposals.
            n_startup_trials: Random trials for parameters that were never learned.
            task_features: Numbers that describe the new task, by the names that past tasks had: they decide what is
                expected of configurations before the task's own trials tell. Past tasks that were too few, or whose
                numbers predicted nothing, change nothing.

        Raises:
            InvalidParameterError: If the learner knows none of the names, or a task feature is no number.
        """
        _check_space(space, "MetaLearner.sampler")
        told = known_numbers(task_features, self._prior, "MetaLearner.sampler")
        prior = self._prior.conditioned(told)
        return MetaSampler(prior, space=space, seed=seed, n_startup_trials=n_startup_trials)

    def pruner(self, *, n_folds: int | None = None) -> MetaPruner:
        """Return a pruner over fold scores; see ``MetaPruner``.

        One learned from past studies prunes if five of them or more, each with ten complete trials, reported fold scores:
        four or more at consecutive steps from 0 or 1, their mean the trial's value. Otherwise it never does.

        Args:
            n_folds: Folds of a complete trial, >= 2; None for as many as most of those studies had, 5 if none.
        """
        model = self._prior.pruner
        return MetaPruner(model, n_folds=model.n_folds if n_folds is None else n_folds)

    def warm_start(
        self,
        study: Study,
        n: int | None = None,
        *,
        task_features: Mapping[str, float] | None = None,
        space: SearchSpace | None = None,
    ) -> int:
        """Queue the best starting configurations of past tasks.

        Args:
            study: The study.
            n: How many, >= 1; None for the learner's own number: 5 unless it was made with another, 1 for the
                learners of ``automl-meta collect``.
            task_features: Numbers that describe the new task, where they should choose among the starting points.
            space: The study's space, if it is not the learner's: starting points of other categories
                are left out, numbers are clipped into it.

        Returns:
            How many were queued; fewer than ``n`` where clipping makes two equal or the study has some.

        Raises:
            InvalidParameterError: If ``n`` is no int >= 1, a task feature is no number, or the learner knows none
                of their names.
        """
        if n is None:
            n = self._prior.n_start
        n = check_whole(n, "n", "MetaLearner.warm_start", 1, remedy="Try n=5.")
        _check_space(space, "MetaLearner.warm_start")
        _check_study(study, "MetaLearner.warm_start")
        searched = self.space if space is None else space
        told = known_numbers(task_features, self._prior, "MetaLearner.warm_start")
        configurations = self._prior.warm_start(n, told, space=searched)
        return warm_start(study, configurations, searched)


def _path(folder: object, where: str) -> Path:
    if isinstance(folder, str | PathLike):
        return Path(folder)
    raise InvalidParameterError.of("folder", where, "a path", folder, "Try 'learner'.")


def _check_study(study: object, where: str) -> None:
    if not isinstance(study, Study):
        rule, remedy = "an optuna.Study", "Make one with optuna.create_study."
        raise InvalidParameterError.of("study", where, rule, study, remedy)
    sign_of(study, where)


def _check_space(space: object, where: str, *, needed: bool = False) -> None:
    if isinstance(space, SearchSpace) or (space is None and not needed):
        return
    rule = "a SearchSpace" if needed else "a SearchSpace, or None"
    remedy = 'Try SearchSpace("mine", 1, {"x": FloatDistribution(0, 1)}).'
    raise InvalidParameterError.of("space", where, rule, space, remedy)
