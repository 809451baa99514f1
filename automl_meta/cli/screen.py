"""What every command shares of the terminal."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def colour() -> bool:
    """Whether stdout is a terminal that wants colours."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def bold(text: str) -> str:
    """Return the text in bold where the terminal can show it."""
    return f"{_BOLD}{text}{_RESET}" if colour() else text


def dim(text: str) -> str:
    """Return the text dimmed where the terminal can show it."""
    return f"{_DIM}{text}{_RESET}" if colour() else text


def print_json(document: Any) -> None:
    """Print one JSON document to stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def columns(rows: Sequence[Sequence[str]], *, header: Sequence[str] | None = None) -> str:
    """Align rows of text in columns.

    Args:
        rows: Cells; all rows equally long.
        header: Column titles, or None.

    Returns:
        One line a row, no trailing blanks.

    Example:
        >>> print(columns([["knn", "5"], ["svm", "12"]], header=["family", "n"]))
        family  n
        knn     5
        svm     12
    """
    table = [list(header), *map(list, rows)] if header else [list(row) for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))] if table else []
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    if header:
        lines[0] = dim(lines[0])
    return "\n".join(lines)


def quiet_libraries() -> None:
    """Keep Optuna's log lines off the terminal; warnings and errors stay."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
