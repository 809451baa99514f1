"""Meta-training of the surrogate: its initial weights and their learning rates, across tasks."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from automl_meta._typing import FloatArray
from automl_meta.metalearn import Algorithm, MetaParams, Params
from automl_meta.prior import surrogate
from automl_meta.prior.surrogate import SurrogateShape
from automl_meta.training import TrainingSettings, train

#: Support sizes are drawn log-uniformly between these; a search sees a few trials more often than many.
SUPPORT = (2, 40)
TASKS_PER_STEP = 16
QUERY = 32

Batch = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


class Scored(Protocol):
    """What the surrogate learns from."""

    @property
    def encodings(self) -> FloatArray:
        """Encoded configurations, shape [n, d]."""
        ...

    @property
    def scores(self) -> FloatArray:
        """Normal scores, shape [n]."""
        ...


def train_surrogate(
    tables: Sequence[Scored],
    shape: SurrogateShape,
    algorithm: Algorithm,
    settings: TrainingSettings,
    seed: int,
) -> MetaParams:
    """Learn the surrogate's meta-parameters.

    Each step draws a batch of tasks, and for each one a support (half the time biased towards good
    configurations, as a search's trials are) and a query from its evaluations.

    Args:
        tables: Past tasks, at least one with 5 evaluations.
        shape: Sizes of the network.
        algorithm: How the surrogate adapts to a task; Meta-SGD by default elsewhere.
        settings: Outer loop.
        seed: Seed of weights and draws.

    Returns:
        Meta-parameters of the algorithm.
    """
    generator = torch.Generator().manual_seed(seed)
    start = algorithm.init(surrogate.initial_params(shape, generator))
    data = [
        (
            torch.tensor(t.encodings, dtype=torch.float32),
            torch.tensor(t.scores, dtype=torch.float32),
        )
        for t in tables
    ]

    def gradient(
        meta: Params, draws: torch.Generator, _progress: float
    ) -> tuple[Tensor, MetaParams]:
        support, query = draw_batch(data, draws)
        return algorithm.meta_gradients(
            meta,
            lambda p: surrogate.support_loss(p, *support),
            lambda p: surrogate.query_loss(p, support, query),
            len(support[0]),
        )

    return train(start, gradient, settings=settings, generator=generator).params


def draw_batch(data: Sequence[tuple[Tensor, Tensor]], generator: torch.Generator) -> Batch:
    """Draw a batch of episodes: per task a support and a disjoint query.

    Args:
        data: Encodings [n, d] and scores [n] of each task.
        generator: Source of randomness.

    Returns:
        Support and query, each encodings [T, ., d] and scores [T, .].
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    tasks = rng.integers(len(data), size=TASKS_PER_STEP)
    smallest = min(len(data[t][1]) for t in tasks)
    low, high = SUPPORT[0], max(SUPPORT[0] + 1, min(SUPPORT[1], int(0.6 * smallest)))
    n_support = int(np.exp(rng.uniform(np.log(low), np.log(high))))
    n_query = min(QUERY, smallest - n_support)
    picks = [_pick(data[t][1], n_support, n_query, rng) for t in tasks]

    def gather(column: int, part: slice) -> Tensor:
        return torch.stack([data[t][column][p[part]] for t, p in zip(tasks, picks, strict=True)])

    first, second = slice(None, n_support), slice(n_support, None)
    return (gather(0, first), gather(1, first)), (gather(0, second), gather(1, second))


def _pick(scores: Tensor, n_support: int, n_query: int, rng: np.random.Generator) -> np.ndarray:
    """Return row numbers, support first."""
    tilt = rng.choice([0.0, 1.5])
    gumbel = rng.gumbel(size=len(scores)) + tilt * scores.numpy()
    support = np.argsort(-gumbel)[:n_support]
    rest = np.setdiff1d(np.arange(len(scores)), support)
    return np.concatenate([support, rng.permutation(rest)[:n_query]])
