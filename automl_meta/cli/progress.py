"""Live progress on stderr, on a terminal only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPPING = "Stopping after the running trial. Press Ctrl-C again to end it at once."


@contextmanager
def make_listener() -> Iterator[Any]:
    """Yield a listener for ``fit``: a live line on a terminal, else only the answer to Ctrl-C."""
    if not sys.stderr.isatty():
        yield _answer_to_interrupt
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[best]}", markup=False),
        TextColumn("[dim]{task.fields[left]}"),
        console=Console(stderr=True),
        transient=True,
    )
    line = bar.add_task("loading the task", total=None, best="", left="")
    with bar:

        def listen(event: Any) -> None:
            if event.phase == "stopping":
                bar.console.print(STOPPING, style="yellow")
                return
            best = "" if event.best_score is None else f"best {event.best_score:.4f}"
            bar.update(
                line,
                description=_TITLES[event.phase],
                completed=event.done,
                total=event.total or None,
                best=best if event.phase == "search" else event.message,
                left=_left(event.seconds_left),
            )

        yield listen


_TITLES = {
    "search": "searching",
    "refit": "fitting the best model",
    "defaults": "scoring the family defaults",
    "done": "writing the report",
}


def _answer_to_interrupt(event: Any) -> None:
    if event.phase == "stopping":
        print(STOPPING, file=sys.stderr)


def _left(seconds: float | None) -> str:
    if seconds is None or seconds == float("inf"):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} left"


@contextmanager
def counter(title: str) -> Iterator[Any]:
    """Yield a function of (done, all, name): a live bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield lambda done, total, name: _line(title, done, total, name)
        return
    from rich.progress import Progress, TimeRemainingColumn

    with Progress(
        *Progress.get_default_columns()[:3], TimeRemainingColumn(), transient=True
    ) as bar:
        line = bar.add_task(title, total=None)
        yield lambda done, total, name: bar.update(
            line, description=f"{title} {name}", completed=done, total=total
        )


def _line(title: str, done: int, total: int, name: str) -> None:
    if done == total or done % max(1, total // 50) == 0:
        print(f"{title}: {done}/{total} {name}", file=sys.stderr, flush=True)
