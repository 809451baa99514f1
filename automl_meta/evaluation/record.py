"""The record of one evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from automl_meta._typing import Configuration, FloatArray

Status = Literal["ok", "failed", "timeout", "memory", "pruned"]


@dataclass(frozen=True)
class Evaluation:
    """What happened when a configuration was tried on a task.

    Attributes:
        task: Name of the task.
        family: Name of the family.
        configuration: Active parameters.
        metric: The scorer that ``score`` averages; greater is better.
        fold_scores: One mapping scorer -> score for every finished fold, in fold order.
        seconds: Wall time of every finished fold: fit and predict.
        status: ``"ok"`` when every fold finished; otherwise why not.
        reason: One line that says what went wrong, or None.
        predictions: For every fold what the model predicted for its test rows, probabilities
            [n, n_classes] or values [n, 1]; empty unless they were asked for, every fold finished and
            all of them are usable.
    """

    task: str
    family: str
    configuration: Configuration
    metric: str
    fold_scores: tuple[Mapping[str, float], ...]
    seconds: tuple[float, ...]
    status: Status
    reason: str | None = None
    predictions: tuple[FloatArray, ...] = field(default=(), compare=False, repr=False)

    @property
    def values(self) -> tuple[float, ...]:
        """Fold scores under the task's own metric."""
        return tuple(scores[self.metric] for scores in self.fold_scores)

    @property
    def score(self) -> float | None:
        """Mean over all folds, or None unless every fold finished: a failed fold never counts as 0."""
        return float(np.mean(self.values)) if self.status == "ok" else None

    @property
    def std(self) -> float | None:
        """Standard deviation over the folds (population form), or None unless every fold finished."""
        return float(np.std(self.values)) if self.status == "ok" else None
