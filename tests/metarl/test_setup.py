import torch

from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.setup import make_environment, make_policy, make_rules


def test_environments_have_the_settings_sizes():
    bandits = make_environment(recipe(arms=4, episodes=7), 3, torch.Generator())
    assert (bandits.num_envs, bandits.arms, bandits.steps) == (3, 4, 7)
    settings = recipe("rl2", "mdps", arms=2, states=6, episodes=3, episode_steps=4)
    mdps = make_environment(settings, 5, torch.Generator())
    assert (mdps.num_envs, mdps.actions, mdps.states, mdps.steps) == (5, 2, 6, 12)
    policy = make_policy(settings, mdps)
    assert (policy.n_inputs, policy.n_actions, policy.hidden) == (6 + 2 + 2, 2, 128)


def test_rules_of_an_environment():
    assert "gittins" in make_rules(recipe(episodes=500))
    assert "gittins" not in make_rules(recipe(episodes=501))
    assert list(make_rules(recipe("rl2", "mdps")))[-1] == "informed"
