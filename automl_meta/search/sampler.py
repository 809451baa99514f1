"""The Optuna sampler that asks a prior for whole configurations."""

import logging
import threading
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from automl_meta._typing import ParamValue
from automl_meta.exceptions import InvalidParameterError, check_whole
from automl_meta.prior import Observation
from automl_meta.search import history
from automl_meta.search.attributes import (
    ORIGIN,
    QUEUED,
    WARM_START,
    fixed_params,
    read_plan,
    release,
    set_user_attr,
    write_plan,
)
from automl_meta.search.history import Readings
from automl_meta.search.interface import SearchPrior
from automl_meta.search.searched import reaches_beyond, searched_space
from automl_meta.search.values import UNUSABLE, converted
from automl_meta.spaces import SearchSpace

_logger = logging.getLogger(__name__)

#: Where a search reaches beyond what the prior knows, every third trial is TPE's, which looks there too.
_BEYOND_EVERY = 3
#: Proposals asked for before a new one is drawn at random, where all were tried before.
_PROPOSALS = 3
_DRAWS = 20
#: How strongly an origin speaks: a trial is the model's if any of its parameters is.
_STRENGTH = {"random": 0, "tpe": 1, "model": 2, "user": 3, WARM_START: 3}


class MetaSampler(BaseSampler):
    """Samples what a prior proposes after seeing the study's trials.

    A whole configuration is planned at a trial's first suggest and handed out value by value, so spaces
    are define-by-run and may have conditions, and the very first trials are planned jointly too. The plan is
    written to the trial, where parallel workers see it. Nothing else is remembered but what can be read again: any
    number of threads and processes may share a study, and a resumed study goes on as if it had not stopped.

    A prior that the trials contradict hands over to TPE, which samples jointly what can be. The objective decides
    ranges and choices: proposals follow those of the latest trials, and where these go beyond the prior's, every third
    trial is TPE's.

    Trials are read in all states: complete, pruned (a pessimistic score), failed (avoided), running and
    waiting (kept away from). Parameters that the prior does not know are sampled by Optuna's TPE.

    Args:
        prior: What was learned across tasks.
        space: The space of this search, if it is not the prior's: a narrowed one, for instance. Without it the
            first trial tells. Parameters that the prior does not know may be part of it.
        seed: Fixes all proposals of a study on one job; None for a different study every time.
        n_startup_trials: Trials before TPE's model speaks, for parameters that the prior does not know.

    Raises:
        InvalidParameterError: If ``space`` shares no parameter with the prior's, or ``seed`` or
            ``n_startup_trials`` is no int >= 0.

    Example:
        >>> import optuna
        >>> from optuna.distributions import FloatDistribution
        >>> class Halves:
        ...     space, closed = SearchSpace("toy", 1, {"x": FloatDistribution(0, 1)}), False
        ...     def propose(self, observed, pending, rng, space=None):
        ...         return {"x": 0.5 ** len(observed)}
        ...     def hands_over(self, observed):
        ...         return False
        >>> study = optuna.create_study(sampler=MetaSampler(Halves(), seed=0))
        >>> study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
        >>> [trial.params["x"] for trial in study.trials]
        [1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        prior: SearchPrior,
        *,
        space: SearchSpace | None = None,
        seed: int | None = None,
        n_startup_trials: int = 10,
    ) -> None:
        where = "MetaSampler"
        if seed is not None:
            seed = check_whole(seed, "seed", where, 0, remedy="Try seed=0, or None.")
        startup = check_whole(n_startup_trials, "n_startup_trials", where, 0, remedy="Try 10.")
        self._prior = prior
        self._space = prior.space if space is None else space
        self._known = _known_to_both(prior.space, self._space)
        self._n_startup_trials = startup
        self._entropy = seed if seed is not None else _fresh_entropy()
        self._forget()

    def _forget(self) -> None:
        """Start with a lock and readings of its own."""
        self._lock, self._has_warned = threading.RLock(), False
        self._observations = Readings[Observation | None]()
        self._tried = Readings[dict[str, ParamValue] | None]()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the lock, which cannot be pickled, and without what can be read again."""
        own = ("_lock", "_has_warned", "_observations", "_tried")
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state with a lock of its own."""
        self.__dict__.update(state)
        self._forget()

    def reseed_rng(self) -> None:
        """Draw a new seed, as Optuna asks of every sampler when a study runs in several threads."""
        with self._lock:
            self._entropy = _fresh_entropy()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Mark a trial that a user enqueued, and make a queued starting point a plan.

        Optuna insists on queued values, in the study's ranges or not, and fails on a category that the study lacks;
        a plan is moved into the study's distributions.

        Args:
            study: The study.
            trial: The trial that starts.
        """
        fixed = fixed_params(trial)
        if fixed and ORIGIN not in trial.user_attrs:
            set_user_attr(study, trial, QUEUED, fixed)
            set_user_attr(study, trial, ORIGIN, "user")
        elif fixed and trial.user_attrs[ORIGIN] == WARM_START:
            self._plan_start(study, trial, fixed)

    def _plan_start(self, study: Study, trial: FrozenTrial, fixed: dict[str, ParamValue]) -> None:
        """Make a queued starting point a plan, unless the study's ranges make it one that was tried."""
        trials = study.get_trials(deepcopy=False)
        space = searched_space(trials, self._space, self._known)
        tried: list[dict[str, ParamValue]] = []
        if space is not self._space:
            tried = self._tried_before(trials, trial.number, space, {})
        if self._complete(fixed, space, {}) in tried:
            set_user_attr(study, trial, ORIGIN, "random")  # the least: whoever samples it says so
        else:
            write_plan(study, trial, fixed)
        release(trial, self._known)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that TPE samples jointly: those that the prior does not know.

        The known ones are planned jointly at the first suggest instead: a relative space would be empty
        until a trial is complete, and could not tolerate a distribution that changes.

        Args:
            study: The study.
            trial: The trial.

        Raises:
            InvalidParameterError: If the study has several objectives.
        """
        sign = history.sign_of(study, "MetaSampler")
        cold = self._hands_over(study, trial, sign)
        # TPE reads every trial: it is asked only where a trial has a parameter that is its own.
        if not cold and all(
            t.params.keys() <= self._known for t in study.get_trials(deepcopy=False)
        ):
            return {}
        space = self._tpe(trial, "").infer_relative_search_space(study, trial)
        return {name: d for name, d in space.items() if cold or name not in self._known}

    def _hands_over(self, study: Study, trial: FrozenTrial, sign: float) -> bool:
        """Ask the prior once a trial whether it has something to say; an empty plan says no."""
        written = read_plan(trial)
        if written is not None:
            return not written
        trials = study.get_trials(deepcopy=False)
        if not self._goes_beyond(trials, trial.number) and not self._prior.hands_over(
            self._observed(trials, sign)
        ):
            return False
        write_plan(study, trial, {})
        return True

    def _goes_beyond(self, trials: list[FrozenTrial], number: int) -> bool:
        """Tell whether a trial is one of those that look beyond what the prior knows; the first time warn."""
        if self._prior.closed or number % _BEYOND_EVERY != _BEYOND_EVERY - 1:
            return False
        searched = searched_space(trials, self._space, self._known)
        beyond = reaches_beyond(searched, self._prior.space)
        if beyond and not self._has_warned:
            self._has_warned = True
            _logger.warning(
                "The search has values of %s that were not learned: every third trial is TPE's.",
                ", ".join(beyond),
            )
        return bool(beyond)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample parameters jointly: known ones by the prior, the others by TPE.

        Args:
            study: The study.
            trial: The trial.
            search_space: The parameters.

        Returns:
            One value per parameter.

        Raises:
            InvalidParameterError: If the study has several objectives.
        """
        history.sign_of(study, "MetaSampler")
        cold = read_plan(trial) == {}
        unknown = {n: d for n, d in search_space.items() if cold or n not in self._known}
        values = self._tpe(trial, "").sample_relative(study, trial, unknown) if unknown else {}
        if values:
            self._mark(study, trial, "tpe")
        for name, distribution in search_space.items():
            if name not in values:
                values[name] = self.sample_independent(study, trial, name, distribution)
        return {name: values[name] for name in search_space}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the planned value of a parameter, or TPE's where there is no usable plan.

        Args:
            study: The study.
            trial: The trial.
            param_name: Name of the parameter.
            param_distribution: Its distribution in this trial.

        Raises:
            InvalidParameterError: If the study has several objectives.
        """
        sign = history.sign_of(study, "MetaSampler")
        if param_name in self._known:
            plan = self._plan(study, trial, sign)
            if param_name in plan:
                value = converted(
                    plan[param_name], self._space.distributions[param_name], param_distribution
                )
                if value is not UNUSABLE:
                    return value
        return self._fall_back(study, trial, param_name, param_distribution)

    def _fall_back(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        started = len(study.get_trials(deepcopy=False, states=states)) >= self._n_startup_trials
        self._mark(study, trial, "tpe" if started else "random")
        return self._tpe(trial, name).sample_independent(study, trial, name, distribution)

    def _plan(self, study: Study, trial: FrozenTrial, sign: float) -> dict[str, ParamValue]:
        """Return the trial's whole configuration, making it at the first call."""
        written = read_plan(trial)
        if written is not None:
            return written
        # One plan at a time: the next thread must see this one among the pending configurations.
        with self._lock:
            rng = self._rng(trial, "plan")
            plan, origin = self._propose(study, trial, sign, rng)
            write_plan(study, trial, plan)
            for _ in range(_PROPOSALS):
                if not _planned_elsewhere(study, trial, plan):
                    break
                plan, origin = self._propose(study, trial, sign, rng)  # sees the other plan now
                write_plan(study, trial, plan)
            self._mark(study, trial, origin)
        return plan

    def _propose(
        self, study: Study, trial: FrozenTrial, sign: float, rng: np.random.Generator
    ) -> tuple[dict[str, ParamValue], str]:
        """Return a configuration that was not tried before, and whether the model made it."""
        trials = study.get_trials(deepcopy=False)
        observed = self._observed(trials, sign)
        waiting = history.pending(trials, self._prior.space, trial.number)
        # A queued starting point without a plan was released; a storage may still tell what it was.
        fixed = fixed_params(trial) if trial.user_attrs.get(ORIGIN) == "user" else {}
        given = {**fixed, **trial.params}
        space = searched_space(trials, self._space, self._known)
        tried = self._tried_before(trials, trial.number, space, given)
        plan: dict[str, ParamValue] = {}
        for _ in range(_PROPOSALS):
            proposal = dict(self._prior.propose(observed, waiting, rng, space=space))
            plan = self._complete(proposal, space, given)
            if plan not in tried:
                return plan, "model"
            # A narrower space may lack parameters of the prior's.
            waiting = [*waiting, self._prior.space.clip(proposal)]
        for drawn in space.sample(rng, _DRAWS):
            candidate = self._complete(drawn, space, given)
            if candidate not in tried:
                return candidate, "random"
        return plan, "model"  # everything was tried: a small discrete space

    def _observed(self, trials: list[FrozenTrial], sign: float) -> list[Observation]:
        told = self._observations.of(
            trials, lambda trial: history.observation_of(trial, self._prior.space, sign)
        )
        return [observation for observation in told if observation is not None]

    def _tried_before(
        self,
        trials: list[FrozenTrial],
        but: int,
        space: SearchSpace,
        given: Mapping[str, ParamValue],
    ) -> list[dict[str, ParamValue]]:
        """Return what other trials tried or will try, as they would be with the values that are given here."""
        waiting = history.pending(trials, space, but)
        if given or space is not self._space:
            finished = [t.params for t in trials if t.state.is_finished() and t.params]
            return [self._complete(params, space, given) for params in [*finished, *waiting]]
        known = self._tried.of(
            trials, lambda t: self._complete(t.params, space, {}) if t.params else None
        )
        told = [configuration for configuration in known if configuration is not None]
        return told + [self._complete(configuration, space, {}) for configuration in waiting]

    def _complete(
        self,
        proposal: Mapping[str, ParamValue],
        space: SearchSpace,
        given: Mapping[str, ParamValue],
    ) -> dict[str, ParamValue]:
        """Return the known part of a valid configuration that keeps what the trial already has."""
        valid = space.clip({**proposal, **given})
        return {name: value for name, value in valid.items() if name in self._known}

    def _mark(self, study: Study, trial: FrozenTrial, origin: str) -> None:
        before = trial.user_attrs.get(ORIGIN)
        if before is None or _STRENGTH.get(before, 3) < _STRENGTH[origin]:
            set_user_attr(study, trial, ORIGIN, origin)

    def _rng(self, trial: FrozenTrial, purpose: str) -> np.random.Generator:
        """Return a generator that depends on seed, trial and purpose alone.

        A state that runs along with the sampler would start over when a study is resumed, and would be
        shared by workers with the same seed.
        """
        return np.random.default_rng([self._entropy, trial.number, zlib.crc32(purpose.encode())])

    def _tpe(self, trial: FrozenTrial, name: str) -> TPESampler:
        seed = int(self._rng(trial, f"tpe {name}").integers(2**32))
        return TPESampler(seed=seed, n_startup_trials=self._n_startup_trials)


def _known_to_both(learned: SearchSpace, searched: SearchSpace) -> frozenset[str]:
    known = frozenset(learned.distributions) & frozenset(searched.distributions)
    if not known:
        raise InvalidParameterError.of(
            "space",
            "MetaSampler",
            f"a space that shares parameters with the prior's ({', '.join(learned.distributions)})",
            list(searched.distributions),
            "Use the prior's names, or a sampler without a prior.",
        )
    return known


def _planned_elsewhere(study: Study, trial: FrozenTrial, plan: Mapping[str, ParamValue]) -> bool:
    """Tell whether another process has written the same plan for another trial since this one was made.

    Whoever sees it plans anew: were it only the later trial, an earlier one that writes last would go
    unnoticed by both.
    """
    others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
    return any(read_plan(other) == plan for other in others)


def _fresh_entropy() -> int:
    return int(np.random.default_rng().integers(2**63))
