"""From the choice of a prior to what drives the study: sampler, pruner, warm starts."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from optuna import Study
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import TrialState

from automl_meta._typing import JSON, Configuration
from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import Family
from automl_meta.spaces import SearchSpace
from automl_meta.tasks.task import Task

#: Trials that Optuna's TPE draws at random before its model speaks.
_TPE_STARTUP = 10


@dataclass(frozen=True)
class PriorUse:
    """Which prior a run used, and why: the ``prior`` object of ``result.json``.

    Attributes:
        used: Whether a meta-learner took part.
        name: Name of the meta-learner, or ``"none"``.
        model: ``"all"``, ``"fold 3"`` and so on, or None.
        reason: One sentence for the report.
        n_tasks: Number of tasks that the model was trained on.
        metric: Metric whose ranks it learned, or empty.
        metric_note: One sentence where that is not the task's own metric, else empty.
    """

    used: bool
    name: str
    model: str | None
    reason: str
    n_tasks: int = 0
    metric: str = ""
    metric_note: str = ""

    def to_json(self) -> JSON:
        """Return the record as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class SearchRequest:
    """What a searcher is made for.

    Attributes:
        prior: ``"default"``, ``"none"`` or the path of a meta-learner.
        task: The task.
        family: The family that is searched.
        space: Its search space, possibly narrowed or replaced by the user.
        seed: Seed of the sampler.
        trials: Trials in all.
    """

    prior: str
    task: Task
    family: Family
    space: SearchSpace
    seed: int
    trials: int


@dataclass(frozen=True)
class Searcher:
    """What drives a study.

    Attributes:
        sampler: Proposes configurations.
        pruner: Judges a trial after each fold.
        warm_start: Configurations to be tried first; valid in the space.
        prior: What the report says about the prior.
        origin: Study to the origin of the next trial, for trials that carry no origin of their own.
    """

    sampler: BaseSampler
    pruner: BasePruner
    warm_start: tuple[Configuration, ...]
    prior: PriorUse
    origin: Callable[[Study], str]


def make_searcher(request: SearchRequest) -> Searcher:
    """Return the sampler, pruner and warm starts for a choice of prior.

    Args:
        request: The choice and what it is for.

    Raises:
        InvalidParameterError: If the prior is a path where nothing lies.
        StoreError: If the meta-learner there is damaged or of another search space.
    """
    if request.prior == "none":
        return plain_searcher(
            request, "No prior was asked for: Optuna's TPE searched from scratch."
        )
    if request.prior != "default" and not Path(request.prior).exists():
        raise InvalidParameterError.of(
            "prior",
            "fit",
            "'default', 'none' or the path of a trained meta-learner",
            request.prior,
            "Train one with automl-meta train, or leave --prior out.",
        )
    return plain_searcher(
        request,
        f"No meta-learner is shipped for family {request.family.name} on {request.task.problem} tasks: "
        "Optuna's TPE searched from scratch.",
    )


def plain_searcher(request: SearchRequest, reason: str) -> Searcher:
    """Return Optuna's default TPE with the seed, without warm starts and without a pruner.

    Args:
        request: What the searcher is for.
        reason: Why no prior is used, for the report.
    """
    return Searcher(
        sampler=TPESampler(seed=request.seed, n_startup_trials=_TPE_STARTUP),
        pruner=NopPruner(),
        warm_start=(),
        prior=PriorUse(used=False, name="none", model=None, reason=reason),
        origin=_tpe_origin,
    )


def _tpe_origin(study: Study) -> str:
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    done = study.get_trials(deepcopy=False, states=states)
    return "random" if len(done) < _TPE_STARTUP else "tpe"
