"""A process of its own for work that may hang, eat all memory or crash.

loky supplies the process; this module adds what it does not have: a time limit that kills the
process, and a memory limit inside it.
"""

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

import psutil
from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool

_MIB = 2**20
Unit = TypeVar("Unit")
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


class WorkerPool:
    """One worker for every thread that asks, for work done in a pool of threads.

    Args:
        memory_limit: Of each worker; see ``Worker``.

    Attributes:
        stopped: Set by ``stop``: what a killed worker returns must not be believed.
    """

    def __init__(self, memory_limit: int | None = None) -> None:
        self.stopped = threading.Event()
        self._memory_limit = memory_limit
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: list[Worker] = []

    def mine(self) -> Worker:
        """Return the calling thread's worker."""
        if not hasattr(self._local, "worker"):
            self._local.worker = Worker(self._memory_limit)
            with self._lock:
                self._all.append(self._local.worker)
        worker: Worker = self._local.worker
        return worker

    def stop(self) -> None:
        """Kill all workers in the middle of their calls."""
        self.stopped.set()
        self.close()

    def close(self) -> None:
        """End all workers."""
        for worker in self._all:
            worker.close()


def run_all(
    units: Sequence[Unit],
    run: Callable[[Unit, WorkerPool], None],
    *,
    jobs: int,
    memory_limit: int | None,
    on_done: Callable[[Unit], None],
) -> None:
    """Run units of work in threads, each thread with a worker process of its own.

    Args:
        units: What to do, in order.
        run: Does one unit; it must not keep its result once ``stopped`` is set.
        jobs: Threads, >= 1.
        memory_limit: Of each worker in MiB.
        on_done: Called in the calling thread after each unit. If it or a unit raises, the rest is
            dropped and the error goes on.
    """
    workers = WorkerPool(memory_limit)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            futures = {pool.submit(run, unit, workers): unit for unit in units}
            for future in as_completed(futures):
                future.result()
                on_done(futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            workers.stop()
            raise
        finally:
            workers.close()


def _prepare(memory_limit: int | None) -> None:
    """Set the process up: Ctrl-C belongs to the parent, memory is bounded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _warm_up()
    if memory_limit is not None:
        used = psutil.Process().memory_info().vms
        limit = used + memory_limit * _MIB
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _end_with_parent(parent: int) -> None:
    """Leave no process behind when the parent is killed: loky itself would wait for ever."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _warm_up() -> None:
    """Import what every call needs, so that no call's time contains it."""
    import automl_meta.pipelines
    import automl_meta.tasks.task  # noqa: F401


def _run(function: Callable[..., Any], key: int, payload: Any, args: tuple[Any, ...]) -> Any:
    if payload is not None:
        _SHARED[key] = payload
    return function(_SHARED[key], *args)
