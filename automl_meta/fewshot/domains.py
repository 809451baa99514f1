"""Domain adaptation: the same classes in several domains, one of which is never seen in training.

An episode is one domain with all of its classes, in the same order everywhere: what is new is how the classes
look, not which classes there are.

| symbol | meaning |
|---|---|
| T | episodes of a meta-batch |
| D | domains |
| N | classes of every domain |
| K, Q | support and query images of a class |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from automl_meta._resources import data_folder, no_data
from automl_meta.exceptions import InvalidParameterError, StoreError, check_least
from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.episodes import Episodes, as_floats, distinct
from automl_meta.fewshot.pictures import resized

#: Domain to its file in the data folder and the largest value of a pixel.
DIGITS = {
    "mnist": ("mnist_t10k_28x28.npz", 255),
    "optdigits": ("optdigits_8x8.npz", 16),
    "semeion": ("semeion_16x16.npz", 1),
    "mfeat": ("mfeat_pixel_16x15.npz", 6),
}
_N_DIGITS = 10
_SEMEION = (16, 16)


@dataclass(frozen=True)
class DomainSampler:
    """Draws episodes that are one domain each, with all its classes in a fixed order; an ``EpisodeSource``.

    Attributes:
        domains: D >= 1 data sets with the same N >= 2 class names in the same order, images of one size.
        shots: K >= 1.
        queries: Q >= 1; every class needs at least K + Q images.

    Raises:
        InvalidParameterError: If classes or sizes differ, a number breaks its rule, or a class is too small.

    Example:
        >>> images = np.zeros((6, 4, 4), np.uint8)
        >>> domain = FewShotDataset.from_arrays(images, [0, 0, 0, 1, 1, 1])
        >>> sampler = DomainSampler((domain, domain), shots=1, queries=2)
        >>> batch = sampler.sample(3, torch.Generator().manual_seed(0))
        >>> tuple(batch.support_x.shape), batch.query_y[0].tolist()
        ((3, 2, 1, 4, 4), [0, 0, 1, 1])
    """

    domains: tuple[FewShotDataset, ...]
    shots: int
    queries: int

    def __post_init__(self) -> None:
        check_least(self, "DomainSampler", {"shots": 1, "queries": 1})
        kinds = {(domain.names, tuple(domain.images.shape[1:])) for domain in self.domains}
        if len(kinds) != 1:
            rule = "at least one data set, all with the same classes and sizes of images"
            raise InvalidParameterError.of(
                "domains", "DomainSampler", rule, kinds, "Resize the images; name classes alike."
            )
        fewest = min(int(domain.classes.counts.min()) for domain in self.domains)
        if self.shots + self.queries > fewest:
            rule = f"such that shots + queries <= {fewest}, the images of the smallest class"
            raise InvalidParameterError.of(
                "queries", "DomainSampler", rule, self.queries, "Ask for fewer."
            )

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episodes:
        """Draw a meta-batch; see ``EpisodeSource.sample``.

        Args:
            n_tasks: T >= 1.
            generator: On the CPU.

        Returns:
            Episodes on the images' device.
        """
        drawn = torch.randint(len(self.domains), (n_tasks,), generator=generator).tolist()
        per_class, k = self.shots + self.queries, self.shots
        images = []
        for domain in (self.domains[place] for place in drawn):
            within = distinct(domain.classes.counts, per_class, generator)
            rows = domain.classes.starts.unsqueeze(-1) + within
            images.append(domain.pictures(rows, domain.classes.turns))
        stacked = torch.stack(images)  # [T, N, K + Q, C, H, W]
        labels = torch.arange(len(self.domains[0].names), device=stacked.device)

        def answers(n: int) -> torch.Tensor:
            return labels.repeat_interleave(n).repeat(n_tasks, 1)

        return Episodes(
            as_floats(stacked[:, :, :k]),
            answers(k),
            as_floats(stacked[:, :, k:]),
            answers(self.queries),
            len(labels),
        )


def load_digits(folder: str | Path | None = None, size: int = 16) -> dict[str, FewShotDataset]:
    """Load four domains of handwritten digits: MNIST, optdigits, semeion and mfeat.

    Args:
        folder: The data folder, with ``images/``; None for the shared data.
        size: Height and width that all images are resized to (Lanczos), in pixels.

    Returns:
        Domain to its data set, ink bright, the ten digits as classes in order.

    Raises:
        StoreError: If the folder or a file is missing or damaged.
    """
    found = data_folder() if folder is None else Path(folder)
    if found is None:
        raise StoreError(no_data("This data set of digits"))
    return {
        name: _domain(found / "images" / file, top, size) for name, (file, top) in DIGITS.items()
    }


def _domain(path: Path, top: int, size: int) -> FewShotDataset:
    try:
        with np.load(path, allow_pickle=False) as stored:
            images, labels = stored["images"], stored["labels"].ravel()
    except (OSError, KeyError, ValueError) as error:
        msg = f"Cannot read the digits of {path}: {error}. Check the data folder."
        raise StoreError(msg) from error
    if images.ndim == 2:  # rows of packed bits
        images = np.unpackbits(images, axis=1).reshape(-1, *_SEMEION)
    pixels = (images.astype(np.float64) * (255 / top)).round().astype(np.uint8)
    dataset = FewShotDataset.from_arrays(_all_resized(pixels, size), labels)
    if len(dataset.names) != _N_DIGITS:
        msg = f"{path} has {len(dataset.names)} classes instead of {_N_DIGITS}. Check the data folder."
        raise StoreError(msg)
    return dataset


def _all_resized(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    return np.stack([resized(image, size) for image in pixels])


def joined_domains(
    domains: Mapping[str, FewShotDataset], *, without: str
) -> tuple[FewShotDataset, ...]:
    """Return all domains but one.

    Args:
        domains: By name.
        without: The one that is left out.

    Raises:
        InvalidParameterError: If there is no such domain, or no other.

    Example:
        >>> joined_domains({}, without="mnist")
        Traceback (most recent call last):
        ...
        automl_meta.exceptions.InvalidParameterError: The 'without' parameter of joined_domains must be ...
    """
    kept = tuple(domain for name, domain in domains.items() if name != without)
    if without not in domains or not kept:
        rule = f"one of at least two domains, {', '.join(domains) or 'none'}"
        raise InvalidParameterError.of("without", "joined_domains", rule, without, "Name one.")
    return kept
