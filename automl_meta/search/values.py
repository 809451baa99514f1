"""A planned value, handed to a suggest call whose distribution may differ from the plan's."""

import math
from typing import Final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from automl_meta._typing import ParamValue
from automl_meta.search.searched import meet
from automl_meta.spaces import units


class _Unusable:
    """Marks that a planned value says nothing about a distribution; None is a legal category."""


UNUSABLE: Final = _Unusable()


def converted(
    value: object, planned: BaseDistribution, asked: BaseDistribution
) -> ParamValue | _Unusable:
    """Return a planned value as the asked distribution wants it.

    A category must be one of the asked ones. A number is rounded to the asked steps and type; outside
    the asked range it is moved to the nearer end, unless the two ranges meet in an end at most: then every
    trial would get that end, and the plan is no help.

    Args:
        value: Value within ``planned``.
        planned: The distribution that the plan was made for.
        asked: The distribution of the suggest call.

    Returns:
        A value within ``asked`` as a built-in scalar, or ``UNUSABLE``.

    Example:
        >>> converted(0.75, FloatDistribution(0, 1), FloatDistribution(0, 0.5))
        0.5
        >>> converted(0.75, FloatDistribution(0, 1), IntDistribution(5, 9)) is UNUSABLE
        True
    """
    if isinstance(asked, CategoricalDistribution):
        index = units.index_of(asked, value)
        return UNUSABLE if index is None else asked.choices[index]
    assert isinstance(asked, FloatDistribution | IntDistribution)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return UNUSABLE
    if not meet(planned, asked) and not asked.low <= value <= asked.high:
        return UNUSABLE
    return units.nearest(asked, value)
