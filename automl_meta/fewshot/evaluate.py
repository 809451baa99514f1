"""Evaluation on episodes, with a confidence interval.

| symbol | meaning |
|---|---|
| T | episodes of a batch |
| B | query items of an episode |
| N | classes, or outputs |
"""

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.episodes import Episodes, EpisodeSource, in_batches
from automl_meta.fewshot.learners import Learner
from automl_meta.statistics import half_interval

ACCURACY, SQUARED_ERROR = "accuracy", "mean squared error"


@dataclass(frozen=True)
class Evaluation:
    """Scores of independent episodes.

    Attributes:
        metric: ``"accuracy"`` (share of right query items) or ``"mean squared error"`` (over query points).
        scores: Score of each episode.

    Example:
        >>> result = Evaluation("accuracy", (0.8, 1.0, 0.9))
        >>> round(result.mean, 3), round(result.interval95, 3)
        (0.9, 0.113)
    """

    metric: str
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over episodes."""
        return math.fsum(self.scores) / len(self.scores)

    @property
    def median(self) -> float:
        """Median over episodes: what a few that diverge do not move."""
        return statistics.median(self.scores)

    @property
    def interval95(self) -> float:
        """Half the 95 % confidence interval of the mean; NaN for one episode."""
        return half_interval(self.scores)


def evaluate(
    learner: Learner,
    meta: Mapping[str, Tensor],
    source: EpisodeSource,
    *,
    episodes: int,
    generator: torch.Generator,
    batch: int = 25,
    steps: int | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Evaluation:
    """Let a learner learn from episodes that it has never seen, and score it.

    Args:
        learner: The method.
        meta: Its meta-parameters.
        source: Of the episodes.
        episodes: How many, >= 1.
        generator: Decides which; the same state gives the same episodes for every learner.
        batch: Episodes computed at once; does not change the scores, unless the learner adapts on
            minibatches, whose order follows from the place in the batch.
        steps: Inner steps, None for the learner's own number.
        on_batch: Told the number of episodes done.

    Returns:
        The score of each episode.

    Raises:
        InvalidParameterError: If ``episodes`` or ``batch`` is below 1.
    """
    for name, value in (("episodes", episodes), ("batch", batch)):
        if value < 1:
            raise InvalidParameterError.of(name, "evaluate", "an int >= 1", value, "Try 600.")
    scores: list[float] = []
    metric = ACCURACY
    for drawn in in_batches(source, episodes, batch, generator):
        metric = SQUARED_ERROR if drawn.ways is None else ACCURACY
        outputs = learner.predict(meta, drawn, steps=steps)
        scores += score(outputs, drawn).tolist()
        if on_batch is not None:
            on_batch(len(scores))
    return Evaluation(metric, tuple(scores))


def score(outputs: Tensor, episodes: Episodes) -> Tensor:
    """Score predictions.

    Args:
        outputs: What a learner predicted for the query, shape [T, B, N].
        episodes: T episodes.

    Returns:
        Accuracy, or mean squared error for a regression, of each episode, float64, shape [T].
    """
    if episodes.ways is None:
        errors = (outputs - episodes.query_y).double().square().flatten(1).mean(1)
        # An inner loop that diverges ends in infinities or in their differences; both are infinitely wrong.
        return errors.nan_to_num(nan=math.inf, posinf=math.inf)
    return (outputs.argmax(-1) == episodes.query_y).double().mean(1)
