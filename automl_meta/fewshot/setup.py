"""From settings to the objects of a run: episode sources, network, learner."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from automl_meta import metalearn
from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.controller import MANNSizes
from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.embedded import EmbeddedLearner, Head
from automl_meta.fewshot.episodes import EpisodeSampler, EpisodeSource, Sequences
from automl_meta.fewshot.learners import GradientLearner, Learner
from automl_meta.fewshot.mann import MANN
from automl_meta.fewshot.meta_networks import MetaNetworks
from automl_meta.fewshot.networks import conv4, conv4_features, mlp
from automl_meta.fewshot.omniglot import Split, load_omniglot, split_alphabets, split_characters
from automl_meta.fewshot.protonet import NearestPrototype
from automl_meta.fewshot.regression import VARIED_FREQUENCY, Harmonics, Sinusoids
from automl_meta.fewshot.settings import (
    EMBEDDED,
    HARMONIC,
    OMNIGLOT,
    SINUSOID_FREQUENCY,
    FewShotSettings,
)
from automl_meta.metalearn import Algorithm
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import cross_entropy, mean_squared_error

#: Training points of a function, by which MAML's sinusoids are reported.
POINTS = (5, 10, 20)
#: Support images whose inner step a processor computes at once: fewer pay for more starts of kernels, more
#: overflow its caches.
_CPU_IMAGES = 40
_Made = TypeVar("_Made")


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


def make_learner(settings: FewShotSettings, channels: int, device: torch.device) -> Learner:
    """Make the learner; its weights are drawn from the seed alone.

    Args:
        settings: Of the run.
        channels: Of an image, or inputs of a function.
        device: Where it will compute; decides how many episodes at once are best.

    Raises:
        InvalidParameterError: If the algorithm knows no such option, or the network allows no such execution.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    execution: Any = settings.execution
    if settings.learner in EMBEDDED:
        network = _features(settings, channels, generator)
        return EmbeddedLearner(
            network,
            _head(settings, network, channels, generator),
            execution=execution,
            chunk=settings.chunk,
            transductive=settings.transductive,
        )
    if settings.learner == "mann":
        return _mann(settings, channels, generator)
    return GradientLearner(
        _algorithm(settings),
        _network(settings, channels, generator),
        loss=mean_squared_error if settings.is_regression else cross_entropy,
        execution=execution,
        chunk=_chunk(settings, device),
        transductive=settings.transductive,
        test_steps=settings.test_steps,
        inner_batch=settings.inner_batch,
        test_inner_batch=settings.test_inner_batch,
    )


def _mann(settings: FewShotSettings, channels: int, generator: torch.Generator) -> MANN:
    execution: Any = settings.execution
    options = dict(settings.options)
    kind = options.pop("embedding", "convolution")
    if kind not in {"pixels", "convolution"}:
        rule, remedy = "'pixels' or 'convolution'", "Try 'pixels'."
        raise InvalidParameterError.of("embedding", "MANN", rule, kind, remedy)
    side = settings.image_size
    embedding, inputs = Chain(nn.Flatten()), channels * side**2
    if kind == "convolution":
        features = _features(settings, channels, generator)
        inputs = _length(features, settings, channels)
        # What comes out of a ReLU is of one sign: all items would look alike to a cosine.
        layers = [*features.named_children(), ("centre", BatchNorm(inputs))]
        embedding = Chain(OrderedDict(layers))
    return MANN(
        embedding,
        inputs=inputs,
        ways=settings.ways,
        generator=generator,
        sizes=_made("MANN", MANNSizes, options),
        execution=execution,
        chunk=settings.chunk,
        transductive=settings.transductive,
    )


def _head(
    settings: FewShotSettings, network: nn.Module, channels: int, generator: torch.Generator
) -> Head:
    """Make the head of a learner that embeds."""
    if settings.learner == "protonet":
        return NearestPrototype()
    inputs = _length(network, settings, channels)
    make = partial(MetaNetworks, inputs=inputs, ways=settings.ways, generator=generator)
    return _made("MetaNetworks", make, settings.options)


def _length(network: nn.Module, settings: FewShotSettings, channels: int) -> int:
    """Return the length of an embedding."""
    side = settings.image_size
    with torch.no_grad():
        return int(network(torch.zeros(1, channels, side, side)).shape[1])


def _chunk(settings: FewShotSettings, device: torch.device) -> int | None:
    if settings.chunk is not None or settings.is_regression or device.type != "cpu":
        return settings.chunk
    items = (settings.train_ways or settings.ways) * (settings.train_shots or settings.shots)
    return max(1, _CPU_IMAGES // min(items, settings.inner_batch or items))


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


def _network(settings: FewShotSettings, channels: int, generator: torch.Generator) -> nn.Module:
    if settings.is_regression:
        return mlp(channels, hidden=(settings.filters,) * 2, outputs=1, generator=generator)
    return conv4(settings.ways, **_sizes(settings, channels), generator=generator)


def _features(settings: FewShotSettings, channels: int, generator: torch.Generator) -> Chain:
    return conv4_features(**_sizes(settings, channels), generator=generator)


def _sizes(settings: FewShotSettings, channels: int) -> dict[str, Any]:
    return {
        "channels": channels,
        "filters": settings.filters,
        "image_size": settings.image_size,
        "pooling": settings.pooling,
    }


def _algorithm(settings: FewShotSettings) -> Algorithm:
    class_name, rate_name = {
        "maml": ("MAML", "rate"),
        "fomaml": ("FOMAML", "rate"),
        "anil": ("ANIL", "rate"),
        "reptile": ("Reptile", "rate"),
        "meta-sgd": ("MetaSGD", "initial_rate"),
        "maml++": ("MAMLPlusPlus", "initial_rate"),
    }[settings.learner]
    make = getattr(metalearn, class_name)
    values: dict[str, Any] = {rate_name: settings.inner_rate, "steps": settings.inner_steps}
    if settings.recompute:
        values["recompute"] = True
    algorithm: Algorithm = _made(class_name, partial(make, **values), settings.options)
    return algorithm


def _made(name: str, make: Callable[..., _Made], options: Mapping[str, Any]) -> _Made:
    """Make what the options are for."""
    try:
        return make(**options)
    except TypeError as error:
        rule = f"settings of {name}"
        raise InvalidParameterError.of(
            "options", "fewshot", rule, dict(options), f"{error}."
        ) from error
