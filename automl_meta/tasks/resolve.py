"""From a reference to a task: ``openml:ID``, ``openml-data:ID`` or the path of a table."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from automl_meta.exceptions import InvalidParameterError, NetworkError, TaskError
from automl_meta.tasks.assemble import RawTask, assemble
from automl_meta.tasks.bundled import Bundled, find_bundled
from automl_meta.tasks.files import table_task
from automl_meta.tasks.task import Task

if TYPE_CHECKING:
    from automl_meta.tasks.openml_records import OpenMLTable, OpenMLTaskData, Source

_REFERENCE = re.compile(r"(openml|openml-data):\s*(\d{1,9})", re.IGNORECASE)
_T = TypeVar("_T")


def load_task(  # noqa: PLR0913 - the options of the command, one to one
    reference: str | Path,
    *,
    target: str | None = None,
    metric: str | None = None,
    ignore: Sequence[str] = (),
    test_file: str | Path | None = None,
    offline: bool = False,
    server: str | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
) -> Task:
    """Load a task.

    OpenML tasks come from the local cache, else the server, else a bundled copy; offline from the cache,
    else a bundled copy. The official fold 0 is the held-out part where it has at least 20 rows.

    Args:
        reference: ``"openml:ID"`` (a task), ``"openml-data:ID"`` (a data set), or the path of a table.
        target: Target column; needed for a table, and for a data set without a default target.
        metric: A scikit-learn scorer name; by default the OpenML task's measure, else the kind's default.
        ignore: Columns that are no features.
        test_file: A table whose rows are the held-out part; for tables only.
        offline: Never touch the network.
        server: URL of another OpenML server; by default the client's own configuration decides.
        seed: Seed of a generated split.
        cache: Root folder of the OpenML cache; by default the client's own.

    Returns:
        The task.

    Raises:
        InvalidParameterError: If a parameter breaks its rule or names what does not exist.
        TaskError: If the task cannot be loaded or learned from.
        NetworkError: If a server was needed and could not be used.

    Example:
        >>> task = load_task("openml:9946", offline=True)
        >>> task.title, task.kind, task.features.shape
        ('wdbc', 'binary', (569, 30))
    """
    text = str(reference).strip()
    found = _REFERENCE.fullmatch(text)
    if found is None:
        if re.match(r"(?i)(openml(-data)?:|openml/|\d+$|https?:)", text) or not text:
            raise InvalidParameterError.of(
                "task",
                "fit",
                "openml:ID with a number, openml-data:ID, or the path of a table",
                text,
                "Try --task openml:31.",
            )
        return table_task(
            text, target, metric=metric, ignore=ignore, test_file=test_file, seed=seed
        )
    if test_file is not None:
        raise InvalidParameterError.of(
            "test_file", "fit", "left out for an OpenML task", str(test_file), "Leave it out."
        )
    wish = _Wish(target, metric, tuple(ignore), seed)
    from automl_meta.tasks import openml_client

    where = openml_client.source(server, None if cache is None else Path(cache))
    number = int(found.group(2))
    if found.group(1).lower() == "openml":
        return _openml_task(f"openml:{number}", number, where, wish, offline=offline)
    return _openml_data(f"openml-data:{number}", number, where, wish, offline=offline)


class _Wish:
    """What the user asked of an OpenML task."""

    def __init__(
        self, target: str | None, metric: str | None, ignore: tuple[str, ...], seed: int
    ) -> None:
        self.target, self.metric, self.ignore, self.seed = target, metric, ignore, seed


def _openml_task(name: str, number: int, where: "Source", wish: _Wish, *, offline: bool) -> Task:
    from automl_meta.tasks import openml_client as client

    copy = find_bundled(task_id=number)
    found, notes = _resolve(
        name,
        lambda: client.cached_task(where, number),
        None if offline else lambda: client.fetch_task(where, number),
        copy,
    )
    if found is None:
        assert copy is not None
        return _from_bundled(name, copy, wish, notes)
    task: OpenMLTaskData = found
    if wish.target not in {None, task.target}:
        raise InvalidParameterError.of(
            "target",
            "fit",
            f"{task.target!r}, the target of {name}, or left out",
            wish.target,
            f"For another target use --task openml-data:{task.data.data_id}.",
        )
    raw = _raw(name, task.data, task.target, wish, where, notes)
    return assemble(
        replace(
            raw,
            kind=task.problem,
            measure=task.measure,
            fold=(*task.fold, "OpenML fold 0"),
            provenance={**raw.provenance, "task_id": str(number)},
        )
    )


def _openml_data(name: str, number: int, where: "Source", wish: _Wish, *, offline: bool) -> Task:
    from automl_meta.tasks import openml_client as client

    copy = find_bundled(data_id=number)
    found, notes = _resolve(
        name,
        lambda: client.cached_data(where, number),
        None if offline else lambda: client.fetch_data(where, number),
        copy,
    )
    if found is None:
        assert copy is not None
        return _from_bundled(name, copy, wish, notes)
    target = wish.target or found.default_target
    if target is None or (wish.target is None and target not in found.table.columns):
        shown = ", ".join(found.table.columns[-5:])
        raise InvalidParameterError.of(
            "target",
            "fit",
            f"a column of {name}, which has no single default target",
            wish.target,
            f"Its last columns are: {shown}.",
        )
    return assemble(_raw(name, found, target, wish, where, notes))


def _resolve(
    name: str,
    from_cache: Callable[[], _T | None],
    from_server: Callable[[], _T] | None,
    copy: Bundled | None,
) -> tuple[_T | None, tuple[str, ...]]:
    """Try cache, server and bundled copy in this order; None means the bundled copy."""
    from automl_meta.tasks.openml_records import DamagedCacheError

    notes: tuple[str, ...] = ()
    try:
        found = from_cache()
    except DamagedCacheError as error:
        if from_server is None and copy is None:
            raise
        found, notes = None, (f"The cached entry of {name} was damaged and not used ({error}).",)
    if found is not None:
        return found, notes
    if from_server is None:
        if copy is None:
            msg = f"{name} is neither in the local OpenML cache nor bundled. Run once without --offline, or try --task openml:9946."
            raise TaskError(msg)
        return None, notes
    try:
        return from_server(), notes
    except NetworkError as error:
        if copy is None:
            raise
        return None, (*notes, f"The bundled copy was used: {error}")


def _raw(
    name: str,
    data: "OpenMLTable",
    target: str,
    wish: _Wish,
    where: "Source",
    notes: tuple[str, ...],
) -> RawTask:
    left_out = tuple(c for c in data.left_out if c != target and c not in wish.ignore)
    if left_out:
        notes = (*notes, f"OpenML marks as no features: {', '.join(left_out)}.")
    return RawTask(
        name=name,
        title=data.title,
        table=data.table,
        target=target,
        metric=wish.metric,
        ignore=(*wish.ignore, *left_out),
        seed=wish.seed,
        provenance={
            "source": "OpenML cache" if data.from_cache else "OpenML server",
            "server": where.server,
            "data_id": str(data.data_id),
        },
        notes=(*data.table.attrs.get("notes", ()), *notes),
    )


def _from_bundled(name: str, copy: Bundled, wish: _Wish, notes: tuple[str, ...]) -> Task:
    target = wish.target or copy.target
    return assemble(
        RawTask(
            name=name,
            title=copy.title,
            table=copy.load(),
            target=target,
            kind=copy.problem if target == copy.target else None,
            metric=wish.metric,
            ignore=wish.ignore,
            seed=wish.seed,
            provenance={
                "source": "bundled copy",
                "copy": copy.origin,
                "data_id": str(copy.data_id),
                "task_id": str(copy.task_id),
            },
            notes=(
                *notes,
                f"Loaded from the copy in {copy.origin}; the split is generated, not OpenML's.",
            ),
        )
    )
