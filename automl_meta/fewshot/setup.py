"""From settings to the objects of a run: episode sources, network, learner."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from automl_meta import metalearn
from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.embedded import EmbeddedLearner, Head
from automl_meta.fewshot.episodes import EpisodeSampler, EpisodeSource, ShuffledSupport
from automl_meta.fewshot.learners import GradientLearner, Learner
from automl_meta.fewshot.matching import Matching, MatchingSettings
from automl_meta.fewshot.networks import conv4, conv4_features, mlp
from automl_meta.fewshot.omniglot import Split, load_omniglot, split_alphabets, split_characters
from automl_meta.fewshot.prompts import PromptedTransformer
from automl_meta.fewshot.protonet import NearestPrototype
from automl_meta.fewshot.regression import VARIED_FREQUENCY, Harmonics, Sinusoids
from automl_meta.fewshot.settings import (
    EMBEDDED,
    HARMONIC,
    IN_ORDER,
    OMNIGLOT,
    SINUSOID_FREQUENCY,
    FewShotSettings,
)
from automl_meta.fewshot.snail import Snail, SnailSettings
from automl_meta.metalearn import Algorithm
from automl_meta.metalearn.losses import cross_entropy, mean_squared_error

#: Training points of a function, by which MAML's sinusoids are reported.
POINTS = (5, 10, 20)
#: What adapts in the networks of learners by context.
_CONTEXTS: dict[str, dict[str, Any]] = {
    "cavia": {"context": "film.context"},
    "prompts": {"context": "prompts", "learned_start": True},
}
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
    """

    train: EpisodeSource
    validation: EpisodeSource
    test: dict[int, EpisodeSource]
    facts: JSON
    channels: int


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

    train: EpisodeSource = EpisodeSampler(
        split.train,
        settings.train_ways or settings.ways,
        settings.train_shots or settings.shots,
        settings.queries,
    )
    if settings.learner in IN_ORDER:
        train = ShuffledSupport(train)
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
        network = _network(settings, channels, generator)
        return EmbeddedLearner(
            network,
            _head(settings, _features(settings, network, channels), generator),
            execution=execution,
            chunk=settings.chunk,
            transductive=settings.transductive,
        )
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


def _features(settings: FewShotSettings, network: nn.Module, channels: int) -> int:
    """Return the length of an embedding."""
    image = torch.zeros(1, channels, settings.image_size, settings.image_size)
    with torch.no_grad():
        return int(network(image).shape[1])


def _head(settings: FewShotSettings, features: int, generator: torch.Generator) -> Head:
    """Make the head of a learner that embeds."""
    if settings.learner == "matching":
        chosen = _with_options(MatchingSettings, settings.options)
        return Matching(features, chosen, generator=generator)
    if settings.learner == "snail":
        shots = max(settings.shots, settings.train_shots or settings.shots)
        sizes = _with_options(SnailSettings, settings.options)
        return Snail(features, settings.ways, shots * settings.ways, sizes, generator=generator)
    return _with_options(NearestPrototype, settings.options)


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
    context = _context_size(settings) if settings.learner == "cavia" else None
    if settings.learner == "prompts":
        size = _context_size(settings)
        return PromptedTransformer(
            channels, prompts=size, width=settings.filters, generator=generator
        )
    if settings.is_regression:
        hidden = (settings.filters,) * 2
        return mlp(channels, hidden=hidden, outputs=1, context=context, generator=generator)
    options: dict[str, Any] = {
        "channels": channels,
        "filters": settings.filters,
        "image_size": settings.image_size,
        "pooling": settings.pooling,
        "generator": generator,
    }
    if settings.learner in EMBEDDED:
        return conv4_features(**options)
    return conv4(settings.ways, context=context, **options)


def _context_size(settings: FewShotSettings) -> int:
    """Return the numbers of a context, or the prompts, that adapt: the CAVIA paper's, unless told otherwise."""
    default = 8 if settings.learner == "prompts" else 5 if settings.is_regression else 100
    size = settings.options.get("size", default)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidParameterError.of("size", "fewshot", "an int >= 1", size, f"Try {default}.")
    return size


def _algorithm(settings: FewShotSettings) -> Algorithm:
    class_name, rate_name = {
        "maml": ("MAML", "rate"),
        "fomaml": ("FOMAML", "rate"),
        "anil": ("ANIL", "rate"),
        "boil": ("BOIL", "rate"),
        "cavia": ("ContextAdaptation", "rate"),
        "prompts": ("ContextAdaptation", "rate"),
        "reptile": ("Reptile", "rate"),
        "meta-sgd": ("MetaSGD", "initial_rate"),
        "maml++": ("MAMLPlusPlus", "initial_rate"),
    }[settings.learner]
    make = getattr(metalearn, class_name)
    values: dict[str, Any] = {rate_name: settings.inner_rate, "steps": settings.inner_steps}
    if settings.recompute:
        values["recompute"] = True
    options = dict(settings.options)
    if settings.learner in _CONTEXTS:
        options.pop("size", None)  # of the network
        values |= _CONTEXTS[settings.learner]
    algorithm: Algorithm = _with_options(make, options, **values)
    return algorithm


def _with_options(make: Callable[..., _Made], options: Mapping[str, Any], **values: Any) -> _Made:
    """Make something of values and the run's options."""
    try:
        return make(**values, **options)
    except TypeError as error:
        rule = f"settings of {getattr(make, '__name__', make)}"
        raise InvalidParameterError.of(
            "options", "fewshot", rule, dict(options), f"{error}."
        ) from error
