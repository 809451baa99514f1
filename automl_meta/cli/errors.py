"""Errors as a user sees them: one clear line, or where the traceback lies."""

import os
import sys
import tempfile
import traceback

from automl_meta.exceptions import AutomlMetaError, InvalidParameterError

_RED, _RESET = "\x1b[31m", "\x1b[0m"


def report_error(error: Exception) -> None:
    """Print an error to stderr as one line, red on a terminal.

    Args:
        error: One of ours, a usage error of the command line, or an unexpected one; the traceback of the
            last kind goes to a file that the line names.
    """
    if isinstance(error, AutomlMetaError):
        line = str(error)
    elif _is_usage(error):
        line = _usage_line(error)
    else:
        line = (
            f"Something unexpected went wrong ({type(error).__name__}: {error}). "
            f"The traceback is in {_write_traceback(error)}: please report it."
        )
    text = f"Error: {' '.join(line.split())}"
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    print(f"{_RED}{text}{_RESET}" if colour else text, file=sys.stderr)


def exit_code_of(error: Exception) -> int:
    """Return 2 for a wrong parameter or wrong usage, else 1."""
    return 2 if isinstance(error, InvalidParameterError) or _is_usage(error) else 1


def _is_usage(error: Exception) -> bool:
    # Typer moved its usage errors between modules over its versions; this method is what they share.
    return hasattr(error, "format_message")


def _usage_line(error: Exception) -> str:
    message = str(error.format_message()).rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", None) or "automl-meta"
    return f"{message}. Try {command} --help."


def _write_traceback(error: Exception) -> str:
    handle, path = tempfile.mkstemp(prefix="automl-meta-", suffix=".traceback.txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(traceback.format_exception(error))
    return path
