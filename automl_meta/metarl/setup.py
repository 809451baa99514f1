"""From settings to the objects of a run: environments, policy, the rules beside it."""

from collections.abc import Callable

import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.bandits import BernoulliBandits
from automl_meta.metarl.baselines import BANDIT_RULES, IndexPlayer
from automl_meta.metarl.environment import TrialEnvironment
from automl_meta.metarl.gittins import MOST_PULLS
from automl_meta.metarl.mdps import TabularMDPs
from automl_meta.metarl.planning import MDP_RULES, PlanningPlayer
from automl_meta.metarl.play import Player, n_actions, n_inputs
from automl_meta.metarl.policy import Policy, RecurrentPolicy
from automl_meta.metarl.settings import BANDITS, MetaRLSettings
from automl_meta.metarl.snail import SnailPolicy


def make_environment(
    settings: MetaRLSettings, n_trials: int, generator: torch.Generator
) -> TrialEnvironment:
    """Make the trials of a run.

    Args:
        settings: Of the run.
        n_trials: Trials at once.
        generator: Of tasks and rewards; decides the device.
    """
    if settings.env == BANDITS:
        return BernoulliBandits(
            n_trials, arms=settings.arms, pulls=settings.episodes, generator=generator
        )
    return TabularMDPs(
        n_trials,
        states=settings.states,
        actions=settings.arms,
        episodes=settings.episodes,
        episode_steps=settings.episode_steps,
        generator=generator,
    )


def make_policy(settings: MetaRLSettings, environment: TrialEnvironment) -> Policy:
    """Make the learner of a run.

    Args:
        settings: Of the run.
        environment: Tells the sizes of inputs and actions.

    Raises:
        InvalidParameterError: If the learner is unknown.

    Example:
        >>> from automl_meta.metarl.recipes import recipe
        >>> settings = recipe("rl2", "bandits", arms=5)
        >>> make_policy(settings, make_environment(settings, 2, torch.Generator())).describe()["inputs"]
        7
    """
    if settings.learner == "rl2":
        return RecurrentPolicy(n_inputs(environment), n_actions(environment), settings.hidden)
    if settings.learner == "snail":
        sizes = n_inputs(environment), n_actions(environment), max(2, settings.steps)
        return SnailPolicy(*sizes, settings.hidden)
    raise InvalidParameterError.of(
        "learner", "metarl", "rl2 or snail", settings.learner, "Try rl2."
    )


def make_rules(settings: MetaRLSettings) -> dict[str, Callable[[torch.Generator], Player]]:
    """Return what is set beside the learner, by name: a generator to the player.

    Args:
        settings: Of the run; beyond ``MOST_PULLS`` pulls the Gittins index is left out.
    """
    if settings.env == BANDITS:
        left_out = {"gittins"} if settings.episodes > MOST_PULLS else set()
        return {name: _index_player(name) for name in BANDIT_RULES if name not in left_out}
    return {name: _planning_player(name) for name in MDP_RULES}


def _index_player(name: str) -> Callable[[torch.Generator], Player]:
    return lambda generator: IndexPlayer(BANDIT_RULES[name], generator)


def _planning_player(name: str) -> Callable[[torch.Generator], Player]:
    return lambda generator: PlanningPlayer(MDP_RULES[name], generator)
