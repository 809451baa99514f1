"""Settings that are known to work, by learner and environment; everything can be overridden."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from automl_meta.exceptions import InvalidParameterError, check_types
from automl_meta.metarl.settings import (
    BANDITS,
    CARTPOLES,
    MDPS,
    PROMP,
    REMEMBERING,
    SNAIL,
    AdaptationSettings,
    MetaRLSettings,
)
from automl_meta.training import TrainingSettings

_TRAINING = frozenset(field.name for field in fields(TrainingSettings))
_SETTINGS = frozenset(field.name for field in fields(MetaRLSettings)) - {"training", "adaptation"}
_ADAPTATION = frozenset(field.name for field in fields(AdaptationSettings))
#: Settings that only learners with a memory read.
_REMEMBERED = frozenset(
    {"arms", "states", "train_episodes", "entropy", "entropy_end", "value_weight"}
)
_COMMON: dict[str, Any] = {
    "steps": 4000,
    "learning_rate": 5e-3,
    "schedule": "linear",
    "clip_norm": 0.5,
    "validate_every": 100,
    "checkpoint_every": 100,
    "log_every": 10,
}
#: Pulls from which a trial is long: what follows an action can no longer be told from chance at its end.
_LONG = 50


def recipe(learner: str = "rl2", env: str = BANDITS, **changes: Any) -> MetaRLSettings:
    """Make the settings of a run.

    Args:
        learner: One of ``LEARNERS``.
        env: One of ``ENVIRONMENTS``.
        **changes: Any other attribute of ``MetaRLSettings``, ``TrainingSettings`` or, for learners that
            adapt by gradient steps, ``AdaptationSettings``. A number of seconds without a number of steps removes
            the limit on steps.

    Returns:
        Complete settings.

    Raises:
        InvalidParameterError: If a name is unknown or a value breaks its rule.

    Example:
        >>> settings = recipe("rl2", "bandits", arms=10, episodes=10, seconds=60)
        >>> settings.arms, settings.steps, settings.training.steps, settings.training.seconds
        (10, 10, None, 60)
    """
    given = {"learner": learner, "env": env, **changes}
    check_types(given, (MetaRLSettings, TrainingSettings, AdaptationSettings), "metarl")
    for name, value in changes.items():
        if name not in _TRAINING | _SETTINGS | _ADAPTATION:
            rule = "a name of MetaRLSettings, TrainingSettings or AdaptationSettings"
            raise InvalidParameterError.of(name, "recipe", rule, name, "See their documentation.")
        if name in _REMEMBERED and learner not in REMEMBERING:
            rule = f"left out for {learner}, which has no use for it"
            raise InvalidParameterError.of(name, "metarl", rule, value, "Use another learner.")
        if name in _ADAPTATION and learner in REMEMBERING:
            rule = f"left out for {learner}, which takes no gradient steps"
            raise InvalidParameterError.of(name, "metarl", rule, value, "Use another learner.")
    if learner in REMEMBERING:
        values = _COMMON | _defaults(env, changes)
        if learner == SNAIL:
            values |= {"hidden": 32, "learning_rate": 2e-3}
    else:
        values = _adapting(learner, env, changes)
    if changes.get("seconds") is not None:
        del values["steps"]
    values |= changes
    training = {name: value for name, value in values.items() if name in _TRAINING}
    rest = {name: value for name, value in values.items() if name in _SETTINGS}
    if learner not in REMEMBERING:
        adaptation = {name: value for name, value in values.items() if name in _ADAPTATION}
        rest["adaptation"] = AdaptationSettings(**adaptation)
    return MetaRLSettings(learner, env, training=TrainingSettings(**training), **rest)


def _defaults(env: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return defaults of learners with a memory; a wrong number of episodes, which will be refused, counts as none."""
    episodes = _number(changes, "episodes", 10)
    trained = _number(changes, "train_episodes", episodes)
    if env == MDPS:
        return {
            "steps": 3000,
            "hidden": 128,
            "meta_batch": 250,
            "discount": 0.99,
            "trace": 0.9,
            "validation_trials": 1000,
            "test_trials": 1000,
        }
    tested = {} if episodes <= 100 else {"test_trials": 2000}
    if trained >= _LONG:
        return {"steps": 3000, "trace": 0.9, **tested}
    return {"validation_trials": 10000 if episodes < _LONG else 2000, **tested}


def _adapting(learner: str, env: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return defaults of learners that adapt by gradient steps; their steps count every epoch."""
    epochs = _number(changes, "epochs", 5 if learner == PROMP else 1)
    defaults = {
        "steps": 200 * epochs,
        "learning_rate": 1e-3 if learner == PROMP else 3e-3,
        "clip_norm": 0.5,
        "validate_every": 10 * epochs,
        "checkpoint_every": 10 * epochs,
        "log_every": epochs,
        "epochs": epochs,
        "test_steps": max(3, _number(changes, "inner_steps", 1)),
        "credit": 1 / _number(changes, "episodes", 20),
        "meta_batch": 20,
        "episodes": 20,
        "episode_steps": 100,
        "discount": 0.99,
        "trace": 1.0,
        "validation_trials": 40,
        "test_trials": 400,
    }
    return defaults | ({"episode_steps": 200} if env == CARTPOLES else {})


def _number(changes: Mapping[str, Any], name: str, default: int) -> int:
    """Return a change on which defaults depend; a wrong one, which the settings will refuse, counts as none."""
    value = changes.get(name, default)
    return value if isinstance(value, int) and value >= 1 else default
