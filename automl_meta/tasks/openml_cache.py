"""The OpenML client's cache folder, used as a read-only master copy.

The client deletes whole entries when something fails and unpickles what it finds. So it works in a
scratch folder, into which entries are copied without its pickles, and new files come back one by one,
each written beside its place and then moved.
"""

import hashlib
import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlparse

_TASK_FILES = ("task.xml", "datasplits.arff")
_DATA_FILES = ("description.xml", "features.xml", "qualities.xml", "dataset.arff")
_DATA_ID = re.compile(r"<oml:data_set_id>\s*(\d+)\s*</oml:data_set_id>")
_CHECKSUM = re.compile(r"<oml:md5_checksum>\s*([0-9a-fA-F]{32})\s*</oml:md5_checksum>")


def server_folder(root: Path, server: str) -> Path:
    """Return the folder of one server's entries, as the client lays it out.

    Args:
        root: Root of the cache.
        server: URL of the server.

    Example:
        >>> server_folder(Path("cache"), "https://www.openml.org/api/v1/xml").as_posix()
        'cache/org/openml/www'
    """
    return root.joinpath(*urlparse(server).netloc.split(".")[::-1])


def data_id_of(folder: Path, task_id: int) -> int | None:
    """Return the data id that a cached task names, or None if there is no readable ``task.xml``.

    Args:
        folder: A server's folder.
        task_id: OpenML task id.
    """
    file = folder / "tasks" / str(task_id) / "task.xml"
    if not file.is_file():
        return None
    found = _DATA_ID.search(file.read_text(encoding="utf-8", errors="replace"))
    return int(found.group(1)) if found else None


def copy_entries(source: Path, target: Path, task_id: int | None, data_id: int | None) -> None:
    """Copy a task's and its data set's files between two server folders, never pickles.

    Args:
        source: Server folder to read; entries that it lacks are skipped.
        target: Server folder to write; each file appears whole or not at all.
        task_id: OpenML task id or None.
        data_id: OpenML data id or None.
    """
    wanted = []
    if task_id is not None:
        wanted += [Path("tasks", str(task_id), name) for name in _TASK_FILES]
    if data_id is not None:
        names = (*_DATA_FILES, f"dataset_{data_id}.pq")
        wanted += [Path("datasets", str(data_id), name) for name in names]
    for file in wanted:
        if (source / file).is_file():
            _copy_whole(source / file, target / file)


def has_parquet_only(folder: Path, data_id: int) -> bool:
    """Tell whether a cached data set is there as Parquet and not as ARFF.

    Args:
        folder: A server's folder.
        data_id: OpenML data id.
    """
    entry = folder / "datasets" / str(data_id)
    return (entry / f"dataset_{data_id}.pq").is_file() and not (entry / "dataset.arff").is_file()


def checksum_is_right(folder: Path, data_id: int) -> bool:
    """Compare the ARFF file of a data set with the checksum in its description.

    Args:
        folder: A server's folder.
        data_id: OpenML data id.

    Returns:
        False only if both are there and differ; a file changed by line ends alone is right.
    """
    entry = folder / "datasets" / str(data_id)
    description, data = entry / "description.xml", entry / "dataset.arff"
    if not (description.is_file() and data.is_file()):
        return True
    stated = _CHECKSUM.search(description.read_text(encoding="utf-8", errors="replace"))
    if stated is None:
        return True
    content = data.read_bytes()
    sums = {
        hashlib.md5(version, usedforsecurity=False).hexdigest()
        for version in (content, content.replace(b"\r\n", b"\n"))
    }
    return stated.group(1).lower() in sums


def _copy_whole(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(source, beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
