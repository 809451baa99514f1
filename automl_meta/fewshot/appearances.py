"""How well a class is known at its first, second, ... appearance in a sequence.

| symbol | meaning |
|---|---|
| T | episodes of a batch |
| L | items of a sequence |
| N | classes of an episode |
| A | appearances of each class in a sequence, L / N |
"""

import math
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.episodes import Episodes, EpisodeSource, in_batches
from automl_meta.fewshot.evaluate import ACCURACY, Evaluation


@runtime_checkable
class Follower(Protocol):
    """A learner that watches a sequence and says each item's class before it is told."""

    def follow(self, meta: Mapping[str, Tensor], episodes: Episodes) -> Tensor:
        """Return logits of support and query, in the order in which they are, shape [T, L, N].

        Args:
            meta: Meta-parameters.
            episodes: T episodes.
        """
        ...


def appearance(labels: Tensor, ways: int) -> Tensor:
    """Count, for each item of a sequence, how often its class has appeared, itself included.

    Args:
        labels: Classes 0 to N-1, int64, shape [T, L].
        ways: N.

    Returns:
        Counts from 1, int64, shape [T, L].

    Example:
        >>> appearance(torch.tensor([[0, 1, 0, 0, 1]]), 2)
        tensor([[1, 1, 2, 3, 2]])
    """
    members = functional.one_hot(labels, ways)
    return (members.cumsum(dim=1) * members).sum(dim=2)


def evaluate_appearances(
    learner: Follower,
    meta: Mapping[str, Tensor],
    source: EpisodeSource,
    *,
    episodes: int,
    generator: torch.Generator,
    batch: int = 25,
) -> tuple[Evaluation, ...]:
    """Let a learner follow sequences of classes that it has never seen, and score it by appearance.

    Args:
        learner: The method.
        meta: Its meta-parameters.
        source: Of sequences in which every class appears A times.
        episodes: How many, >= 1.
        generator: Decides which.
        batch: Episodes computed at once; does not change the scores.

    Returns:
        For the 1st to the A-th appearance the share of right answers in each episode.

    Raises:
        InvalidParameterError: If ``episodes`` or ``batch`` is below 1.
    """
    for name, value in (("episodes", episodes), ("batch", batch)):
        if value < 1:
            rule, remedy = "an int >= 1", "Try 1000."
            raise InvalidParameterError.of(name, "evaluate_appearances", rule, value, remedy)
    scores = [
        _scores(learner.follow(meta, drawn), drawn).cpu()
        for drawn in in_batches(source, episodes, batch, generator)
    ]
    return tuple(Evaluation(ACCURACY, tuple(column.tolist())) for column in torch.cat(scores).T)


def appearances_record(evaluations: tuple[Evaluation, ...]) -> list[JSON]:
    """Return the entries of ``appearances`` in a result.

    Args:
        evaluations: By appearance, from the first.
    """
    return [
        {
            "appearance": number,
            "episodes": len(evaluation.scores),
            "mean": evaluation.mean,
            "interval95": evaluation.interval95 if math.isfinite(evaluation.interval95) else None,
        }
        for number, evaluation in enumerate(evaluations, start=1)
    ]


def _scores(logits: Tensor, episodes: Episodes) -> Tensor:
    """Return the accuracy of each episode at each appearance, float64, shape [T, A]."""
    labels = torch.cat([episodes.support_y, episodes.query_y], dim=1)
    ways = logits.shape[2]
    counts = appearance(labels, ways)
    right = (logits.argmax(-1) == labels).double()
    per_class = labels.shape[1] // ways
    at = functional.one_hot(counts - 1, per_class).double()  # [T, L, A]
    return (right.unsqueeze(1) @ at).squeeze(1) / ways
