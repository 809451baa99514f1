"""Numbers that describe tasks, as a user gives them: checked before they are learned from or asked about."""

import logging
from collections.abc import Mapping, Sequence

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.past import checked_features
from automl_meta.prior import Prior

_logger = logging.getLogger(__name__)

#: Names of tasks that a message shows; there may be hundreds.
_SHOWN = 5


def described_tasks(
    features: object, names: Sequence[str], where: str
) -> dict[str, dict[str, float]]:
    """Return the features of past tasks; those of a task that is not there would be lost without a word.

    Args:
        features: Task names to features, or None.
        names: Of the past tasks.
        where: Function that received them.

    Raises:
        InvalidParameterError: If it is no mapping of the names to mappings of names to numbers.

    Example:
        >>> described_tasks({"a": {"rows": 1000}}, ["a", "b"], "MetaLearner")
        {'a': {'rows': 1000.0}}
    """
    if features is None:
        return {}
    shown = ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
    rule = f"a mapping of task names ({shown}) to features"
    if not isinstance(features, Mapping):
        remedy = f"Try {{{names[0]!r}: {{'rows': 1000.0}}}}." if names else "Leave it out."
        raise InvalidParameterError.of("task_features", where, rule, features, remedy)
    for name in features:
        if name not in names:
            remedy = "Name the task as its source does, in a string."
            raise InvalidParameterError.of("task_features", where, rule, name, remedy)
        if names.count(name) > 1:
            rule, remedy = "of a name that one task has", "Give the tasks names of their own."
            raise InvalidParameterError.of("task_features", where, rule, name, remedy)
    return {name: checked_features(described, where) for name, described in features.items()}


def known_numbers(
    features: object, prior: Prior, where: str, parameter: str = "task_features"
) -> dict[str, float] | None:
    """Return the features of a new task, or None; a misspelt name must not look as if it had told something.

    Args:
        features: Names to numbers, or None.
        prior: What was learned.
        where: Function or command that received them.
        parameter: Name of the parameter there.

    Raises:
        InvalidParameterError: If it is no mapping of names to numbers, or the prior knows none of the names.
    """
    if features is None:
        return None
    told, known = checked_features(features, where), prior.portfolio.feature_names
    unknown = [name for name in told if name not in known]
    if unknown and len(unknown) == len(told):
        rule = f"of names that the learner knows ({', '.join(known)})"
        remedy = "Check the spelling."
        if not known:
            rule = "left out: no past task of this learner was described"
            remedy = "Learn with task_features first."
        raise InvalidParameterError.of(parameter, where, rule, ", ".join(unknown), remedy)
    if unknown:
        _logger.warning(
            "Task features that the learner does not know say nothing: %s. It knows %s.",
            ", ".join(unknown),
            ", ".join(known),
        )
    return told
