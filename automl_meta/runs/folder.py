"""The folder of one run: what may be written where, and who may write it."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from automl_meta._folders import made_folder
from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, StoreError

MODEL, RESULT, JOURNAL = "model.skops", "result.json", "study.log"
_LOCK = ".lock"


def default_folder(task: str, now: datetime) -> Path:
    """Return where a run goes when the user names no folder.

    Args:
        task: The task's reference.
        now: The time that becomes part of the name.

    Returns:
        ``runs/<task>-<timestamp>``, relative to the working directory.

    Example:
        >>> default_folder("openml:31", datetime(2026, 3, 2, 10, 15, 7)).as_posix()
        'runs/openml-31-20260302-101507'
    """
    name = Path(task).name
    stem = name.split(".")[0] if Path(name).suffix else name
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "task"
    return Path("runs") / f"{safe[:60]}-{now:%Y%m%d-%H%M%S}"


def existing_run(path: Path) -> Path:
    """Return the journal of an earlier run.

    Args:
        path: The run's folder.

    Raises:
        InvalidParameterError: If it holds no run.
    """
    if not (path / JOURNAL).is_file():
        raise InvalidParameterError.of(
            "from_runs",
            "train",
            f"the folder of an earlier fit (with {JOURNAL} in it)",
            str(path),
            "Name the folder that automl-meta fit wrote.",
        )
    return path / JOURNAL


def prepare_folder(path: Path, *, resume: bool) -> Path:
    """Create the folder of a run, or check that it holds a run to be continued.

    Args:
        path: The folder.
        resume: Whether to continue the run in it.

    Returns:
        The same path, which now is an existing folder.

    Raises:
        InvalidParameterError: If it is a file, holds something while ``resume`` is False, or holds no
            run while ``resume`` is True.
        StoreError: If it cannot be created.
    """
    if path.exists() and not path.is_dir():
        raise InvalidParameterError.of(
            "output", "fit", "a folder", str(path), "It is a file: name another place."
        )
    if resume:
        if not (path / JOURNAL).is_file():
            raise InvalidParameterError.of(
                "output",
                "fit with resume",
                f"the folder of an earlier run (with {JOURNAL} in it)",
                str(path),
                "Leave --resume out to start a new run there.",
            )
        return path
    if path.is_dir() and any(path.iterdir()):
        raise InvalidParameterError.of(
            "output",
            "fit",
            "a new or empty folder",
            str(path),
            "Add --resume to continue the run in it, or name another folder.",
        )
    return made_folder(path)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a run's folder: a second process that resumes the same run is refused.

    The operating system drops the hold when the process dies, kill -9 included.

    Args:
        path: An existing folder.

    Raises:
        StoreError: If another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock; there the check is left out
        yield
        return
    lock = path / _LOCK
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"Another process is writing the run in {path}. Wait for it, or name another --output."
            raise StoreError(msg) from error
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def repair_journal(path: Path) -> None:
    """Make a journal readable after a killed process: drop half a line at its end and a stale lock.

    Call it only while the folder is held. Without this, the next line would be appended to the half one
    and the whole journal would be unreadable.

    Args:
        path: The journal.
    """
    Path(f"{path}.lock").unlink(missing_ok=True)
    with path.open("rb+") as handle:
        end = handle.seek(0, os.SEEK_END)
        keep = end
        while keep > 0:
            handle.seek(keep - 1)
            if handle.read(1) == b"\n":
                break
            keep -= 1
        if keep < end:
            handle.truncate(keep)


def write_json(path: Path, document: JSON) -> None:
    """Write a JSON document so that a reader never sees half of it.

    Args:
        path: Target file; replaced as a whole.
        document: JSON-ready; a NaN raises ValueError, because JSON has none.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)


def read_result(folder: Path) -> JSON:
    """Read ``result.json`` of a run.

    Args:
        folder: Folder of the run.

    Raises:
        StoreError: If there is none, or it is not readable JSON.
    """
    path = folder / RESULT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"No {RESULT} in {folder}. Name the folder that automl-meta fit wrote."
        raise StoreError(msg) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"{path} is damaged ({error}). Run automl-meta fit again."
        raise StoreError(msg) from error
    if not isinstance(document, dict):
        msg = f"{path} is damaged (not a JSON object). Run automl-meta fit again."
        raise StoreError(msg)
    return document
