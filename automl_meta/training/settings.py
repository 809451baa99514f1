"""What a training run is told, and the learning rate that follows from it."""

import math
from dataclasses import dataclass

from automl_meta.exceptions import InvalidParameterError


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one meta-training run.

    Attributes:
        steps: Outer steps, >= 1.
        learning_rate: Adam's rate, > 0.
        cosine: Let the rate fall along half a cosine from ``learning_rate`` to zero.
        clip_norm: Largest joint gradient norm, > 0, or None for no clipping.
        validate_every: Steps between validations, >= 1; used only with a validation function.
        patience: Validations without improvement before the run stops, >= 1, or None for never.
        checkpoint_every: Steps between checkpoints, >= 1; used only with a folder.
        log_every: Steps between log lines, >= 1; used only with a folder.

    Raises:
        InvalidParameterError: If a value breaks its rule.

    Example:
        >>> TrainingSettings(steps=100, cosine=True).rate_at(50)
        0.0005
    """

    steps: int
    learning_rate: float = 1e-3
    cosine: bool = False
    clip_norm: float | None = None
    validate_every: int = 100
    patience: int | None = None
    checkpoint_every: int = 500
    log_every: int = 10

    def __post_init__(self) -> None:
        for name in ("steps", "validate_every", "patience", "checkpoint_every", "log_every"):
            value = getattr(self, name)
            if name == "patience" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidParameterError.of(
                    name, "TrainingSettings", "an int >= 1", value, "Try 100."
                )
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if name == "clip_norm" and value is None:
                continue
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise InvalidParameterError.of(
                    name, "TrainingSettings", "a finite number > 0", value, "Try 0.001."
                )

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step.

        Args:
            step: Steps already done, 0 to ``steps - 1``.

        Returns:
            A number in (0, learning_rate].
        """
        if not self.cosine:
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2
