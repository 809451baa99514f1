"""A process of its own for work that may hang, eat all memory or crash.

loky supplies the process; this module adds what it does not have: a time limit that kills the
process, and a memory limit inside it.
"""

import resource
import signal
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

import psutil
from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool

_MIB = 2**20
#: Inside the worker: objects that several calls share, so that a table is sent once.
_SHARED: dict[int, Any] = {}


class TimeLimitExceededError(Exception):
    """The call did not finish in time; its process was killed."""


class WorkerDiedError(Exception):
    """The process ended in the middle of the call, out of memory most likely."""


class Worker:
    """Runs one call at a time in a process that is replaced when it hangs or dies.

    Args:
        memory_limit: Memory in MiB that the calls may take beyond the libraries' own; None for no
            limit.
    """

    def __init__(self, memory_limit: int | None = None) -> None:
        self._memory_limit = memory_limit
        self._executor: ProcessPoolExecutor | None = None
        #: Objects that the process holds; the reference keeps their ids from being reused.
        self._known: dict[int, Any] = {}

    def call(
        self, function: Callable[..., Any], shared: Any, *args: Any, timeout: float | None
    ) -> Any:
        """Return ``function(shared, *args)``, computed in the process.

        Args:
            function: Importable function.
            shared: A large argument; sent to the process on its first use only.
            *args: Small arguments.
            timeout: Seconds after which the process is killed, None for no limit. Starting a new
                process is not counted.

        Raises:
            TimeLimitExceededError: After the time limit.
            WorkerDiedError: If the process died.
            Exception: Whatever the function raised.
        """
        executor = self._started()
        key = id(shared)
        payload = None if key in self._known else shared
        future: Future[Any] = executor.submit(_run, function, key, payload, args)
        try:
            result = future.result(timeout)
        except FutureTimeoutError as error:
            if future.done():  # the function itself raised a TimeoutError
                raise
            self.close()
            msg = f"not finished after {timeout:.1f} s"
            raise TimeLimitExceededError(msg) from error
        except BrokenProcessPool as error:
            self.close()
            msg = "the worker process died (out of memory, or a crash in a native library)"
            raise WorkerDiedError(msg) from error
        except BaseException:
            if not future.done():  # interrupted while waiting: nobody will fetch the result
                self.close()
            raise
        finally:
            if self._executor is not None:
                self._known[key] = shared
        return result

    def close(self) -> None:
        """Kill the process; the next call starts another."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
        self._executor = None
        self._known = {}

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                max_workers=1,
                initializer=_prepare,
                initargs=(self._memory_limit,),
                env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            )
            self._executor.submit(_warm_up).result()
        return self._executor


def _prepare(memory_limit: int | None) -> None:
    """Set the process up: Ctrl-C belongs to the parent, memory is bounded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _warm_up()
    if memory_limit is not None:
        used = psutil.Process().memory_info().vms
        limit = used + memory_limit * _MIB
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _warm_up() -> None:
    """Import what every call needs, so that no call's time contains it."""
    import automl_meta.pipelines
    import automl_meta.tasks.task  # noqa: F401


def _run(function: Callable[..., Any], key: int, payload: Any, args: tuple[Any, ...]) -> Any:
    if payload is not None:
        _SHARED[key] = payload
    return function(_SHARED[key], *args)
