"""What a training run is told, and the learning rate that follows from it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from automl_meta.exceptions import InvalidParameterError, check_int

Schedule = Literal["constant", "cosine", "linear"]
OptimizerName = Literal["adam", "adamw", "sgd"]


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one meta-training run.

    A run ends when its ``steps`` are done or its ``seconds`` are over, whichever comes first; the learning
    rate follows the share that is used up. A run with steps alone is repeatable and resumes exactly; one
    with seconds depends on the machine's speed, and after a resume goes on with the time that is left.

    Attributes:
        steps: Outer steps, >= 1, or None for as many as the seconds allow.
        learning_rate: The optimiser's rate, > 0.
        schedule: What the rate does: stay constant, fall along half a cosine to zero, or fall linearly to it.
        clip_norm: Largest joint gradient norm, > 0, or None for no clipping.
        validate_every: Steps between validations, >= 1; used only with a validation function.
        patience: Validations without improvement before the run stops, >= 1, or None for never.
        checkpoint_every: Steps between checkpoints, >= 1; used only with a folder.
        log_every: Steps between log lines, >= 1; used only with a folder.
        seconds: Wall time of training, without validations, > 0, or None for no limit.
        optimizer: Adam; AdamW, whose weight decay does not pass through the moments; or gradient descent.
        momentum: Of ``"sgd"``, in [0, 1).
        weight_decay: Strength of the pull towards zero, >= 0.

    Raises:
        InvalidParameterError: If a value breaks its rule, or there is neither a number of steps nor a time.

    Example:
        >>> TrainingSettings(steps=100, schedule="cosine").rate_at(0.5)
        0.0005
    """

    steps: int | None = None
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    clip_norm: float | None = None
    validate_every: int = 100
    patience: int | None = None
    checkpoint_every: int = 500
    log_every: int = 10
    seconds: float | None = None
    optimizer: OptimizerName = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "validate_every", "patience", "checkpoint_every", "log_every"):
            value = getattr(self, name)
            optional = name in {"steps", "patience"} and value is None
            if not optional:
                check_int(value, name, "TrainingSettings", 1, remedy="Try 100.")
        for name in ("learning_rate", "clip_norm", "seconds"):
            value = getattr(self, name)
            optional = name != "learning_rate" and value is None
            if not optional and not (isinstance(value, int | float) and 0 < value < math.inf):
                raise _wrong(name, "a finite number > 0", value, "Try 0.001.")
        for name, high in (("momentum", 1.0), ("weight_decay", math.inf)):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value < high):
                raise _wrong(name, f"a number >= 0 and < {high:g}", value, "Try 0.")
        for name, kind in (("schedule", Schedule), ("optimizer", OptimizerName)):
            value, names = getattr(self, name), get_args(kind)
            if value not in names:
                raise _wrong(name, f"one of {', '.join(names)}", value, f"Try {names[0]}.")
        if self.steps is None and self.seconds is None:
            raise _wrong("steps", "an int >= 1 where seconds is None", None, "Give one of them.")

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "TrainingSettings":
        """Read stored settings, also those of before there were schedules.

        Args:
            record: What ``dataclasses.asdict`` made of settings, now or then.

        Raises:
            TypeError: If it holds other names.

        Example:
            >>> TrainingSettings.from_record({"steps": 5, "cosine": True}).schedule
            'cosine'
        """
        values = dict(record)
        if "cosine" in values:
            values["schedule"] = "cosine" if values.pop("cosine") else "constant"
        return cls(**values)

    def progress_at(self, step: int, seconds: float) -> float:
        """Return the share of the budget that is used up.

        Args:
            step: Steps done.
            seconds: Training time spent.

        Returns:
            A number in [0, 1]; 1 means that the run is over.

        Example:
            >>> TrainingSettings(steps=100, seconds=60).progress_at(10, 30.0)
            0.5
        """
        by_steps = 0.0 if self.steps is None else step / self.steps
        by_time = 0.0 if self.seconds is None else seconds / self.seconds
        return min(1.0, max(by_steps, by_time))

    def rate_at(self, progress: float) -> float:
        """Return the learning rate of a step.

        Args:
            progress: Share of the budget that is used up before the step, in [0, 1).

        Returns:
            A number in (0, learning_rate].
        """
        if self.schedule == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * progress)) / 2
        if self.schedule == "linear":
            return self.learning_rate * (1 - progress)
        return self.learning_rate


def _wrong(name: str, rule: str, value: object, remedy: str) -> InvalidParameterError:
    return InvalidParameterError.of(name, "TrainingSettings", rule, value, remedy)
