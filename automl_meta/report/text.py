"""Small formatting rules shared by the reports: numbers, durations, Markdown."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
#: Why a training ended, by what its result says.
STOPPED = {
    "steps": "all steps were done",
    "seconds": "the time was over",
    "patience": "validation no longer improved",
    "interrupt": "interrupted by the user",
}
#: What a log's times of training are called, by their key.
CLOCKS = {"seconds": "minutes of training", "cpu_seconds": "processor minutes of training"}
#: What could start Markdown inside a line; an underscore within a word cannot.
_MARKDOWN = re.compile(r"([\\`*\[\]|~#>]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def training_clock(devices: Iterable[str]) -> str:
    """Return by which time of the log's lines training is told, a key of ``CLOCKS``.

    Args:
        devices: Of the runs that are shown together.

    Example:
        >>> training_clock(["cpu"]), training_clock(["cpu", "NVIDIA H200"])
        ('cpu_seconds', 'seconds')
    """
    # On a processor that other work may share, its own time says more than the clock's.
    return "cpu_seconds" if all(device == "cpu" for device in devices) else "seconds"


def number(value: float | None, digits: int = 4) -> str:
    """Format a score or a hyperparameter: significant digits, a true minus sign, a dash for none.

    Args:
        value: Any number, or None.
        digits: Decimals shown for magnitudes from 0.001 to 10,000.

    Returns:
        Text such as ``"0.8123"`` or ``"3e-07"``.

    Example:
        >>> number(0.81234567), number(12345.678), number(3e-7)
        ('0.8123', '1.235e+04', '3e-07')
    """
    if value is None:
        return DASH
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    text = f"{value:.{digits}f}" if size == 0 or 1e-3 <= size < 1e4 else f"{value:.{digits}g}"
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def signed(value: float | None) -> str:
    """Format a difference with its sign.

    Example:
        >>> signed(0.01234), signed(0.0)
        ('+0.0123', '±0')
    """
    if value is None:
        return DASH
    if value == 0:
        return "±0"
    return ("+" if value > 0 else "") + number(value)


def p_value(p: float) -> str:
    """Format the p-value of a test.

    Example:
        >>> p_value(0.0312), p_value(1e-9)
        ('0.031', '< .001')
    """
    return f"{p:.3f}" if p >= 0.001 else "< .001"


def setting(value: Any) -> str:
    """Format the value of a hyperparameter or a setting.

    Example:
        >>> setting(0.000123456), setting(True), setting(None), setting("gini"), setting(128)
        ('0.0001235', 'true', 'none', 'gini', '128')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def duration(seconds: float | None) -> str:
    """Format seconds for reading.

    Args:
        seconds: >= 0, or None.

    Returns:
        Two units at most.

    Example:
        >>> duration(0.42), duration(75), duration(7300)
        ('0.4 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def markdown(value: Any) -> str:
    r"""Escape text for a Markdown paragraph or table cell: it shows as written and starts nothing.

    Args:
        value: Anything; it is converted with ``str``.

    Returns:
        One line.

    Example:
        >>> print(markdown("roc_auc|<script> *x*"))
        roc_auc\|&lt;script\> \*x\*
    """
    text = " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\1", text)


def fact_rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values of a table of facts, nested mappings on one line each.

    Args:
        values: Of a record.

    Example:
        >>> fact_rows({"meta_batch": 4, "seeds": {"test": 1, "training": 0}})
        [('meta batch', '4'), ('seeds', 'test 1, training 0')]
    """
    rows = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            text = ", ".join(f"{key} {setting(inner)}" for key, inner in value.items()) or "none"
        else:
            text = setting(value)
        rows.append((name.replace("_", " "), text))
    return rows
