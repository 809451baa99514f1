"""Live progress of a training with a test on stderr, and its answer to Ctrl-C."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from automl_meta.runs.interrupt import GracefulInterrupt

if TYPE_CHECKING:
    from automl_meta.training import Step

STOPPING = "Stopping after the running step, then testing. Press Ctrl-C again to end it at once."
Listeners = tuple[Callable[["Step"], bool], Callable[[int, int], None]]


@contextmanager
def following(
    name: str, *, tested: str = "episodes", shown: Callable[[float], str] = "{:.4f}".format
) -> Iterator[Listeners]:
    """Yield listeners for the steps and the test of a run, which print its progress on stderr.

    A terminal gets a live bar, all else a line at each validation. The first Ctrl-C makes the step
    listener answer that the training shall end.

    Args:
        name: Of the run.
        tested: What the test counts.
        shown: A validation loss to what is shown of it.
    """
    if os.environ.get("RANK", "0") != "0":  # under torchrun the first process speaks for all
        yield (lambda _: False), (lambda *_: None)
        return
    with (
        GracefulInterrupt(lambda: print(STOPPING, file=sys.stderr)) as interrupt,
        _bar(name, shown) if sys.stderr.isatty() else _lines(name, tested, shown) as show,
    ):

        def on_step(step: "Step") -> bool:
            show(step)
            return interrupt.requested

        yield on_step, lambda done, total: show((done, total))


@contextmanager
def _lines(
    name: str, tested: str, shown: Callable[[float], str]
) -> Iterator[Callable[[Any], None]]:
    def show(event: Any) -> None:
        if isinstance(event, tuple):
            done, total = event
            if done == total:
                print(f"{name}: tested on {total} {tested}", file=sys.stderr, flush=True)
        elif event.validation is not None:
            print(
                f"{_titled(name, event.part)}: {_text(event, shown)}", file=sys.stderr, flush=True
            )

    yield show


@contextmanager
def _bar(name: str, shown: Callable[[float], str]) -> Iterator[Callable[[Any], None]]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[state]}", markup=False),
        TimeRemainingColumn(),
        transient=True,
        console=_console(),
    )
    line = bar.add_task(f"{name}: training", total=1.0, state="")
    judged = [""]

    def show(event: Any) -> None:
        if isinstance(event, tuple):
            done, total = event
            bar.update(line, description=f"{name}: testing", completed=done, total=total, state="")
            return
        if event.validation is not None:
            judged[0] = f", validation {shown(event.validation)}"
        loss = "undefined" if event.loss is None else f"{event.loss:.3f}"
        state = f"step {event.number}, loss {loss}{judged[0]}"
        title = f"{_titled(name, event.part)}: training"
        bar.update(line, description=title, completed=event.progress, state=state)

    with bar:
        yield show


def _titled(name: str, part: str) -> str:
    return f"{name}, {part}" if part else name


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def _text(step: "Step", shown: Callable[[float], str]) -> str:
    left = step.seconds * (1 / step.progress - 1)
    minutes, seconds = divmod(round(left), 60)
    loss = "undefined" if step.loss is None else f"{step.loss:.3f}"
    judged = "undefined" if step.validation is None else shown(step.validation)
    return f"step {step.number}, loss {loss}, validation {judged}, {minutes}:{seconds:02d} left"
