"""From settings to the objects of a run: environments, policy, the rules beside it."""

from collections.abc import Callable

import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.adaptation import AdaptingPolicy
from automl_meta.metarl.bandits import BernoulliBandits
from automl_meta.metarl.baselines import BANDIT_RULES, IndexPlayer
from automl_meta.metarl.cartpoles import CartPoles
from automl_meta.metarl.direct_policy import perceptron_for
from automl_meta.metarl.environment import TrialEnvironment
from automl_meta.metarl.families import TaskFamily
from automl_meta.metarl.gittins import MOST_PULLS
from automl_meta.metarl.mdps import TabularMDPs
from automl_meta.metarl.navigation import Navigation
from automl_meta.metarl.objectives import (
    CreditedExploration,
    Objective,
    PolicyGradient,
    Proximal,
)
from automl_meta.metarl.planning import MDP_RULES, PlanningPlayer
from automl_meta.metarl.play import Player, n_actions, n_inputs
from automl_meta.metarl.policy import Policy, RecurrentPolicy
from automl_meta.metarl.settings import (
    BANDITS,
    CARTPOLES,
    E_MAML,
    MAML_RL,
    NAVIGATION,
    PROMP,
    RL2,
    SNAIL,
    MetaRLSettings,
)
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
        environment: Of the training. Tells the sizes of inputs and actions, and how far back a policy reaches that reads
            the trial as a sequence: what only longer trials would use would never be learned.

    Raises:
        InvalidParameterError: If the learner is none with a memory.

    Example:
        >>> from automl_meta.metarl.recipes import recipe
        >>> settings = recipe("rl2", "bandits", arms=5)
        >>> make_policy(settings, make_environment(settings, 2, torch.Generator())).describe()["inputs"]
        7
    """
    if settings.learner == RL2:
        return RecurrentPolicy(n_inputs(environment), n_actions(environment), settings.hidden)
    if settings.learner == SNAIL:
        sizes = n_inputs(environment), n_actions(environment), max(2, environment.steps)
        return SnailPolicy(*sizes, settings.hidden)
    raise InvalidParameterError.of(
        "learner", "metarl", "rl2 or snail", settings.learner, "Try rl2."
    )


def make_family(settings: MetaRLSettings) -> TaskFamily:
    """Make the tasks of a learner that adapts by gradient steps.

    Args:
        settings: Of the run.

    Raises:
        InvalidParameterError: If the environment is none of those.

    Example:
        >>> from automl_meta.metarl.recipes import recipe
        >>> make_family(recipe("promp", "navigation"))
        Navigation(horizon=100)
    """
    if settings.env == NAVIGATION:
        return Navigation(settings.episode_steps)
    if settings.env == CARTPOLES:
        return CartPoles(settings.episode_steps)
    rule = f"one of {NAVIGATION}, {CARTPOLES}"
    raise InvalidParameterError.of("env", "make_family", rule, settings.env, f"Try {NAVIGATION}.")


def make_adapting_policy(settings: MetaRLSettings) -> AdaptingPolicy:
    """Make a learner that adapts by gradient steps.

    Args:
        settings: Of the run, with ``adaptation``.

    Example:
        >>> from automl_meta.metarl.recipes import recipe
        >>> make_adapting_policy(recipe("maml-rl", "cartpoles", inner_steps=2)).steps
        2
    """
    adaptation, family = settings.adaptation, make_family(settings)
    assert adaptation is not None
    policy = perceptron_for(family.observation_space, family.action_space, settings.hidden)
    objectives: dict[str, Objective] = {
        MAML_RL: PolicyGradient(),
        E_MAML: CreditedExploration(adaptation.credit),
        PROMP: Proximal(adaptation.clip, adaptation.divergence),
    }
    objective = objectives[settings.learner]
    return AdaptingPolicy(policy, objective, adaptation.inner_rate, adaptation.inner_steps)


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
