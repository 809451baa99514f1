"""Episodes of few-shot learning, drawn as whole meta-batches on the device that holds the images.

| symbol | meaning |
|---|---|
| T | tasks (episodes) of a meta-batch |
| N | ways: classes of an episode |
| K | shots: support images of a class |
| Q | query images of a class |
| C, H, W | channels, height and width of an image |
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError, check_least
from automl_meta.fewshot.data import ClassTable, FewShotDataset

#: Episodes that an evaluation draws at once.
DRAWN_AT_ONCE = 20


@dataclass(frozen=True)
class Episodes:
    """A meta-batch: what each task may learn from, and what it is judged on.

    Attributes:
        support_x: Images in [0, 1], ink bright, float32, shape [T, N*K, C, H, W]; regression [T, K, d].
        support_y: Labels 0..N-1 in class-major order (item i has label i // K), int64, shape [T, N*K];
            regression: float32, shape [T, K, 1].
        query_x: Shape [T, N*Q, C, H, W]; regression [T, Q, d].
        query_y: Shape [T, N*Q]; regression [T, Q, 1].
        ways: N; None for regression.
    """

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor
    ways: int | None

    def __len__(self) -> int:
        """Return T, the number of tasks."""
        return self.support_x.shape[0]

    def __getitem__(self, tasks: slice) -> "Episodes":
        """Return some of the tasks, as views."""
        return Episodes(
            self.support_x[tasks],
            self.support_y[tasks],
            self.query_x[tasks],
            self.query_y[tasks],
            self.ways,
        )

    def to(self, device: torch.device | str) -> "Episodes":
        """Return the same episodes on a device."""
        return Episodes(
            self.support_x.to(device),
            self.support_y.to(device),
            self.query_x.to(device),
            self.query_y.to(device),
            self.ways,
        )


class EpisodeSource(Protocol):
    """Whatever draws meta-batches: images, sinusoids, ..."""

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episodes:
        """Draw a meta-batch; the same state of the generator gives the same episodes.

        Args:
            n_tasks: T >= 1.
            generator: Source of all randomness; it is advanced.

        Returns:
            T independent episodes.
        """
        ...


@dataclass(frozen=True)
class EpisodeSampler:
    """Draws N-way K-shot episodes from a data set that stays where it is.

    Classes are drawn without replacement within an episode, images without replacement within a class, so
    support and query never share an image. The classes come in random order, so a label says nothing about
    a class. Indices are drawn on the generator's device and images are gathered on the data set's: a CPU
    generator gives the same episodes on every device, a CUDA generator keeps all work on the GPU.

    Attributes:
        dataset: Where the images come from.
        ways: N, from 2 to the number of classes.
        shots: K >= 1.
        queries: Q >= 1; every class needs at least K + Q images.

    Raises:
        InvalidParameterError: For numbers out of their range, or a class with fewer than K + Q images.

    Example:
        >>> images = torch.arange(12, dtype=torch.uint8).reshape(12, 1, 1).expand(12, 4, 4)
        >>> data = FewShotDataset.from_arrays(images, torch.arange(12) // 4)
        >>> sampler = EpisodeSampler(data, ways=2, shots=1, queries=3)
        >>> batch = sampler.sample(8, torch.Generator().manual_seed(0))
        >>> tuple(batch.support_x.shape), tuple(batch.query_x.shape), batch.query_y[0].tolist()
        ((8, 2, 1, 4, 4), (8, 6, 1, 4, 4), [0, 0, 0, 1, 1, 1])
    """

    dataset: FewShotDataset
    ways: int
    shots: int
    queries: int
    # The class table by device, so that no draw has to wait for a copy of it.
    _tables: dict[torch.device, ClassTable] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        check_least(self, "EpisodeSampler", {"ways": 2, "shots": 1, "queries": 1})
        n_classes = len(self.dataset.names)
        if self.ways > n_classes:
            raise InvalidParameterError.of(
                "ways",
                "EpisodeSampler",
                f"at most the number of classes, {n_classes}",
                self.ways,
                "Ask for fewer ways or use with_rotations().",
            )
        _check_class_sizes(self.dataset, self.shots + self.queries)

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episodes:
        """Draw a meta-batch; see ``EpisodeSource.sample``.

        Args:
            n_tasks: T >= 1.
            generator: On the CPU or on the data set's device.

        Returns:
            Episodes on the data set's device.
        """
        if n_tasks < 1:
            raise InvalidParameterError.of(
                "n_tasks", "EpisodeSampler.sample", "an int >= 1", n_tasks, "Try 1."
            )
        rows, turns = self.draw(n_tasks, generator)
        images = self.dataset.pictures(rows, turns)
        return Episodes(
            as_floats(images[:, :, : self.shots]),
            self._labels(n_tasks, self.shots),
            as_floats(images[:, :, self.shots :]),
            self._labels(n_tasks, self.queries),
            self.ways,
        )

    def draw(self, n_tasks: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw which images the episodes are made of.

        Args:
            n_tasks: T >= 1.
            generator: Source of all randomness.

        Returns:
            Rows of ``dataset.images``, int64, shape [T, N, K + Q], the first K for support; and the
            quarter turns of each class, int64, shape [T, N]; both on the generator's device.
        """
        table = self._table(generator.device)
        n_classes = torch.full((n_tasks,), len(table), device=generator.device)
        picked = table[distinct(n_classes, self.ways, generator)]
        within = distinct(picked.counts, self.shots + self.queries, generator)
        return picked.starts.unsqueeze(-1) + within, picked.turns

    def _table(self, device: torch.device) -> ClassTable:
        if device not in self._tables:
            self._tables[device] = self.dataset.classes.to(device)
        return self._tables[device]

    def _labels(self, n_tasks: int, per_class: int) -> Tensor:
        labels = torch.arange(self.ways, device=self.dataset.images.device)
        return labels.repeat_interleave(per_class).repeat(n_tasks, 1)


def distinct(bounds: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Draw k distinct numbers below each bound, uniformly and in random order.

    Each draw is a position among the numbers that are left (a Lehmer code); decoding it from the right costs
    k - 1 small operations, however many classes or images there are, where ``rand().topk`` pays for all.

    Args:
        bounds: Exclusive upper bounds >= k, int64, shape [...].
        k: How many.
        generator: On the same device as ``bounds``.

    Returns:
        int64, shape [..., k].
    """
    device = bounds.device
    # float64: with 24 bits the last of thousands of classes would be drawn measurably less often.
    uniform = torch.rand(*bounds.shape, k, generator=generator, dtype=torch.float64, device=device)
    left = bounds.unsqueeze(-1) - torch.arange(k, device=device)
    numbers = (uniform * left).long()
    for i in range(k - 2, -1, -1):
        later = numbers[..., i + 1 :]
        later += later >= numbers[..., i : i + 1]
    return numbers


def in_batches(
    source: EpisodeSource, episodes: int, batch: int, generator: torch.Generator
) -> Iterator[Episodes]:
    """Draw episodes for an evaluation: the same ones whatever the size of the batches.

    What a generator gives depends on how much is asked for at once, so always so many are drawn at once.

    Args:
        source: Of the episodes.
        episodes: How many, >= 1.
        batch: How many to hand out at once, >= 1.
        generator: Source of all randomness.

    Yields:
        Batches, all but the last of ``batch`` episodes.
    """
    waiting: Episodes | None = None
    for start in range(0, episodes, DRAWN_AT_ONCE):
        drawn = source.sample(min(DRAWN_AT_ONCE, episodes - start), generator)
        waiting = drawn if waiting is None else _joined(waiting, drawn)
        last = start + DRAWN_AT_ONCE >= episodes
        while len(waiting) >= batch or (last and len(waiting)):
            yield waiting[:batch]
            waiting = waiting[batch:]


def _joined(one: Episodes, other: Episodes) -> Episodes:
    return Episodes(
        torch.cat([one.support_x, other.support_x]),
        torch.cat([one.support_y, other.support_y]),
        torch.cat([one.query_x, other.query_x]),
        torch.cat([one.query_y, other.query_y]),
        one.ways,
    )


def as_floats(images: Tensor) -> Tensor:
    """Return bytes as numbers, the images of an episode side by side.

    Args:
        images: uint8, shape [T, N, m, C, H, W].

    Returns:
        float32 in [0, 1], shape [T, N*m, C, H, W].
    """
    return images.flatten(1, 2).to(torch.float32).div_(255.0)


def _check_class_sizes(dataset: FewShotDataset, needed: int) -> None:
    fewest = int(dataset.classes.counts.min())
    if fewest < needed:
        name = dataset.names[int(dataset.classes.counts.argmin())]
        raise InvalidParameterError.of(
            "queries",
            "EpisodeSampler",
            f"such that shots + queries <= {fewest}, the images of class {name!r}",
            needed,
            f"Ask for fewer shots or queries, or drop small classes: dataset.with_at_least({needed}).",
        )
