import os
import signal
import threading

import pytest

from automl_meta.runs.interrupt import GracefulInterrupt


def test_first_asks_second_raises_and_the_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    calls = []
    with GracefulInterrupt(lambda: calls.append(1)) as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
        assert calls == [1]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert calls == [1]
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_it_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with GracefulInterrupt(lambda: None) as interrupt:
            seen.append((interrupt.requested, signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, True)]
