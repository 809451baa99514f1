"""Episodes whose items come in random order, for learners that read them as a sequence."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from automl_meta.fewshot.episodes import Episodes, EpisodeSource
from automl_meta.metalearn.minibatches import take


@dataclass(frozen=True)
class ShuffledSupport:
    """Episodes of another source whose support items stand in random order, each episode's its own.

    For learners that read the support as a sequence: in class-major order with one shot, the position of an item
    would be its label.

    Attributes:
        source: Of the episodes.

    Example:
        >>> from automl_meta.fewshot import EpisodeSampler, FewShotDataset
        >>> images = torch.arange(12, dtype=torch.uint8).reshape(12, 1, 1).expand(12, 4, 4)
        >>> data = FewShotDataset.from_arrays(images, torch.arange(12) // 4)
        >>> source = ShuffledSupport(EpisodeSampler(data, ways=3, shots=1, queries=3))
        >>> source.sample(3, torch.Generator().manual_seed(0)).support_y.tolist()
        [[0, 1, 2], [1, 2, 0], [2, 1, 0]]
    """

    source: EpisodeSource

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episodes:
        """Draw a meta-batch; see ``EpisodeSource.sample``."""
        drawn = self.source.sample(n_tasks, generator)
        order = _drawn_order(n_tasks, drawn.support_y.shape[1], generator)
        return replace(
            drawn,
            support_x=take(drawn.support_x, order),
            support_y=take(drawn.support_y, order),
        )


@dataclass(frozen=True)
class Sequences:
    """Draws episodes whose items, support and query together, come in random order.

    For learners that watch a sequence and are asked before every label: items no longer stand by class, and the
    first N*K, in whatever classes, are the support.

    Attributes:
        source: Draws the episodes.

    Example:
        >>> from automl_meta.fewshot import EpisodeSampler, FewShotDataset
        >>> images = torch.arange(12, dtype=torch.uint8).reshape(12, 1, 1).expand(12, 4, 4)
        >>> data = FewShotDataset.from_arrays(images, torch.arange(12) // 4)
        >>> sequences = Sequences(EpisodeSampler(data, ways=2, shots=1, queries=3))
        >>> batch = sequences.sample(8, torch.Generator().manual_seed(0))
        >>> batch.support_y.shape, batch.query_y[0].tolist()
        (torch.Size([8, 2]), [1, 1, 0, 0, 1, 1])
    """

    source: EpisodeSource

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episodes:
        """Draw a meta-batch; see ``EpisodeSource.sample``. The order is drawn after the episodes.

        Args:
            n_tasks: T >= 1.
            generator: Source of all randomness.
        """
        drawn = self.source.sample(n_tasks, generator)
        n_support = drawn.support_y.shape[1]
        order = _drawn_order(n_tasks, n_support + drawn.query_y.shape[1], generator)
        x = take(torch.cat([drawn.support_x, drawn.query_x], dim=1), order)
        y = take(torch.cat([drawn.support_y, drawn.query_y], dim=1), order)
        return Episodes(
            x[:, :n_support], y[:, :n_support], x[:, n_support:], y[:, n_support:], drawn.ways
        )


def _drawn_order(n_tasks: int, n_items: int, generator: torch.Generator) -> Tensor:
    """Draw an order of the items for each task, int64, shape [T, items].

    Equal keys, which would leave two items in their order, are rare: one pair in 2^24.
    """
    return torch.rand(n_tasks, n_items, generator=generator, device=generator.device).argsort(dim=1)
