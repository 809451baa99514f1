"""One distribution and the unit interval: every value has a coordinate, every coordinate a value.

Whole numbers and stepped floats own a slice of the interval each and sit at its middle, so that a
uniform coordinate draws them uniformly and the round trip is exact. Categories own equal slices too.
"""

import math
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from automl_meta._typing import ParamValue

# Kept as tuples: this runs for every parameter of every trial, and a union is built anew each time.
_NUMBERS = (int, float, np.integer, np.floating)
_NUMERIC = (FloatDistribution, IntDistribution)
#: How many times smaller than a logarithmic range another's lowest value may be, and the union still logarithmic.
_FARTHEST = 1e3


def n_levels(distribution: BaseDistribution) -> int | None:
    """Return how many values a discrete distribution has, None for a continuous one."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if distribution.step is None:
        return None
    return round((distribution.high - distribution.low) / distribution.step) + 1


def is_countable(distribution: BaseDistribution) -> bool:
    """Tell whether single values can be named: choices, and whole numbers that own equal slices of the interval."""
    if isinstance(distribution, IntDistribution):
        return not distribution.log
    return isinstance(distribution, CategoricalDistribution)


def level_of(distribution: BaseDistribution, value: Any) -> int:
    """Return the number of the slice that a value of a countable distribution owns, from 0.

    Example:
        >>> level_of(IntDistribution(2, 10, step=4), 6), level_of(CategoricalDistribution(["a", "b"]), "b")
        (1, 1)
    """
    if isinstance(distribution, IntDistribution):
        return int(value - distribution.low) // distribution.step
    assert isinstance(distribution, CategoricalDistribution)
    index = index_of(distribution, value)
    assert index is not None
    return index


def index_of(distribution: CategoricalDistribution, value: object) -> int | None:
    """Return the position of a category, telling True from 1 and knowing NaN, or None."""
    for index, choice in enumerate(distribution.choices):
        if same_value(choice, value):
            return index
    return None


def same_value(a: object, b: object) -> bool:
    """Tell whether two values of a parameter are one, telling True from 1 and knowing NaN.

    Example:
        >>> same_value(True, 1), same_value(float("nan"), float("nan"))
        (False, True)
    """
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and a == b


def united(a: BaseDistribution, b: BaseDistribution) -> BaseDistribution | None:
    """Return the distribution that covers two: all choices, or the whole range; None for a category and a number.

    Args:
        a: A distribution; of choices its own come first.
        b: Another one.

    Example:
        >>> united(IntDistribution(1, 5), IntDistribution(4, 9))
        IntDistribution(high=9, log=False, low=1, step=1)
    """
    if a == b:
        return a
    if isinstance(a, CategoricalDistribution) and isinstance(b, CategoricalDistribution):
        new = [choice for choice in b.choices if index_of(a, choice) is None]
        return CategoricalDistribution([*a.choices, *new])
    if isinstance(a, CategoricalDistribution) or isinstance(b, CategoricalDistribution):
        return None
    assert isinstance(a, FloatDistribution | IntDistribution)
    assert isinstance(b, FloatDistribution | IntDistribution)
    low, high = min(a.low, b.low), max(a.high, b.high)
    # Who searched linearly tells as much on a logarithmic scale, unless that had to reach far down for it.
    log = any(d.log and low * _FARTHEST >= d.low for d in (a, b))
    if isinstance(a, IntDistribution) and isinstance(b, IntDistribution):
        step = math.gcd(a.step, b.step, a.low - b.low)
        if log or step == 1 or (high - low) % step:
            return IntDistribution(int(low), int(high), log=log)
        return IntDistribution(int(low), int(high), step=step)
    return FloatDistribution(float(low), float(high), log=log)


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Tell whether a value belongs to a distribution, by type and range."""
    if not covers(distribution, value):
        return False
    if isinstance(distribution, CategoricalDistribution):
        return True
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if distribution.step is None:
        return True
    steps = (float(value) - distribution.low) / distribution.step
    return abs(steps - round(steps)) < 1e-8


def covers(distribution: BaseDistribution, value: object) -> bool:
    """Tell whether a value lies in a distribution's range or choices, on one of its steps or not."""
    if isinstance(distribution, CategoricalDistribution):
        return index_of(distribution, value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return bool(distribution.low <= value <= distribution.high)


def builtin(distribution: BaseDistribution, value: Any) -> ParamValue:
    """Return a value of the distribution as a built-in Python scalar."""
    if isinstance(distribution, FloatDistribution):
        return float(value)
    if isinstance(distribution, IntDistribution):
        return int(value)
    return value  # type: ignore[no-any-return]


def to_unit(distribution: BaseDistribution, value: Any) -> float:
    """Map a value of the distribution into [0, 1].

    Args:
        distribution: Any Optuna distribution.
        value: A value that it contains.

    Example:
        >>> to_unit(FloatDistribution(1e-2, 1.0, log=True), 0.1)
        0.5
    """
    if isinstance(distribution, CategoricalDistribution):
        index = index_of(distribution, value)
        assert index is not None
        return (index + 0.5) / len(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = _bounds(distribution)
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return 0.5 if high == low else min(1.0, max(0.0, (value - low) / (high - low)))


def from_unit(distribution: BaseDistribution, unit: float) -> ParamValue:
    """Map a coordinate of [0, 1] to the value that owns it.

    Args:
        distribution: Any Optuna distribution.
        unit: Coordinate; values outside [0, 1] are clipped.

    Example:
        >>> from_unit(IntDistribution(1, 4), 0.3)
        2
    """
    unit = min(1.0, max(0.0, unit))
    if isinstance(distribution, CategoricalDistribution):
        n = len(distribution.choices)
        return distribution.choices[min(n - 1, int(unit * n))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = _bounds(distribution)
    if distribution.log:
        value = math.exp(math.log(low) + unit * (math.log(high) - math.log(low)))
    else:
        value = low + unit * (high - low)
    return _snap(distribution, value)


def nearest(distribution: BaseDistribution, value: object) -> ParamValue:
    """Return the allowed value nearest to any value; the middle (or first category) if it is none."""
    if isinstance(distribution, CategoricalDistribution):
        index = index_of(distribution, value)
        return distribution.choices[0 if index is None else index]
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or math.isnan(value):
        return from_unit(distribution, 0.5)
    assert isinstance(distribution, _NUMERIC)
    return _snap(distribution, float(value))


def _bounds(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Return the range whose equal slices belong to the values: half a step wider when stepped."""
    if distribution.step is None:
        return distribution.low, distribution.high
    half = distribution.step / 2
    return distribution.low - half, distribution.high + half


def _snap(distribution: FloatDistribution | IntDistribution, value: float) -> ParamValue:
    value = min(max(value, distribution.low), distribution.high)
    if distribution.step is None:
        return float(value)
    steps = round((value - distribution.low) / distribution.step)
    return builtin(distribution, distribution.low + steps * distribution.step)
