"""A study's trials as a prior wants them: observations and pending configurations, greater is better."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Generic, TypeVar

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from automl_meta._typing import ParamValue
from automl_meta.exceptions import InvalidParameterError
from automl_meta.prior import Observation
from automl_meta.search.attributes import INTERRUPTED, fixed_params, read_plan
from automl_meta.spaces import SearchSpace

T = TypeVar("T")


def sign_of(study: Study, where: str) -> float:
    """Return what makes a study's values greater-is-better by multiplication.

    Args:
        study: A study with one objective.
        where: Who asks, for the message.

    Returns:
        1 for maximisation, -1 for minimisation.

    Raises:
        InvalidParameterError: If the study has several objectives.

    Example:
        >>> import optuna
        >>> sign_of(optuna.create_study(direction="minimize"), "MetaSampler")
        -1.0
    """
    directions = study.directions
    if len(directions) != 1:
        raise InvalidParameterError.of(
            "study",
            where,
            "a study with one objective",
            f"{len(directions)} directions",
            "Optimise one metric, or use optuna.samplers.TPESampler for several.",
        )
    return -1.0 if directions[0] == StudyDirection.MINIMIZE else 1.0


def observation_of(trial: FrozenTrial, space: SearchSpace, sign: float) -> Observation | None:
    """Return what a finished trial says.

    A failed trial becomes an observation without score, so that its configuration is not proposed again;
    Optuna's own samplers do not see it. A pruned trial counts with the lower of its last and its mean
    intermediate value: it was stopped because it looked bad, so the doubt goes against it.

    Args:
        trial: A finished trial.
        space: The prior's space; the configuration is clipped into it.
        sign: From ``sign_of``.

    Returns:
        The observation; None for a trial whose user attribute ``interrupted`` is true, or that suggested no
        parameter of the space.
    """
    configuration = configuration_of(trial.params, space)
    if configuration is None or trial.user_attrs.get(INTERRUPTED) is True:
        return None
    return Observation(configuration, score_of(trial, sign))


class Readings(Generic[T]):
    """What is derived from finished trials, each derived once: they never change.

    A reading is kept with its trial object and serves that object alone, so another study, or a storage that hands
    out copies, costs time and is never answered with a stranger's reading. What is gone from the study is dropped.

    Example:
        >>> import optuna
        >>> study = optuna.create_study()
        >>> study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
        >>> asked = []
        >>> readings = Readings[int]()
        >>> for _ in range(2):
        ...     numbers = readings.of(study.get_trials(deepcopy=False), lambda t: asked.append(t) or t.number)
        >>> numbers, len(asked)
        ([0, 1], 2)
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[FrozenTrial, T]] = {}  # by id, which the kept object reserves

    def of(self, trials: Sequence[FrozenTrial], read: Callable[[FrozenTrial], T]) -> list[T]:
        """Return the readings of the finished ones, in order.

        Args:
            trials: A study's trials in any state.
            read: Makes a reading; always the same function.
        """
        before = self._kept
        kept = {id(t): before.get(id(t)) or (t, read(t)) for t in trials if t.state.is_finished()}
        self._kept = kept  # at once: other threads may read
        return [reading for _, reading in kept.values()]


def score_of(trial: FrozenTrial, sign: float) -> float | None:
    """Return a finished trial's score, greater is better, or None if it has none.

    Args:
        trial: A finished trial.
        sign: From ``sign_of``.
    """
    if trial.state == TrialState.COMPLETE:
        values = [value for value in trial.values or [] if math.isfinite(value)]
        return sign * values[0] if values else None
    if trial.state == TrialState.PRUNED:
        seen = [
            sign * value
            for _, value in sorted(trial.intermediate_values.items())
            if math.isfinite(value)
        ]
        return min(seen[-1], fmean(seen)) if seen else None
    return None


def pending(
    trials: Sequence[FrozenTrial], space: SearchSpace, but: int
) -> list[dict[str, ParamValue]]:
    """Return the configurations that other workers evaluate now or that wait in the queue.

    Args:
        trials: Trials in any state.
        space: The prior's space; configurations are clipped into it.
        but: Number of the trial that asks.
    """
    result = []
    for trial in trials:
        if trial.number == but or trial.state.is_finished():
            continue
        known = {**fixed_params(trial), **(read_plan(trial) or {}), **trial.params}
        configuration = configuration_of(known, space)
        if configuration is not None:
            result.append(configuration)
    return result


def configuration_of(
    params: Mapping[str, ParamValue], space: SearchSpace
) -> dict[str, ParamValue] | None:
    """Return the space's configuration nearest to a trial's parameters, or None if they share no name.

    Args:
        params: Parameters of a trial; other names than the space's are ignored.
        space: The space.
    """
    if not any(name in space.distributions for name in params):
        return None
    return space.clip(params)
