import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.cartpoles import CartPoles
from automl_meta.metarl.navigation import Navigation
from automl_meta.metarl.objectives import CreditedExploration, PolicyGradient, Proximal
from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.setup import (
    make_adapting_policy,
    make_environment,
    make_family,
    make_policy,
    make_rules,
)


def test_environments_have_the_settings_sizes():
    bandits = make_environment(recipe(arms=4, episodes=7), 3, torch.Generator())
    assert (bandits.num_envs, bandits.arms, bandits.steps) == (3, 4, 7)
    settings = recipe("rl2", "mdps", arms=2, states=6, episodes=3, episode_steps=4)
    mdps = make_environment(settings, 5, torch.Generator())
    assert (mdps.num_envs, mdps.actions, mdps.states, mdps.steps) == (5, 2, 6, 12)
    policy = make_policy(settings, mdps)
    assert (policy.n_inputs, policy.n_actions, policy.hidden) == (6 + 2 + 2, 2, 128)


@pytest.mark.parametrize(
    ("learner", "objective"),
    [
        ("maml-rl", PolicyGradient()),
        ("e-maml", CreditedExploration(0.5)),
        ("promp", Proximal(0.2, 0.01)),
    ],
)
def test_learners_that_adapt(learner, objective):
    changes = {"clip": 0.2, "divergence": 0.01, "credit": 0.5, "inner_rate": 0.3, "hidden": 9}
    adapting = make_adapting_policy(recipe(learner, "cartpoles", **changes))
    assert adapting.objective == objective
    assert (adapting.rate, adapting.steps, adapting.policy.hidden) == (0.3, 1, 9)


def test_families_have_the_settings_horizon():
    assert make_family(recipe("promp", "navigation", episode_steps=7)) == Navigation(7)
    assert make_family(recipe("promp", "cartpoles", episode_steps=9)) == CartPoles(9)
    with pytest.raises(InvalidParameterError, match="'env' parameter of make_family"):
        make_family(recipe())


def test_rules_of_an_environment():
    assert "gittins" in make_rules(recipe(episodes=500))
    assert "gittins" not in make_rules(recipe(episodes=501))
    assert list(make_rules(recipe("rl2", "mdps")))[-1] == "informed"
