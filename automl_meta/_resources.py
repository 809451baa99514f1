"""The one locator of files that are not Python: task suites, shipped meta-learners, shared data."""

import os
from pathlib import Path

from automl_meta.exceptions import StoreError

_PACKAGE = Path(__file__).resolve().parent
#: Environment variable that names the folder of real data used to build and measure.
DATA_VARIABLE = "AUTOML_META_DATA"


def tasks_folder() -> Path:
    """Return the folder of task suites, in a wheel (``automl_meta/_tasks``) or in a checkout (``tasks``).

    Returns:
        An existing folder.

    Raises:
        StoreError: If neither exists, which means a damaged installation.

    Example:
        >>> (tasks_folder() / "meta.toml").is_file()
        True
    """
    for folder in (_PACKAGE / "_tasks", _PACKAGE.parent / "tasks"):
        if folder.is_dir():
            return folder
    msg = f"No task suites beside {_PACKAGE}. The installation is damaged: pip install --force-reinstall automl-meta."
    raise StoreError(msg)


def shipped_learners_folder() -> Path:
    """Return the folder of the meta-learners that ship with the package (it may be empty in a checkout)."""
    return _PACKAGE / "prior" / "shipped"


def data_folder() -> Path | None:
    """Return the folder of real data, or None where there is none.

    The environment variable ``AUTOML_META_DATA`` decides where it is set; otherwise a ``shared/data``
    folder beside the checkout is used when it is there.
    """
    named = os.environ.get(DATA_VARIABLE)
    folder = Path(named) if named else _PACKAGE.parent.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def no_data(what: str) -> str:
    """Return the words for what needs the folder of real data where there is none.

    Args:
        what: Begins the sentence.

    Example:
        >>> no_data("The problem oboe").startswith("The problem oboe needs the data folder.")
        True
    """
    named = os.environ.get(DATA_VARIABLE)
    found = f" {DATA_VARIABLE} is {named!r}, which is no folder." if named else ""
    return f"{what} needs the data folder.{found} Set {DATA_VARIABLE} to it."
