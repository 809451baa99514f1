"""The only module that imports the ``openml`` client.

Each call runs against a scratch copy of the cache (see ``openml_cache``), with time limits (see
``openml_http``), and ends in data or in one of our errors with one clear line.
"""

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlparse
from xml.parsers.expat import ExpatError

import arff
import numpy as np
import openml
import openml._api_calls as api_calls
import pandas as pd
import requests
from openml.exceptions import (
    OpenMLHashException,
    OpenMLPrivateDatasetError,
    OpenMLServerException,
    PyOpenMLError,
)

from automl_meta.exceptions import InvalidParameterError, NetworkError, TaskError
from automl_meta.tasks.openml_cache import (
    checksum_is_right,
    copy_entries,
    data_id_of,
    has_parquet_only,
)
from automl_meta.tasks.openml_http import (
    ForbiddenSession,
    NetworkForbiddenError,
    TimedSession,
    TooSlowError,
    requests_with,
)
from automl_meta.tasks.openml_records import (
    DamagedCacheError,
    OpenMLTable,
    OpenMLTaskData,
    Source,
    damaged,
    line,
    scrub,
    unreachable,
    unsupported,
)
from automl_meta.tasks.reading import read_table

#: Attempts for one answer; the client waits a second more after each.
ATTEMPTS = 2
_UNKNOWN_ID = {111, 151}
_DATABASE_DOWN = 107
_LOG = logging.getLogger(__name__)
# The client keeps its server and cache folder in module variables.
_LOCK = threading.RLock()
#: What the client is known to raise when a file or an answer is not what it expects.
_UNEXPECTED = (
    PyOpenMLError,
    requests.RequestException,
    ExpatError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    AssertionError,
    OSError,
)
_T = TypeVar("_T")


def source(server: str | None = None, cache: Path | None = None) -> Source:
    """Return the server and cache to use: as given, else the client's own configuration.

    Args:
        server: URL of a server, with or without ``/api/v1/xml``.
        cache: Root folder of a cache.

    Raises:
        InvalidParameterError: If the server is no http(s) URL.

    Example:
        >>> source("http://127.0.0.1:8000", Path("cache")).server
        'http://127.0.0.1:8000/api/v1/xml'
    """
    url = str(openml.config.server) if server is None else server
    parts = urlparse(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InvalidParameterError.of(
            "openml_server",
            "fit",
            "an http or https URL",
            url,
            "Try --openml-server https://www.openml.org/api/v1/xml.",
        )
    if not parts.path.strip("/"):
        url = f"{parts.scheme}://{parts.netloc}/api/v1/xml"
    root = Path(openml.config.get_config_as_dict()["cachedir"]) if cache is None else Path(cache)
    return Source(url.rstrip("/"), root)


def cached_task(where: Source, task_id: int) -> OpenMLTaskData | None:
    """Load a task from the local cache, without the network.

    Args:
        where: Server and cache.
        task_id: OpenML task id.

    Returns:
        The task, or None if the cache does not hold all of it.

    Raises:
        DamagedCacheError: If the entry cannot be used; the message names its path.
        TaskError: If the task is of a kind that is not supported.
    """
    data_id = data_id_of(where.folder, task_id)
    entry = where.folder / "tasks" / str(task_id)
    if data_id is None and (entry / "task.xml").is_file():
        raise DamagedCacheError(damaged(entry, "task.xml names no data set"))
    if data_id is None:
        return None
    return _from_cache(where, task_id, data_id, lambda: _task(task_id, from_cache=True))


def fetch_task(where: Source, task_id: int) -> OpenMLTaskData:
    """Load a task from the server and keep it in the cache.

    Args:
        where: Server and cache.
        task_id: OpenML task id.

    Raises:
        NetworkError: If the server cannot be reached or answers with something unusable.
        TaskError: If there is no such task or its kind is not supported.
    """
    return _from_server(
        where,
        f"task {task_id}",
        lambda: _task(task_id, from_cache=False),
        lambda found: (task_id, found.data.data_id),
    )


def cached_data(where: Source, data_id: int) -> OpenMLTable | None:
    """Load a data set from the local cache; as ``cached_task``.

    Args:
        where: Server and cache.
        data_id: OpenML data id.
    """
    if not (where.folder / "datasets" / str(data_id) / "description.xml").is_file():
        return None
    return _from_cache(where, None, data_id, lambda: _data(data_id, from_cache=True))


def fetch_data(where: Source, data_id: int) -> OpenMLTable:
    """Load a data set from the server and keep it in the cache; as ``fetch_task``.

    Args:
        where: Server and cache.
        data_id: OpenML data id.
    """
    return _from_server(
        where,
        f"data set {data_id}",
        lambda: _data(data_id, from_cache=False),
        lambda found: (None, found.data_id),
    )


def _from_cache(
    where: Source, task_id: int | None, data_id: int, load: Callable[[], _T]
) -> _T | None:
    entry = where.folder / "datasets" / str(data_id)
    with tempfile.TemporaryDirectory(prefix="automl-meta-openml-") as scratch:
        copy = Source(where.server, Path(scratch))
        copy_entries(where.folder, copy.folder, task_id, data_id)
        if not checksum_is_right(copy.folder, data_id):
            raise DamagedCacheError(damaged(entry, "its checksum is wrong"))
        skip = not has_parquet_only(copy.folder, data_id)
        try:
            with _client(copy, ForbiddenSession, skip_parquet=skip):
                return load()
        except NetworkForbiddenError:
            return None
        except DamagedCacheError as error:
            raise DamagedCacheError(damaged(entry, str(error))) from error
        except TaskError as error:
            if scratch in str(error):
                raise DamagedCacheError(damaged(entry, "a file cannot be read")) from error
            raise
        except _UNEXPECTED as error:
            raise DamagedCacheError(damaged(entry, line(error))) from error


def _from_server(
    where: Source,
    what: str,
    load: Callable[[], _T],
    ids: Callable[[_T], tuple[int | None, int]],
) -> _T:
    with tempfile.TemporaryDirectory(prefix="automl-meta-openml-") as scratch:
        copy = Source(where.server, Path(scratch))
        try:
            with _client(copy, TimedSession, skip_parquet=True):
                found = load()
        except DamagedCacheError as error:
            msg = f"{where.server} sent a damaged {what} ({error}). Try again later."
            raise NetworkError(msg) from error
        except TaskError as error:
            if scratch in str(error):
                msg = f"{where.server} sent a data file for {what} that cannot be read: {error.__cause__ or error}"
                raise NetworkError(scrub(msg.replace(scratch, ""))) from error
            raise
        except TooSlowError as error:
            raise NetworkError(unreachable(where, str(error))) from error
        except _UNEXPECTED as error:
            raise _explained(where, what, error) from error
        try:
            copy_entries(copy.folder, where.folder, *ids(found))
        except OSError as error:
            _LOG.warning("%s was not kept in the cache %s: %s", what, where.folder, error)
        return found


def _task(task_id: int, *, from_cache: bool) -> OpenMLTaskData:
    task: Any = openml.tasks.get_task(
        task_id,
        download_splits=False,
        download_data=False,
        download_qualities=False,
        download_features_meta_data=True,
    )
    kinds: dict[Any, Literal["classification", "regression"]] = {
        openml.tasks.TaskType.SUPERVISED_CLASSIFICATION: "classification",
        openml.tasks.TaskType.SUPERVISED_REGRESSION: "regression",
    }
    problem = kinds.get(task.task_type_id)
    if problem is None:
        raise TaskError(unsupported(task_id, str(task.task_type)))
    data = _data(int(task.dataset_id), from_cache=from_cache)
    train, test = _first_fold(task)
    n_rows = len(data.table)
    both = np.union1d(train, test)
    if len(both) and (both[0] < 0 or both[-1] >= n_rows):
        msg = f"its split names row {both[-1]} of {n_rows}"
        raise DamagedCacheError(msg)
    if from_cache and len(both) != n_rows:
        msg = f"its split covers {len(both)} of {n_rows} rows"
        raise DamagedCacheError(msg)
    return OpenMLTaskData(
        data, problem, str(task.target_name), str(task.evaluation_measure or ""), (train, test)
    )


def _first_fold(task: Any) -> tuple[Any, Any]:
    # The client leaves the file open when it cannot be read; holding on to its error would keep it so.
    try:
        train, test = task.get_train_test_split_indices(fold=0)
    except (arff.ArffException, LookupError, ValueError) as error:
        reason = line(error)
    else:
        return np.asarray(train), np.asarray(test)
    msg = f"its split cannot be read: {reason}"
    raise DamagedCacheError(msg)


def _data(data_id: int, *, from_cache: bool) -> OpenMLTable:
    options: dict[str, Any] = {"download_qualities": False, "download_features_meta_data": True}
    described: Any = openml.datasets.get_dataset(data_id, download_data=False, **options)
    if str(described.format).lower() == "sparse_arff":
        msg = f"OpenML data set {data_id} is sparse, which is not supported. Convert it to a dense table."
        raise TaskError(msg)
    dataset: Any = openml.datasets.get_dataset(data_id, download_data=True, **options)
    table = read_table(dataset.parquet_file or dataset.data_file)
    left_out = [*_names(dataset.ignore_attribute, table), *_names(dataset.row_id_attribute, table)]
    title = (
        f"{dataset.name}" if dataset.version in {None, 1} else f"{dataset.name} v{dataset.version}"
    )
    target = dataset.default_target_attribute
    return OpenMLTable(
        data_id,
        title,
        table,
        tuple(dict.fromkeys(left_out)),
        str(target) if target else None,
        from_cache,
    )


def _names(stated: Any, table: pd.DataFrame) -> list[str]:
    """Return the columns that an attribute of the description names: a text, a list, or commas."""
    texts = [stated] if isinstance(stated, str) else list(stated or ())
    known = set(table.columns)
    names: list[str] = []
    for text in map(str, texts):
        names += [text] if text in known else [part.strip() for part in text.split(",")]
    return [name for name in names if name in known]


@contextmanager
def _client(where: Source, session: Any, *, skip_parquet: bool) -> Iterator[None]:
    """Point the client at a scratch cache, a server and our HTTP session; undo it afterwards.

    The API key is for the configured server only: it is not sent to another one.
    """
    config = openml.config
    with _LOCK:
        before = config.get_config_as_dict()
        key = before["apikey"] if _host(before["server"]) == _host(where.server) else ""
        handlers = list(logging.getLogger().handlers)
        disabled = logging.root.manager.disable
        parquet = os.environ.get("OPENML_SKIP_PARQUET")
        try:
            config.server, config.apikey, config.show_progress = where.server, key, False
            config.set_root_cache_directory(where.root)
            config.set_retry_policy("human", ATTEMPTS)
            os.environ["OPENML_SKIP_PARQUET"] = str(skip_parquet).lower()
            vars(api_calls)["requests"] = requests_with(session)
            logging.disable(logging.WARNING)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            vars(api_calls)["requests"] = requests
            logging.disable(disabled)
            # The client logs through the root logger, which gives it a handler nobody asked for.
            for handler in set(logging.getLogger().handlers) - set(handlers):
                logging.getLogger().removeHandler(handler)
            os.environ.pop("OPENML_SKIP_PARQUET", None)
            if parquet is not None:
                os.environ["OPENML_SKIP_PARQUET"] = parquet
            config.server, config.apikey = before["server"], before["apikey"]
            config.show_progress = before["show_progress"]
            config.set_root_cache_directory(before["cachedir"])
            config.set_retry_policy(before["retry_policy"], int(before["connection_n_retries"]))


def _host(url: str) -> str:
    return urlparse(str(url)).netloc


def _explained(where: Source, what: str, error: BaseException) -> TaskError | NetworkError:
    """Turn what the client raised into one clear line."""
    if isinstance(error, NotImplementedError) or "TaskType" in str(error):
        return TaskError(unsupported(int(what.rpartition(" ")[2]), line(error)))
    if isinstance(error, PyOpenMLError):
        return _refused(where, what, error)
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return NetworkError(unreachable(where, "its answer was cut off"))
    if isinstance(error, requests.ConnectionError):
        return NetworkError(unreachable(where, line(error)))
    return _nonsense(where, what, error)


def _refused(where: Source, what: str, error: PyOpenMLError) -> TaskError | NetworkError:
    """Explain one of the client's own errors."""
    if isinstance(error, OpenMLPrivateDatasetError):
        return TaskError(
            f"OpenML {what} is private. Put your API key into the client's config file."
        )
    if isinstance(error, OpenMLHashException):
        msg = f"{where.server} sent {what} with a wrong checksum: the file was changed or cut on its way. Try again later."
        return NetworkError(msg)
    if not isinstance(error, OpenMLServerException):
        return _nonsense(where, what, error)
    if error.code in _UNKNOWN_ID:
        return TaskError(f"There is no OpenML {what} on {where.server}. Check its number.")
    if error.code == _DATABASE_DOWN:
        return NetworkError(unreachable(where, "its database is down"))
    return TaskError(f"{where.server} refused {what}: {line(error)}. Check its number.")


def _nonsense(where: Source, what: str, error: BaseException) -> NetworkError:
    msg = (
        f"{where.server} answered for {what} with something that is no OpenML document "
        f"({type(error).__name__}: {line(error)}). Check --openml-server, or try again later."
    )
    return NetworkError(msg)
