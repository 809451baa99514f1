"""Suites: a TOML file with a list of runs, each resumable, that together make a table.

```toml
title = "Omniglot"
notes = ["What a reader must know."]

[defaults]            # of every run: any name that the command's recipe takes
threads = 1

[[run]]
name = "maml-5-way-1-shot"
learner = "maml"
seconds = 2400
```
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from automl_meta._resources import tasks_folder
from automl_meta.exceptions import InvalidParameterError

Settings = TypeVar("Settings")
_BUDGETS = frozenset({"steps", "seconds"})


@dataclass(frozen=True)
class SuiteEntry:
    """One run of a suite.

    Attributes:
        name: Unique within the suite; the name of the run's folder.
        values: All else that file, defaults and changes say of it.
    """

    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class SuiteFile:
    """What a suite's file says.

    Attributes:
        title: Heading of the report.
        entries: In the order of the table.
        notes: What a reader must know.
        file: Name of the file, for errors.
    """

    title: str
    entries: tuple[SuiteEntry, ...]
    notes: tuple[str, ...]
    file: str


def read_suite(
    suite: str | Path, changes: Mapping[str, Any], *, command: str, example: str
) -> SuiteFile:
    """Read a suite.

    Args:
        suite: Path of a TOML file, or the name of one that ships.
        changes: Values of every run that take precedence over the file's; a budget replaces the other kind.
        command: Whose suite it is, for errors.
        example: Name of one that ships.

    Raises:
        InvalidParameterError: If there is no such file or it breaks the format.
    """
    path = _located(suite, command, example)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is no valid TOML: {error}. Correct the file."
        raise InvalidParameterError(msg) from error
    entries, defaults = document.get("run"), document.get("defaults", {})
    if not isinstance(entries, list) or not entries or not isinstance(defaults, dict):
        rule = "one [[run]] table at least, and [defaults] a table"
        raise InvalidParameterError.of("run", str(path), rule, entries, "Add a [[run]] table.")
    read = tuple(_entry({**defaults, **entry}, changes, path.name) for entry in entries)
    names = [entry.name for entry in read]
    if len(set(names)) != len(names):
        raise InvalidParameterError.of("name", path.name, "unique", names, "Rename one.")
    notes = tuple(map(str, document.get("notes", ())))
    return SuiteFile(str(document.get("title", path.stem)), read, notes, path.name)


def completed(
    entry: SuiteEntry, recipe: Callable[..., Settings], file: str, *, ignored: Sequence[str] = ()
) -> Settings:
    """Make the settings of a run.

    Args:
        entry: The run.
        recipe: Makes settings of values.
        file: Name of the file, for errors.
        ignored: Values that are no settings.

    Raises:
        InvalidParameterError: If values lack, or are wrong.
    """
    try:
        return recipe(**{name: v for name, v in entry.values.items() if name not in ignored})
    except InvalidParameterError as error:
        msg = f"Run {entry.name!r} of {file}: {error}"
        raise InvalidParameterError(msg) from error
    except TypeError as error:
        msg = (
            f"Run {entry.name!r} of {file} lacks a value, or has one too many: {error}. Correct it."
        )
        raise InvalidParameterError(msg) from error


def check_chosen(only: Sequence[str], names: Sequence[str], command: str) -> None:
    """Refuse names that a suite does not have.

    Args:
        only: Names of runs.
        names: Of the suite's runs.
        command: Whose suite it is, for errors.

    Raises:
        InvalidParameterError: If one is unknown.

    Example:
        >>> check_chosen(["a"], ["a", "b"], "fewshot")
    """
    for name in only:
        if name not in names:
            rule = f"one of {', '.join(names)}"
            raise InvalidParameterError.of("only", command, rule, name, "Correct it.")


def _located(suite: str | Path, command: str, example: str) -> Path:
    shipped = tasks_folder() / f"{Path(suite).name.removesuffix('.toml')}.toml"
    for path in (Path(suite), shipped):
        if path.is_file():
            return path
    rule = "a TOML file or a shipped suite"
    raise InvalidParameterError.of("suite", command, rule, str(suite), f"Try {example}.")


def _entry(merged: Mapping[str, Any], changes: Mapping[str, Any], where: str) -> SuiteEntry:
    values = {
        name: value
        for name, value in merged.items()
        if name != "name" and not (name in _BUDGETS and _BUDGETS & changes.keys())
    }
    name = merged.get("name")
    if not isinstance(name, str) or not name or Path(name).name != name:
        rule = "a name without slashes"
        raise InvalidParameterError.of("name", where, rule, name, 'Add name = "first".')
    return SuiteEntry(name, values | dict(changes))
