"""What OpenML has of a task, and the lines that tell why it cannot be had."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from automl_meta.exceptions import TaskError
from automl_meta.tasks.openml_cache import server_folder


class DamagedCacheError(TaskError):
    """An entry of the local cache cannot be used."""


@dataclass(frozen=True, eq=False)
class OpenMLTable:
    """A data set as OpenML has it.

    Attributes:
        data_id: OpenML data id.
        title: Its name and version.
        table: All columns, the target among them.
        left_out: Columns that OpenML says to ignore, and the row id.
        default_target: The data set's own target, or None.
        from_cache: It came from the local cache.
    """

    data_id: int
    title: str
    table: pd.DataFrame
    left_out: tuple[str, ...]
    default_target: str | None
    from_cache: bool


@dataclass(frozen=True, eq=False)
class OpenMLTaskData:
    """A supervised task as OpenML has it.

    Attributes:
        data: Its data set.
        problem: Kind of the task.
        target: Target column.
        measure: Evaluation measure, or an empty text.
        fold: Row numbers of the training and test part of repeat 0, fold 0.
    """

    data: OpenMLTable
    problem: Literal["classification", "regression"]
    target: str
    measure: str
    fold: tuple[Any, Any]


@dataclass(frozen=True)
class Source:
    """Where to look.

    Attributes:
        server: URL of the API.
        root: Root folder of the cache.
    """

    server: str
    root: Path

    @property
    def folder(self) -> Path:
        """The server's folder in the cache."""
        return server_folder(self.root, self.server)


def unreachable(where: Source, reason: str) -> str:
    """Say that a server cannot be used."""
    return (
        f"The OpenML server {where.server} cannot be used: {scrub(reason)}. "
        "Try again later, or --offline with a cached or bundled task."
    )


def unsupported(task_id: int, kind: str) -> str:
    """Say that a task is of an unsupported type."""
    return (
        f"OpenML task {task_id} is of a type that is not supported ({kind}). "
        "Choose a supervised classification or regression task."
    )


def damaged(entry: Path, reason: str) -> str:
    """Say that a cache entry is damaged, and where it lies."""
    return (
        f"The OpenML cache entry {entry} is damaged: {scrub(reason)}. "
        "Delete it, or run once without --offline to fetch it again."
    )


def line(error: BaseException) -> str:
    """Return an error's message as one short line without secrets."""
    return scrub(" ".join(str(error).split()))[:160].rstrip(".")


def scrub(text: str) -> str:
    """Remove API keys from a text: the client puts them into its URLs."""
    return re.sub(r"api_key=[^&\s'\")]*", "api_key=...", text)
