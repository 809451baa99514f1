"""What a run tells about its progress; the command line draws it, a library user may ignore it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Phase = Literal["search", "stopping", "refit", "defaults", "done"]


@dataclass(frozen=True)
class Progress:
    """One step of a run.

    Attributes:
        phase: What the run is doing; ``"stopping"`` once, when Ctrl-C was pressed.
        done: Finished trials, or defaults.
        total: Trials, or defaults, in all.
        best_score: Best cross-validation score so far, or None before the first.
        seconds_left: Estimate for the phase, or None where nothing is known yet.
        message: One short line on the last step, or empty.
    """

    phase: Phase
    done: int = 0
    total: int = 0
    best_score: float | None = None
    seconds_left: float | None = None
    message: str = ""


Listener: TypeAlias = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """Listen to nothing."""
