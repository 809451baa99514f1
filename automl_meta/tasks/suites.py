"""Suites of tasks, written as TOML."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from automl_meta._resources import data_folder, no_data, tasks_folder
from automl_meta.exceptions import InvalidParameterError, TaskError
from automl_meta.tasks.assemble import ProblemWish
from automl_meta.tasks.files import table_task
from automl_meta.tasks.resolve import load_task
from automl_meta.tasks.task import Task

_KEYS = {"reference": str, "target": str, "kind": str, "header": bool, "title": str}
_KINDS = {"classification", "regression", "binary", "multiclass"}
_SHARED = "shared:"


@dataclass(frozen=True)
class SuiteTask:
    """One task of a suite.

    Attributes:
        reference: ``openml:ID``, ``openml-data:ID``, a path, or ``shared:PATH`` below the data folder.
        target: Target column, or None.
        kind: Kind of the task, or None to decide by the target's values.
        header: False for a table without a line of names.
        title: A readable name, or None.
    """

    reference: str
    target: str | None = None
    kind: ProblemWish | None = None
    header: bool = True
    title: str | None = None


@dataclass(frozen=True)
class Suite:
    """A named list of tasks.

    Attributes:
        name: Name of the suite.
        tasks: Its tasks in order.
    """

    name: str
    tasks: tuple[SuiteTask, ...]


def load_suite(suite: str | Path) -> Suite:
    """Read a suite.

    Args:
        suite: Path of a TOML file, or the name of one that ships, such as ``"meta"``.

    Returns:
        The suite.

    Raises:
        InvalidParameterError: If there is no such file or it breaks the format.

    Example:
        >>> load_suite("meta").name
        'meta'
    """
    path = Path(suite)
    if not path.is_file():
        path = tasks_folder() / f"{Path(suite).name.removesuffix('.toml')}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in tasks_folder().glob("*.toml")))
        raise InvalidParameterError.of(
            "suite",
            "load_suite",
            "a TOML file or a shipped suite",
            str(suite),
            f"Shipped: {known}.",
        )
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is no valid TOML: {error}. Correct the file."
        raise InvalidParameterError(msg) from error
    entries = document.get("task")
    if not isinstance(entries, list) or not entries:
        raise InvalidParameterError.of(
            "task", str(path), "one [[task]] table at least", entries, "Add a [[task]] table."
        )
    return Suite(
        str(document.get("name", path.stem)),
        tuple(_entry(entry, path, i) for i, entry in enumerate(entries, start=1)),
    )


def load_suite_task(entry: SuiteTask, max_rows: int | None = None, seed: int = 0) -> Task:
    """Load one task of a suite.

    Args:
        entry: The entry.
        max_rows: Keep a seeded sample of about this many rows (tables only), or None.
        seed: Seed of the sample and of a generated split.

    Returns:
        The task; ``provenance["source"]`` is the reference as written in the suite.

    Raises:
        TaskError: If the shared data are needed and missing, or the task cannot be loaded.
        InvalidParameterError: If the reference, target or kind is wrong.

    Example:
        >>> load_suite_task(SuiteTask("openml:9946")).title
        'wdbc'
    """
    if entry.reference.lower().startswith(("openml:", "openml-data:")):
        task = load_task(entry.reference, target=entry.target, seed=seed)
    else:
        task = table_task(
            _located(entry.reference),
            entry.target,
            kind=entry.kind,
            seed=seed,
            name=entry.reference,
            title=entry.title,
            max_rows=max_rows,
            header=entry.header,
        )
        task.provenance["source"] = entry.reference
    return task


def _located(reference: str) -> Path:
    if not reference.startswith(_SHARED):
        return Path(reference)
    folder = data_folder()
    if folder is None:
        raise TaskError(no_data(reference))
    return folder / reference.removeprefix(_SHARED)


def _entry(entry: dict[str, Any], path: Path, number: int) -> SuiteTask:
    where = f"task {number} of {path.name}"
    for key, value in entry.items():
        if key not in _KEYS:
            raise InvalidParameterError.of(
                key, where, f"one of {', '.join(_KEYS)}", key, "Remove or rename it."
            )
        if not isinstance(value, _KEYS[key]):
            raise InvalidParameterError.of(
                key, where, f"a {_KEYS[key].__name__}", value, "Correct its value."
            )
    if "reference" not in entry:
        raise InvalidParameterError.of(
            "reference", where, "given", None, 'Add reference = "openml:31".'
        )
    kind = entry.get("kind")
    if kind is not None and kind not in _KINDS:
        raise InvalidParameterError.of(
            "kind", where, f"one of {', '.join(sorted(_KINDS))}", kind, "Choose one of them."
        )
    return SuiteTask(
        reference=entry["reference"],
        target=entry.get("target"),
        kind=cast("ProblemWish | None", kind),
        header=entry.get("header", True),
        title=entry.get("title"),
    )
