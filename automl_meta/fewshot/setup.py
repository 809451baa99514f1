"""From settings to the sources of a run's episodes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from automl_meta._typing import JSON
from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.episodes import EpisodeSampler, EpisodeSource
from automl_meta.fewshot.omniglot import Split, load_omniglot, split_alphabets, split_characters
from automl_meta.fewshot.orders import Sequences, ShuffledSupport
from automl_meta.fewshot.regression import VARIED_FREQUENCY, Harmonics, Sinusoids
from automl_meta.fewshot.settings import (
    HARMONIC,
    IN_ORDER,
    OMNIGLOT,
    SINUSOID_FREQUENCY,
    FewShotSettings,
)

#: Training points of a function, by which MAML's sinusoids are reported.
POINTS = (5, 10, 20)


@dataclass(frozen=True)
class Sources:
    """Where the episodes of a run come from.

    Attributes:
        train: Episodes of training.
        validation: Of early stopping.
        test: Of the final evaluation; for regression several, by the number of points.
        facts: What a result states of them.
        channels: Channels of an image, or inputs of a function.
        sequences: Test sequences, for a learner that follows them.
    """

    train: EpisodeSource
    validation: EpisodeSource
    test: dict[int, EpisodeSource]
    facts: JSON
    channels: int
    sequences: EpisodeSource | None = None


def make_sources(settings: FewShotSettings, device: torch.device) -> Sources:
    """Load the data and make the sources of episodes.

    Args:
        settings: Of the run.
        device: Where images are kept.

    Raises:
        StoreError: If there are no data.
        InvalidParameterError: If they are too few for the episodes.
    """
    if settings.is_regression:
        return _functions(settings, device)
    split, name = _split(settings)
    if settings.rotations:
        split = split.with_rotations()
    split = split.to(device)

    def test_like(dataset: FewShotDataset) -> EpisodeSampler:
        return EpisodeSampler(dataset, settings.ways, settings.shots, settings.test_queries)

    def train_like(dataset: FewShotDataset) -> EpisodeSampler:
        shots = settings.train_shots or settings.shots
        return EpisodeSampler(
            dataset, settings.train_ways or settings.ways, shots, settings.queries
        )

    train: EpisodeSource = train_like(split.train)
    sequences = None
    if settings.learner in IN_ORDER:
        train = ShuffledSupport(train)
    if settings.learner == "mann":
        train, sequences = Sequences(train), Sequences(train_like(split.test))
    facts: JSON = {
        "name": name,
        "split": settings.split,
        "split_seed": settings.split_seed,
        "rotations": settings.rotations,
        "classes": {
            part: len(getattr(split, part).names) for part in ("train", "validation", "test")
        },
    }
    return Sources(
        train,
        test_like(split.validation),
        {settings.shots: test_like(split.test)},
        facts,
        split.train.images.shape[1],
        sequences,
    )


def _functions(settings: FewShotSettings, device: torch.device) -> Sources:
    family: type[Harmonics] | type[Sinusoids] = Sinusoids
    options: dict[str, Any] = {"device": device}
    if settings.data == HARMONIC:
        family = Harmonics
    elif settings.data == SINUSOID_FREQUENCY:
        options["frequency"] = VARIED_FREQUENCY
    train = family(settings.train_shots or settings.shots, settings.queries, **options)
    test = family(settings.shots, settings.test_queries, **options)
    points = sorted({*POINTS, settings.shots})
    return Sources(
        train,
        test,
        {shots: replace(test, shots=shots) for shots in points},
        {"name": settings.data, "functions": repr(test)},
        1,
    )


def _split(settings: FewShotSettings) -> tuple[Split, str]:
    """Return the data in three parts, without rotations, and their name."""
    seed = settings.split_seed
    if settings.data == OMNIGLOT:
        dataset = load_omniglot(settings.data_folder, image_size=settings.image_size)
        if settings.split == "alphabets":
            return split_alphabets(dataset, seed=seed), OMNIGLOT
        return split_characters(dataset, seed=seed), OMNIGLOT
    dataset = FewShotDataset.from_folder(settings.data, settings.image_size)
    n_classes = len(dataset.names)
    # The proportions of Omniglot's split: 68 % to train, 6 % to validate, 26 % to test.
    learn = max(2, round(n_classes * 1200 / 1623))
    held_out = max(1, round(learn / 12))
    return (
        split_characters(dataset, seed=seed, train=learn, validation=held_out),
        Path(settings.data).name,
    )
