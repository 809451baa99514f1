"""A study's trials as a prior wants them: observations and pending configurations, greater is better."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from automl_meta._typing import ParamValue
from automl_meta.exceptions import InvalidParameterError
from automl_meta.prior import Observation
from automl_meta.search.attributes import INTERRUPTED, fixed_params, read_plan
from automl_meta.spaces import SearchSpace


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


def observations(
    trials: Sequence[FrozenTrial], space: SearchSpace, sign: float
) -> list[Observation]:
    """Return what the finished trials say.

    A failed trial becomes an observation without score, so that its configuration is not proposed again;
    Optuna's own samplers do not see it. A pruned trial counts with the lower of its last and its mean
    intermediate value: it was stopped because it looked bad, so the doubt goes against it. A trial whose
    user attribute ``interrupted`` is true, or that suggested no parameter of the space, says nothing.

    Args:
        trials: Trials in any state, oldest first.
        space: The prior's space; configurations are clipped into it.
        sign: From ``sign_of``.

    Returns:
        One observation per telling trial, in the trials' order.
    """
    result = []
    for trial in trials:
        configuration = configuration_of(trial.params, space)
        if not trial.state.is_finished() or configuration is None:
            continue
        if trial.user_attrs.get(INTERRUPTED) is True:
            continue
        result.append(Observation(configuration, score_of(trial, sign)))
    return result


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
