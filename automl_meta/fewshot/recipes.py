"""Settings that are known to work, by learner, data, ways and shots; everything can be overridden."""

from dataclasses import fields, replace
from typing import Any

from automl_meta.exceptions import InvalidParameterError, check_types
from automl_meta.fewshot.settings import REGRESSIONS, WITHOUT_STEPS, FewShotSettings
from automl_meta.training import TrainingSettings

_TRAINING = frozenset(field.name for field in fields(TrainingSettings))
_SETTINGS = frozenset(field.name for field in fields(FewShotSettings)) - {"training"}
#: Of every run, unless told otherwise: 5,000 steps of Adam at 1e-3 that falls along a cosine.
_STEPS = 5000
_COMMON: dict[str, Any] = {
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "validate_every": 250,
    "checkpoint_every": 250,
    "log_every": 10,
}


def recipe(
    learner: str,
    data: str = "omniglot",
    ways: int = 5,
    shots: int | None = None,
    **changes: Any,
) -> FewShotSettings:
    """Make the settings of a run.

    The inner loops are those of the papers: MAML's (5 ways: one step of 0.4, tested with three; 20 ways: five steps
    of 0.1). The outer ones are what learns most on a processor: 16 episodes of 5 queries a class and Adam at
    2e-3 (MAML's paper has 32 episodes of 5 ways, 15 queries and 1e-3).
    Reptile's own recipe (10 training shots, inner Adam without first moment), ProtoNet and matching networks
    trained on 20 ways (ProtoNet's 60 want a GPU), Meta-SGD's rates starting from MAML's, SNAIL with 8 episodes and 1e-3.

    Args:
        learner: One of ``LEARNERS``.
        data: Name of the data, or a folder.
        ways: Classes of a test episode.
        shots: Support items of a class in a test episode, or points of a function; None for 1 or 10.
        **changes: Any other attribute of ``FewShotSettings`` or of ``TrainingSettings``. A number of
            seconds without a number of steps removes the limit on steps.

    Returns:
        Complete settings.

    Raises:
        InvalidParameterError: If a name is unknown or a value breaks its rule.

    Example:
        >>> settings = recipe("meta-sgd", ways=5, shots=1, seconds=1200, filters=32)
        >>> settings.inner_rate, settings.filters, settings.training.steps, settings.training.seconds
        (0.4, 32, None, 1200)
    """
    for name in changes:
        if name not in _TRAINING | _SETTINGS:
            rule = "a name of FewShotSettings or TrainingSettings"
            raise InvalidParameterError.of(name, "recipe", rule, name, "See their documentation.")
    given = {"learner": learner, "data": data, "ways": ways, **changes}
    given |= {} if shots is None else {"shots": shots}
    check_types(given, (FewShotSettings, TrainingSettings), "fewshot")
    if shots is None:
        shots = 10 if data in REGRESSIONS else 1
    values = _COMMON | _defaults(learner, data, ways, shots)
    if "steps" not in changes and changes.get("seconds") is None:
        values["steps"] = _STEPS
    values |= changes
    training = {name: value for name, value in values.items() if name in _TRAINING}
    rest = {name: value for name, value in values.items() if name in _SETTINGS}
    return FewShotSettings(
        learner, data, ways, shots, training=TrainingSettings(**training), **rest
    )


def shortened(settings: FewShotSettings, steps: int) -> FewShotSettings:
    """Return the same settings for a few steps, with validation and checkpoints to match.

    Args:
        settings: Of a longer run.
        steps: Outer steps.
    """
    every = max(1, steps // 5)
    training = replace(
        settings.training, steps=steps, seconds=None, validate_every=every, checkpoint_every=every
    )
    return replace(settings, training=training)


def _defaults(learner: str, data: str, ways: int, shots: int) -> dict[str, Any]:
    if data in REGRESSIONS:
        return _regression(learner)
    many = ways > 10
    inner: dict[str, Any] = {
        "meta_batch": 16,
        "inner_rate": 0.1 if many else 0.4,
        "inner_steps": 5 if many else 1,
        "test_steps": 5 if many else 3,
        "queries": 5,
        "learning_rate": 2e-3,
    }
    if learner in WITHOUT_STEPS:
        return _without_steps(learner, ways)
    changes: dict[str, dict[str, Any]] = {
        "reptile": _reptile(many, shots),
        "meta-sgd": {"test_steps": None},
        "maml++": {"inner_rate": 0.1, "inner_steps": 5, "test_steps": None},
        # Two steps as in the paper; a context of 100 numbers takes steps of 1.
        "cavia": {"inner_rate": 1.0, "inner_steps": 2, "test_steps": None},
    }
    return inner | changes.get(learner, {})


def _without_steps(learner: str, ways: int) -> dict[str, Any]:
    if learner == "mann":
        # The paper's sequences: ten drawings of each class, small; how many are support is of no importance.
        return {
            "train_shots": 1,
            "queries": 9,
            "meta_batch": 16,
            "test_steps": None,
            "image_size": 20,
            "filters": 32,
            "learning_rate": 3e-3,
            "clip_norm": 5.0,
        }
    if learner == "meta-networks":
        return {
            "meta_batch": 8,
            "queries": 5,
            "filters": 32,
            "execution": "folded",  # a fifth to a half faster than the loop, with the same result
            "test_steps": None,
            "learning_rate": 2e-3,
            "clip_norm": 10.0,
        }
    values: dict[str, Any] = {"queries": 5, "test_steps": None, "learning_rate": 2e-3}
    if learner == "snail":
        return values | {"meta_batch": 8, "learning_rate": 1e-3}
    # Many classes an episode make a harder task and a better metric.
    return values | {"train_ways": max(20, ways), "meta_batch": 4}


def _reptile(many: bool, shots: int) -> dict[str, Any]:
    # Reptile's paper, tables 3 and 4, and its authors' network: its outer step is plain descent along
    # theta - phi, falling linearly to zero. Its only query is for the loss that is shown. A validation takes
    # as long as a hundred steps, because 50 inner steps are part of it.
    return {
        "inner_batch": 20 if many else 10,
        "test_inner_batch": 10 if many or shots > 1 else 5,
        "inner_rate": 5e-4 if many else 1e-3,
        "inner_steps": 10 if many else 5,
        "test_steps": 50,
        "train_shots": 10,
        "queries": 1,
        "meta_batch": 5,
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "schedule": "linear",
        "pooling": "flat",
        "validate_every": 1000,
        "options": {"beta2": 0.999},
    }


def _regression(learner: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "filters": 40,
        "meta_batch": 25,
        "inner_rate": 0.01,
        "inner_steps": 1,
        "test_steps": None,
        "queries": 10,
        "test_queries": 100,
        "schedule": "constant",
        "rotations": False,
    }
    if learner in {"cavia", "prompts"}:
        values |= {"inner_rate": 1.0}
    if learner == "reptile":
        values |= {"inner_rate": 0.02, "inner_steps": 5, "optimizer": "sgd", "learning_rate": 0.1}
    return values
