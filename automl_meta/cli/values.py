"""Words of the command line become values, refused in the project's one error form."""

import math
import re
from collections.abc import Sequence

from automl_meta.exceptions import InvalidParameterError

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def whole(text: str, name: str, *, low: int, where: str = "fit") -> int:
    """Read an integer.

    Args:
        text: What the user wrote.
        name: Name of the option.
        low: Smallest allowed value.
        where: The command.

    Raises:
        InvalidParameterError: If it is no integer or too small.

    Example:
        >>> whole("30", "trials", low=1)
        30
    """
    if not re.fullmatch(r"[+-]?\d{1,18}", text.strip()) or int(text) < low:
        example = max(low, 10)
        option = f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}"
        is_long = re.fullmatch(r"\+?\d{19,}", text.strip()) is not None
        rule = f"an int >= {low}" + (" of at most 18 digits" if is_long else "")
        raise InvalidParameterError.of(name, where, rule, text, f"Try {option} {example}.")
    return int(text)


def duration(text: str, name: str, where: str = "fit") -> float:
    """Read a duration in seconds.

    Args:
        text: Such as ``"10m"``, ``"90s"``, ``"1h30m"`` or ``"45"`` (seconds).
        name: Name of the option.
        where: The command.

    Returns:
        Seconds, > 0.

    Raises:
        InvalidParameterError: If it is no duration or not positive.

    Example:
        >>> duration("1h30m", "timeout"), duration("90s", "timeout"), duration("45", "timeout")
        (5400.0, 90.0, 45.0)
    """
    match = _DURATION.fullmatch(text.strip().lower())
    hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if not 0 < total < 1e9:
        raise InvalidParameterError.of(
            name,
            where,
            "a duration such as 90s, 10m or 1h30m",
            text,
            f"Try --{name.replace('_', '-')} 10m.",
        )
    return total


def decimal(text: str, name: str, where: str = "fit", *, zero: bool = False) -> float:
    """Read a positive finite number.

    Args:
        text: What the user wrote.
        name: Name of the option.
        where: The command.
        zero: Whether 0 will do too.

    Raises:
        InvalidParameterError: If it is no number, or not positive and finite.

    Example:
        >>> decimal("1e-3", "learning_rate")
        0.001
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf or (zero and value == 0)):
        remedy = f"Try --{name.replace('_', '-')} 0.01."
        rule = f"a finite number >{'=' if zero else ''} 0"
        raise InvalidParameterError.of(name, where, rule, text, remedy)
    return value


def wholes(where: str, **texts: tuple[str | None, int]) -> dict[str, int]:
    """Read integers; options that were not given are left out.

    Args:
        where: The command.
        **texts: Name of an option to what the user wrote and the smallest allowed value.

    Raises:
        InvalidParameterError: If one is no integer or too small.

    Example:
        >>> wholes("metarl", arms=("5", 2), seed=(None, 0))
        {'arms': 5}
    """
    return {
        name: whole(text, name, low=low, where=where)
        for name, (text, low) in texts.items()
        if text is not None
    }


def decimals(where: str, *, zero: bool = False, **texts: str | None) -> dict[str, float]:
    """Read positive finite numbers; options that were not given are left out.

    Args:
        where: The command.
        zero: Whether 0 will do too.
        **texts: Name of an option to what the user wrote.

    Raises:
        InvalidParameterError: If one is no number, or not positive and finite.

    Example:
        >>> decimals("metarl", trace="0.9", discount=None)
        {'trace': 0.9}
    """
    return {
        name: decimal(text, name, where=where, zero=zero)
        for name, text in texts.items()
        if text is not None
    }


def check_only(only: Sequence[str] | None, suite: str | None, where: str) -> None:
    """Refuse names of a suite's runs where there is no suite.

    Args:
        only: The names.
        suite: The suite.
        where: The command.

    Raises:
        InvalidParameterError: If there are names and no suite.
    """
    if only and suite is None:
        rule, remedy = "left out without a suite", "Give --suite too."
        raise InvalidParameterError.of("only", where, rule, only, remedy)


def budget(text: str | None, where: str) -> dict[str, float | int]:
    """Read a budget: a plain number is a number of steps, all else a duration.

    Args:
        text: What the user wrote, or None.
        where: The command.

    Returns:
        ``steps`` or ``seconds``, or nothing.

    Raises:
        InvalidParameterError: If it is neither.

    Example:
        >>> budget("500", "metarl"), budget("2m", "metarl"), budget(None, "metarl")
        ({'steps': 500}, {'seconds': 120.0}, {})
    """
    if text is None:
        return {}
    if text.strip().lstrip("+-").isdigit():
        return {"steps": whole(text, "budget", low=1, where=where)}
    return {"seconds": duration(text, "budget", where)}
