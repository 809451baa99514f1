from dataclasses import replace

import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.published import published
from automl_meta.metarl.recipes import recipe

NAVIGATING = {"learner": "promp", "env": "navigation"}


def test_changes_win_and_seconds_replace_steps():
    settings = recipe("rl2", "bandits", arms=10, hidden=7, learning_rate=0.1, seconds=5)
    assert (settings.arms, settings.hidden) == (10, 7)
    assert (settings.training.learning_rate, settings.training.steps) == (0.1, None)
    assert recipe(steps=7).training.steps == 7


def test_the_entropy_falls_linearly():
    settings = recipe(entropy=0.2, entropy_end=0.1)
    assert [settings.entropy_at(p) for p in (0, 0.5, 1)] == pytest.approx([0.2, 0.15, 0.1])


def test_learners_that_adapt_have_settings_of_their_own():
    settings = recipe("promp", "cartpoles", epochs=3, inner_steps=5, episodes=8, clip=0.2)
    adaptation = settings.adaptation
    assert (adaptation.epochs, adaptation.inner_steps, adaptation.test_steps) == (3, 5, 5)
    assert (adaptation.clip, adaptation.credit) == (0.2, 1 / 8)
    assert (settings.training.steps, settings.training.checkpoint_every % 3) == (600, 0)
    assert settings.episode_steps == 200
    assert recipe().adaptation is None
    with pytest.raises(
        InvalidParameterError, match="'adaptation' parameter of metarl must be None"
    ):
        replace(settings, adaptation=None)


def test_steps_of_a_trial():
    assert recipe("rl2", "bandits", episodes=7).steps == 7
    assert recipe("rl2", "mdps", episodes=7, episode_steps=3).steps == 21


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learner": "ppo"}, "'learner' parameter of metarl must be one of rl2"),
        ({"env": "chess"}, "'env' parameter of metarl must be one of bandits, mdps"),
        ({"arms": 1}, "'arms' parameter of metarl must be an int >= 2"),
        ({"discount": 1.5}, "'discount' parameter of metarl must be a number in"),
        ({"entropy": -1.0}, "'entropy' parameter of metarl must be a finite number >= 0"),
        ({"threads": 0}, "'threads' parameter of metarl must be an int >= 1"),
        ({"wings": 2}, "'wings' parameter of recipe must be a name"),
        (
            {"learner": "promp"},
            "'env' parameter of metarl must be one of navigation, cartpoles for",
        ),
        ({"env": "navigation"}, "'env' parameter of metarl must be one of bandits, mdps for rl2"),
        ({"inner_rate": 1.0}, "'inner_rate' parameter of metarl must be left out for rl2"),
        (NAVIGATING | {"inner_steps": 0}, "'inner_steps' parameter of metarl must be an int >= 1"),
        (NAVIGATING | {"episodes": 0}, "'episodes' parameter of metarl must be an int >= 1"),
        (NAVIGATING | {"precision": "bf16"}, "'precision' .* must be float32 or tf32 for promp"),
        (NAVIGATING | {"epochs": "two"}, "'epochs' parameter of metarl must be an int. Got 'two'"),
        ({"train_episodes": 0}, "'train_episodes' parameter of metarl must be an int >= 1. Got 0"),
        ({"train_episodes": "few"}, "'train_episodes' parameter of metarl must be an int"),
        (NAVIGATING | {"train_episodes": 5}, "'train_episodes' .* left out for promp"),
        (NAVIGATING | {"inner_rate": 0.0}, "'inner_rate' parameter of metarl must be a number > 0"),
        (NAVIGATING | {"divergence": -1.0}, "'divergence' parameter of metarl must be a finite"),
        (NAVIGATING | {"checkpoint_every": 7}, "must be a multiple of the 5 epochs. Got 7"),
        (NAVIGATING | {"inner_steps": 4, "test_steps": 3}, "'test_steps' .* an int >= 4"),
        (
            NAVIGATING | {"learner": "e-maml", "epochs": 2},
            "'epochs' parameter of metarl must be 1 for e-maml. Got 2 instead",
        ),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(InvalidParameterError, match=message):
        recipe(**changes)


def test_defaults_of_training_in_short_trials():
    settings = recipe("rl2", "bandits", episodes=500, train_episodes=100)
    assert (settings.training.steps, settings.trace, settings.test_trials) == (3000, 0.9, 2000)
    assert (settings.steps, settings.in_training.steps) == (500, 100)
    assert recipe("rl2", "bandits", episodes=500, train_episodes=10).training.steps == 4000
    same = recipe("rl2", "bandits", episodes=10)
    assert same.in_training is same


def test_published_figures():
    assert published(recipe("rl2", "bandits", arms=10, episodes=100))["snail"] == 83.5
    assert published(recipe("rl2", "bandits", arms=3)) == {}
    assert published(recipe("rl2", "mdps", episodes=10))["rl2"] == 156.2
    assert published(recipe("rl2", "mdps", states=3)) == {}
    assert published(recipe("rl2", "mdps", episode_steps=5)) == {}
    assert published(recipe("promp", "navigation")) == {}


def test_a_number_that_is_not_whole_is_refused():
    with pytest.raises(InvalidParameterError, match="'hidden' parameter of metarl must be an int"):
        recipe(hidden=2.5)


@pytest.mark.parametrize("name", ["arms", "states", "entropy", "value_weight"])
def test_what_a_gradient_learner_has_no_use_for_is_refused(name):
    with pytest.raises(
        InvalidParameterError, match=f"'{name}' parameter of metarl must be left out"
    ):
        recipe("promp", "navigation", **{name: 3})


def test_rates_stay_where_float32_can_follow():
    with pytest.raises(InvalidParameterError, match=r"'inner_rate'.*at most 1e\+06"):
        recipe("maml-rl", "navigation", inner_rate=1e30)


def test_snail_is_not_computed_in_bfloat16():
    with pytest.raises(InvalidParameterError, match=r"'precision'.*float32 or tf32 for snail"):
        recipe("snail", "bandits", precision="bf16")
