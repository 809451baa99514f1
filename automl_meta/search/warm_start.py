"""Starting points for a study."""

import logging
from collections.abc import Mapping, Sequence

from optuna import Study

from automl_meta._typing import Configuration, ParamValue
from automl_meta.exceptions import InvalidParameterError
from automl_meta.search.attributes import ORIGIN, QUEUED, WARM_START
from automl_meta.spaces import SearchSpace

_logger = logging.getLogger(__name__)


def warm_start(
    study: Study,
    configurations: Sequence[Configuration],
    space: SearchSpace,
    *,
    origin: str = WARM_START,
) -> int:
    """Queue configurations to be tried first, in order, each of them once.

    Optuna uses an enqueued number even when it is out of range, fails inside the trial on an unknown
    category and ignores unknown names. So what was learned is clipped into the space before; what a user
    chose is checked instead; only parameters that were left out are filled in.

    Args:
        study: Any study.
        configurations: Starting points, best first.
        space: The study's space.
        origin: What the trials' user attribute ``origin`` says: ``"warm start"`` or ``"user"``.

    Returns:
        How many were queued; those that the study has already are skipped.

    Raises:
        InvalidParameterError: If a configuration is no mapping or shares no parameter with the space, or if
            a user's is not valid in it; then nothing is queued.

    Example:
        >>> import optuna
        >>> from optuna.distributions import FloatDistribution
        >>> study = optuna.create_study()
        >>> warm_start(study, [{"x": 5.0}, {"x": 1.0}], SearchSpace("toy", 1, {"x": FloatDistribution(0, 1)}))
        1
        >>> study.trials[0].user_attrs
        {'origin': 'warm start', 'queued': {'x': 1.0}}
    """
    before = len(study.get_trials(deepcopy=False))
    for valid in fitted(configurations, space, exact=origin == "user"):
        study.enqueue_trial(valid, user_attrs={ORIGIN: origin, QUEUED: valid}, skip_if_exists=True)
    return len(study.get_trials(deepcopy=False)) - before


def fitted(
    configurations: Sequence[Configuration], space: SearchSpace, *, exact: bool
) -> list[dict[str, ParamValue]]:
    """Return configurations as a space has them.

    Args:
        configurations: Starting points.
        space: The space.
        exact: Refuse what is not valid, instead of clipping it.

    Raises:
        InvalidParameterError: If a configuration is no mapping or shares no parameter with the space, or
            if ``exact`` and it is not valid.
    """
    result = []
    for configuration in configurations:
        if not isinstance(configuration, Mapping) or not (
            set(configuration) & set(space.distributions)
        ):
            raise InvalidParameterError.of(
                "configurations",
                "warm_start",
                f"mappings over the parameters of {space.name} ({', '.join(space.distributions)})",
                configuration,
                "Check the names.",
            )
        valid = space.clip(configuration)
        if exact:  # parameters that were left out are filled in, those that were given stay
            valid = space.validate({**valid, **configuration})
        if valid != dict(configuration):
            _logger.info("warm start %s was changed to fit the space: %s", configuration, valid)
        result.append(valid)
    return result
