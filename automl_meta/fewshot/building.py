"""From settings to a learner: its network, its head, its algorithm."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from automl_meta import metalearn
from automl_meta.exceptions import InvalidParameterError, check_int
from automl_meta.fewshot.controller import MANNSizes
from automl_meta.fewshot.embedded import EmbeddedLearner, Head
from automl_meta.fewshot.learners import GradientLearner, Learner
from automl_meta.fewshot.mann import MANN
from automl_meta.fewshot.matching import Matching, MatchingSettings
from automl_meta.fewshot.meta_networks import MetaNetworks
from automl_meta.fewshot.networks import conv4, conv4_features, mlp
from automl_meta.fewshot.prompts import PromptedTransformer
from automl_meta.fewshot.protonet import NearestPrototype
from automl_meta.fewshot.settings import EMBEDDED, FewShotSettings
from automl_meta.fewshot.snail import Snail, SnailSettings
from automl_meta.metalearn import Algorithm
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import cross_entropy, mean_squared_error

#: Learner to its algorithm and the name of its rate.
_ALGORITHMS = {
    "maml": ("MAML", "rate"),
    "fomaml": ("FOMAML", "rate"),
    "anil": ("ANIL", "rate"),
    "boil": ("BOIL", "rate"),
    "cavia": ("ContextAdaptation", "rate"),
    "prompts": ("ContextAdaptation", "rate"),
    "reptile": ("Reptile", "rate"),
    "meta-sgd": ("MetaSGD", "initial_rate"),
    "maml++": ("MAMLPlusPlus", "initial_rate"),
}
#: What adapts in the networks of learners by context.
_CONTEXTS: dict[str, dict[str, Any]] = {
    "cavia": {"context": "film.context"},
    "prompts": {"context": "prompts", "learned_start": True},
}
#: Support images whose inner step a processor computes at once: fewer pay for more starts of kernels, more
#: overflow its caches.
_CPU_IMAGES = 40
_Made = TypeVar("_Made")


def make_learner(settings: FewShotSettings, channels: int, device: torch.device) -> Learner:
    """Make the learner; its weights are drawn from the seed alone.

    Args:
        settings: Of the run.
        channels: Of an image, or inputs of a function.
        device: Where it will compute; decides how many episodes at once are best.

    Raises:
        InvalidParameterError: If the learner knows no such option, or the network allows no such execution.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    shared: dict[str, Any] = {
        "execution": settings.execution,
        "transductive": settings.transductive,
    }
    if settings.learner == "mann":
        return _mann(settings, channels, generator, chunk=settings.chunk, **shared)
    if settings.learner in EMBEDDED:
        network = _features(settings, channels, generator)
        head = _head(settings, _length(network, settings, channels), generator)
        return EmbeddedLearner(network, head, chunk=settings.chunk, **shared)
    return GradientLearner(
        _algorithm(settings),
        _network(settings, channels, generator),
        loss=mean_squared_error if settings.is_regression else cross_entropy,
        chunk=_chunk(settings, device),
        test_steps=settings.test_steps,
        inner_batch=settings.inner_batch,
        test_inner_batch=settings.test_inner_batch,
        **shared,
    )


def _algorithm(settings: FewShotSettings) -> Algorithm:
    class_name, rate_name = _ALGORITHMS[settings.learner]
    values: dict[str, Any] = {rate_name: settings.inner_rate, "steps": settings.inner_steps}
    if settings.recompute:
        values["recompute"] = True
    options = dict(settings.options)
    if settings.learner in _CONTEXTS:
        options.pop("size", None)  # of the network
        values |= _CONTEXTS[settings.learner]
    make = partial(getattr(metalearn, class_name), **values)
    algorithm: Algorithm = _made(class_name, make, options)
    return algorithm


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
    sizes = _sizes(settings, channels)
    return conv4(settings.ways, context=context, generator=generator, **sizes)


def _features(settings: FewShotSettings, channels: int, generator: torch.Generator) -> Chain:
    return conv4_features(generator=generator, **_sizes(settings, channels))


def _sizes(settings: FewShotSettings, channels: int) -> dict[str, Any]:
    return {
        "channels": channels,
        "filters": settings.filters,
        "image_size": settings.image_size,
        "pooling": settings.pooling,
    }


def _length(network: nn.Module, settings: FewShotSettings, channels: int) -> int:
    """Return the length of an embedding."""
    side = settings.image_size
    with torch.no_grad():
        return int(network(torch.zeros(1, channels, side, side)).shape[1])


def _head(settings: FewShotSettings, features: int, generator: torch.Generator) -> Head:
    """Make the head of a learner that embeds."""
    options = settings.options
    if settings.learner == "matching":
        chosen = _made("MatchingSettings", MatchingSettings, options)
        return Matching(features, chosen, generator=generator)
    if settings.learner == "snail":
        shots = max(settings.shots, settings.train_shots or settings.shots)
        sizes = _made("SnailSettings", SnailSettings, options)
        return Snail(features, settings.ways, shots * settings.ways, sizes, generator=generator)
    if settings.learner == "meta-networks":
        make = partial(MetaNetworks, inputs=features, ways=settings.ways, generator=generator)
        return _made("MetaNetworks", make, options)
    return _made("NearestPrototype", NearestPrototype, options)


def _mann(
    settings: FewShotSettings, channels: int, generator: torch.Generator, **shared: Any
) -> MANN:
    options = dict(settings.options)
    kind = options.pop("embedding", "convolution")
    if kind not in {"pixels", "convolution"}:
        rule, remedy = "'pixels' or 'convolution'", "Try 'pixels'."
        raise InvalidParameterError.of("embedding", "MANN", rule, kind, remedy)
    embedding, inputs = Chain(nn.Flatten()), channels * settings.image_size**2
    if kind == "convolution":
        features = _features(settings, channels, generator)
        inputs = _length(features, settings, channels)
        # What comes out of a ReLU is of one sign: all items would look alike to a cosine.
        layers = [*features.named_children(), ("centre", BatchNorm(inputs))]
        embedding = Chain(OrderedDict(layers))
    sizes = _made("MANN", MANNSizes, options)
    return MANN(
        embedding, inputs=inputs, ways=settings.ways, generator=generator, sizes=sizes, **shared
    )


def _context_size(settings: FewShotSettings) -> int:
    """Return the numbers of a context, or the prompts, that adapt: the CAVIA paper's, unless told otherwise."""
    default = 8 if settings.learner == "prompts" else 5 if settings.is_regression else 100
    size = settings.options.get("size", default)
    return check_int(size, "size", "fewshot", 1, remedy=f"Try {default}.")


def _chunk(settings: FewShotSettings, device: torch.device) -> int | None:
    if settings.chunk is not None or settings.is_regression or device.type != "cpu":
        return settings.chunk
    items = (settings.train_ways or settings.ways) * (settings.train_shots or settings.shots)
    return max(1, _CPU_IMAGES // min(items, settings.inner_batch or items))


def _made(name: str, make: Callable[..., _Made], options: Mapping[str, Any]) -> _Made:
    """Make what the options are for."""
    try:
        return make(**options)
    except TypeError as error:
        rule = f"settings of {name}"
        raise InvalidParameterError.of(
            "options", "fewshot", rule, dict(options), f"{error}."
        ) from error
