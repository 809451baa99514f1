"""Small files that must never be half written, and the settings that results in a folder depend on."""

import json
from pathlib import Path

from automl_meta._typing import JSON
from automl_meta.exceptions import StoreError


def file_title(text: str) -> str:
    """Return a text as part of a file's name: letters, digits, dashes and dots, all else an underscore.

    Example:
        >>> file_title("portfolio + TPE")
        'portfolio___TPE'
    """
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text)


def write_whole(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all, whatever interrupts the writing.

    Args:
        path: Where it goes; its folder exists.
        text: The content.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_whole(Path(folder) / "a.txt", "whole")
        ...     [path.name for path in Path(folder).iterdir()]
        ['a.txt']
    """
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def same_settings(path: Path, settings: JSON, *, has_results: bool) -> None:
    """Make sure that all results in a folder were made with the same settings.

    The first call stores the settings beside the results to come; once there are some, later calls compare.

    Args:
        path: The file of the settings.
        settings: What decides the results, JSON-ready.
        has_results: Whether the folder holds results already.

    Raises:
        StoreError: If the stored settings are others or unreadable, or there are results without them.
    """
    if not has_results:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(settings, indent=1) + "\n")
        return
    if not path.exists():
        msg = (
            f"{path.parent} holds results, but no {path.name} that says with which settings they were "
            "made, so no more can be added. Name another --output."
        )
        raise StoreError(msg)
    stored = _read(path)
    present = json.loads(json.dumps(settings))  # tuples become lists, as in what was stored
    others = [name for name in {**present, **stored} if stored.get(name) != present.get(name)]
    if others:
        shown = "; ".join(f"{n} {stored.get(n)!r}, now {present.get(n)!r}" for n in others)
        msg = (
            f"The results in {path.parent} were made with other settings: {shown}. "
            "Use the same ones again, or name another --output."
        )
        raise StoreError(msg)


def _read(path: Path) -> JSON:
    try:
        stored: JSON = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        msg = f"Cannot read the settings {path}: {error}. Name another --output."
        raise StoreError(msg) from error
    return stored
