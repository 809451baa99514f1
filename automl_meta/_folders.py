"""Folders that results go to."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from automl_meta.exceptions import StoreError


def made_folder(folder: Path) -> Path:
    """Make a folder, with those above it, where it does not exist.

    Args:
        folder: The folder.

    Returns:
        The same.

    Raises:
        StoreError: If it cannot be made, because a file has the name for instance.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"The folder {folder} cannot be created ({error.strerror}). Name another one."
        raise StoreError(msg) from error
    return folder


@contextmanager
def reserved(folder: Path) -> Iterator[None]:
    """Make a folder before the work whose result goes there, and take it away if that brings nothing.

    Args:
        folder: The folder.

    Raises:
        StoreError: If it cannot be made.
    """
    is_new = not folder.exists()
    made_folder(folder)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # something is in it
                folder.rmdir()
        raise
