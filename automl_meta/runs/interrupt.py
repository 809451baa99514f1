"""Ctrl-C in two steps: the first asks the search to end, the second ends the running trial."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class GracefulInterrupt:
    """Context manager that turns the first SIGINT into a request and the second into KeyboardInterrupt.

    Outside the main thread signals cannot be handled; there it only carries the request flag.

    Args:
        on_request: Called once, at the first SIGINT.

    Example:
        >>> with GracefulInterrupt(lambda: None) as interrupt:
        ...     interrupt.requested
        False
    """

    def __init__(self, on_request: Callable[[], None]) -> None:
        self._on_request = on_request
        self._flag = threading.Event()
        self._previous: Any = None
        self._installed = False

    @property
    def requested(self) -> bool:
        """Whether SIGINT has arrived."""
        return self._flag.is_set()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._previous)
            self._installed = False

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._flag.is_set():
            raise KeyboardInterrupt
        self._flag.set()
        self._on_request()
