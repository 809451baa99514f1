"""From the choice of a prior to what drives the study: sampler, pruner, warm starts."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from optuna import Study
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import TrialState

from automl_meta._typing import JSON, Configuration
from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import Family
from automl_meta.spaces import SearchSpace
from automl_meta.tasks.fingerprint import fingerprint
from automl_meta.tasks.meta_features import meta_features
from automl_meta.tasks.metrics import default_metric
from automl_meta.tasks.task import Task

if TYPE_CHECKING:
    from automl_meta.prior import Choice, Collection
    from automl_meta.search import MetaLearner

#: Trials that Optuna's TPE draws at random before its model speaks.
_TPE_STARTUP = 10
#: Multiplier that keeps the TPE samplers of a resumed run apart: the same seed again would draw the
#: configurations that the first part has already drawn.
_RESUME_STRIDE = 1_000_003


@dataclass(frozen=True)
class PriorUse:
    """Which prior a run used, and why: the ``prior`` object of ``result.json``.

    Attributes:
        used: Whether a meta-learner took part.
        name: Name of the meta-learner, or ``"none"``.
        model: ``"all"``, ``"fold 3"`` and so on, or None.
        reason: One sentence for the report.
        n_tasks: Number of tasks that the model was trained on.
        metric: Metric whose scores it learned, or empty.
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
        folds: Cross-validation folds of a complete trial.
        earlier: Trials that an interrupted run has begun already.
    """

    prior: str
    task: Task
    family: Family
    space: SearchSpace
    seed: int
    trials: int
    folds: int
    earlier: int = 0

    @cached_property
    def features(self) -> dict[str, float]:
        """Meta-features of the task."""
        return meta_features(self.task)


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


def make_searcher(request: SearchRequest, n_starts: int | None = None) -> Searcher:
    """Return the sampler, pruner and warm starts for a choice of prior.

    Args:
        request: The choice and what it is for.
        n_starts: Trials that come from the warm-start set, at most; None for the meta-learner's own number.

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
    # PyTorch is needed from here on, and not by predict or a search without a prior.
    from automl_meta.prior import is_past
    from automl_meta.prior.storage import MANIFEST
    from automl_meta.search import MetaLearner

    folder = Path(request.prior)
    if request.prior != "default" and (folder / MANIFEST).is_file() and is_past(folder):
        return _past_searcher(request, MetaLearner.load(folder), n_starts)
    collection = _collection(request.prior)
    learner = collection.learner(request.family.space(request.task.problem))
    if learner is None:
        return plain_searcher(
            request,
            f"There is no meta-learner for family {request.family.name} on {request.task.problem} tasks: "
            "Optuna's TPE searched from scratch.",
        )
    if not _share_parameters(learner.space, request.space):
        return _stranger(request)
    choice = collection.choose(learner, fingerprint(request.task))
    if choice.model is None:
        return plain_searcher(request, f"{choice.reason} Optuna's TPE searched from scratch.")
    return _learned_searcher(request, MetaLearner(learner, model=choice.model), choice, n_starts)


def _share_parameters(learned: SearchSpace, searched: SearchSpace) -> bool:
    return bool(set(learned.distributions) & set(searched.distributions))


def _unlearned(learned: SearchSpace, searched: SearchSpace) -> str:
    """Say how little a learner of other searches knows, nothing where it knows every parameter."""
    known = [name for name in searched.distributions if name in learned.distributions]
    n = len(searched.distributions)
    if len(known) == n:
        return ""
    return f" It knows {len(known)} of the {n} parameters ({', '.join(known)}); TPE searches the others."


def _stranger(request: SearchRequest) -> Searcher:
    """Return a search without the meta-learner: it knows none of the parameters."""
    return plain_searcher(
        request,
        f"The search space {request.space.name} shares no parameter with the meta-learner's: Optuna's TPE "
        "searched from scratch.",
    )


def _past_searcher(
    request: SearchRequest, learner: "MetaLearner", n_starts: int | None
) -> Searcher:
    """Return what a learner of past searches makes; studies carry no fingerprint of their data."""
    if not _share_parameters(learner.prior.space, request.space):
        return _stranger(request)
    use = PriorUse(
        used=True,
        name=Path(request.prior).resolve().name,
        model="all",
        reason=(
            f"It learned from past searches ({request.prior}). Whether one of them was on this task or a copy of it is "
            f"not recorded.{_unlearned(learner.prior.space, request.space)}"
        ),
        n_tasks=learner.prior.facts["n_tasks"],
        metric_note=(
            "The past searches' own values were learned; that they measured what this search optimises is not checked."
        ),
    )
    return _learned(request, learner, use, n_starts)


def _collection(prior: str) -> "Collection":
    """Return the collection that ships, or the one at a path (one learner's own folder will do)."""
    from automl_meta.prior import Collection
    from automl_meta.prior.storage import MANIFEST

    if prior == "default":
        return Collection()
    folder = Path(prior)
    return Collection(folder.parent if (folder / MANIFEST).is_file() else folder)


def _learned_searcher(
    request: SearchRequest, learner: "MetaLearner", choice: "Choice", n_starts: int | None
) -> Searcher:
    facts = learner.prior.facts
    use = PriorUse(
        used=True,
        name=facts["name"],
        model=choice.model,
        reason=choice.reason,
        n_tasks=facts["n_tasks"],
        metric=facts["metric"],
        metric_note=_metric_note(request.task, facts["metric"]),
    )
    return _learned(request, learner, use, n_starts)


def _learned(
    request: SearchRequest, learner: "MetaLearner", use: PriorUse, n_starts: int | None
) -> Searcher:
    from automl_meta.search import MetaSampler

    n = min(learner.prior.n_start if n_starts is None else n_starts, request.trials)
    starts = learner.prior.warm_start(n, request.features, space=request.space)
    # A learner of past searches that were no fits may know none of them.
    prior = learner.prior.conditioned(request.features)
    return Searcher(
        sampler=MetaSampler(prior, space=request.space, seed=request.seed),
        pruner=learner.pruner(n_folds=request.folds),
        warm_start=tuple(request.space.clip(start) for start in starts),
        prior=use,
        origin=lambda _study: "model",
    )


def _metric_note(task: Task, learned: str) -> str:
    metric, _ = default_metric(task.kind)
    if task.metric == metric:
        return ""
    return (
        f"The meta-learner ranks configurations by {learned}; this search optimises {task.metric}, for which "
        "that order is the nearest known one."
    )


def plain_searcher(request: SearchRequest, reason: str) -> Searcher:
    """Return Optuna's default TPE with the seed, without warm starts and without a pruner.

    Args:
        request: What the searcher is for.
        reason: Why no prior is used, for the report.
    """
    # Its random state runs along with it, unlike MetaSampler's, which knows the trial's number.
    seed = (request.seed + request.earlier * _RESUME_STRIDE) % 2**32
    return Searcher(
        sampler=TPESampler(seed=seed, n_startup_trials=_TPE_STARTUP),
        pruner=NopPruner(),
        warm_start=(),
        prior=PriorUse(used=False, name="none", model=None, reason=reason),
        origin=_tpe_origin,
    )


def _tpe_origin(study: Study) -> str:
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    done = study.get_trials(deepcopy=False, states=states)
    return "random" if len(done) < _TPE_STARTUP else "tpe"
