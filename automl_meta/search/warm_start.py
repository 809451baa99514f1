"""Starting points for a study."""

import logging
from collections.abc import Mapping, Sequence

from optuna import Study

from automl_meta._typing import Configuration
from automl_meta.exceptions import InvalidParameterError
from automl_meta.search.attributes import ORIGIN, QUEUED
from automl_meta.spaces import SearchSpace

_logger = logging.getLogger(__name__)


def warm_start(
    study: Study,
    configurations: Sequence[Configuration],
    space: SearchSpace,
    *,
    origin: str = "warm start",
) -> int:
    """Queue configurations to be tried first, in order, each of them once.

    Optuna uses an enqueued number even when it is out of range, fails inside the trial on an unknown
    category and ignores unknown names, so everything is clipped into the space before.

    Args:
        study: Any study.
        configurations: Starting points, best first.
        space: The study's space.
        origin: What the trials' user attribute ``origin`` says: ``"warm start"`` or ``"user"``.

    Returns:
        How many were queued; those that the study has already are skipped.

    Raises:
        InvalidParameterError: If a configuration is no mapping or shares no parameter with the space.

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
        if valid != dict(configuration):
            _logger.info("warm start %s was changed to fit the space: %s", configuration, valid)
        study.enqueue_trial(valid, user_attrs={ORIGIN: origin, QUEUED: valid}, skip_if_exists=True)
    return len(study.get_trials(deepcopy=False)) - before
