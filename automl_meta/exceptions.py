"""Every error that automl-meta raises on purpose.

One root, ``AutomlMetaError``, so that a caller can catch all of them; each class is also the built-in
error that Python users expect in its place. Messages name the parameter, the rule, the value received
and the remedy, in that order.
"""

import types
import typing
from collections.abc import Mapping
from numbers import Integral
from typing import Any

#: Types of settings, as errors name them.
_KINDS: Mapping[Any, tuple[Any, str]] = {
    bool: (bool, "True or False"),
    int: (int, "an int"),
    float: ((int, float), "a number"),
    str: (str, "a string"),
    Mapping: (Mapping, "a table of names and values"),
    type(None): (type(None), "None"),
}


class AutomlMetaError(Exception):
    """Root of all errors raised by automl-meta."""


class InvalidParameterError(AutomlMetaError, ValueError):
    """A parameter of a public function or command breaks its rule."""

    @classmethod
    def of(
        cls, parameter: str, where: str, rule: str, value: object, remedy: str
    ) -> "InvalidParameterError":
        """Build the project's one error form.

        Args:
            parameter: Name of the parameter as the caller wrote it.
            where: Function or command that received it.
            rule: What the parameter must be, completing "must be ...".
            value: The value received.
            remedy: One sentence that says what to do.

        Returns:
            The error, ready to be raised.

        Example:
            >>> print(InvalidParameterError.of("trials", "fit", "an int >= 1", "ten", "Try --trials 10."))
            The 'trials' parameter of fit must be an int >= 1. Got 'ten' instead. Try --trials 10.
        """
        return cls(
            f"The '{parameter}' parameter of {where} must be {rule}. Got {value!r} instead. {remedy}"
        )


def check_int(
    value: object, name: str, where: str, low: int, high: int | None = None, *, remedy: str = ""
) -> int:
    """Return a whole number if it lies in its range.

    Args:
        value: What was received. True and False are no numbers here.
        name: Name of the parameter as the caller wrote it.
        where: Function or command that received it.
        low: Least value.
        high: Greatest value; None for none.
        remedy: What to do, where that is more than to try ``low``.

    Raises:
        InvalidParameterError: If it is no int, or out of range.

    Example:
        >>> check_int(5, "folds", "fit", 2)
        5
        >>> check_int(True, "folds", "fit", 2, 50)
        Traceback (most recent call last):
        automl_meta.exceptions.InvalidParameterError: The 'folds' parameter of fit must be an int from 2 to 50. \
Got True instead. Try folds=2.
    """
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if number is not None and number >= low and (high is None or number <= high):
        return number
    rule = f"an int >= {low}" if high is None else f"an int from {low} to {high}"
    raise InvalidParameterError.of(name, where, rule, value, remedy or f"Try {name}={low}.")


def check_whole(
    value: object, name: str, where: str, low: int, high: int | None = None, *, remedy: str = ""
) -> int:
    """Return a whole number as Python's, NumPy's too, if it lies in its range; see ``check_int``.

    Args:
        value: What was received.
        name: Name of the parameter as the caller wrote it.
        where: Function that received it.
        low: Least value.
        high: Greatest value; None for none.
        remedy: What to do, where that is more than to try ``low``.

    Raises:
        InvalidParameterError: If it is no whole number, or out of range.
    """
    number = int(value) if not isinstance(value, bool) and isinstance(value, Integral) else value
    return check_int(number, name, where, low, high, remedy=remedy)


def check_least(record: object, where: str, least: Mapping[str, int]) -> None:
    """Refuse a record of settings with a number that is too small.

    Args:
        record: The record.
        where: Function or command that the settings are for.
        least: Attribute to the smallest whole number that it may be.

    Raises:
        InvalidParameterError: For the first attribute that is no int or below its least value.
    """
    for name, low in least.items():
        check_int(getattr(record, name), name, where, low, remedy=f"Try {low}.")


def check_types(values: Mapping[str, object], records: tuple[type, ...], where: str) -> None:
    """Refuse values whose type is not that of the attribute of their name.

    Args:
        values: By name; names that no record has are passed by.
        records: Dataclasses of settings.
        where: Function or command that the values are for.

    Raises:
        InvalidParameterError: For the first value of another type.
    """
    for record in records:
        for name, hint in typing.get_type_hints(record).items():
            if name not in values:
                continue
            allowed, value = _kinds(hint), values[name]
            # Python counts True as an int; a reader of settings does not.
            odd = isinstance(value, bool) and bool not in allowed
            if allowed and (
                odd or not isinstance(value, tuple(_KINDS[kind][0] for kind in allowed))
            ):
                rule = " or ".join(_KINDS[kind][1] for kind in allowed)
                raise InvalidParameterError.of(name, where, rule, value, f"Give {rule}.")


def _kinds(hint: Any) -> list[Any]:
    """Return the kinds that a hint allows; none if there are others among them."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    each = typing.get_args(hint) if union else (hint,)
    parts = [typing.get_origin(part) or part for part in each]
    return parts if all(part in _KINDS for part in parts) else []


class TaskError(AutomlMetaError, ValueError):
    """A task cannot be loaded or cannot be learned from (empty target, sparse data, unknown id)."""


class NetworkError(AutomlMetaError, ConnectionError):
    """A server could not be reached, was too slow or answered with something unusable."""


class StoreError(AutomlMetaError, ValueError):
    """A stored file (learner, evaluations, run folder) is missing, damaged or of another schema."""


class SearchError(AutomlMetaError, RuntimeError):
    """A search ended without one usable trial."""


class MissingExtraError(AutomlMetaError, ImportError):
    """An optional dependency is not installed."""
