import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.published import published
from automl_meta.metarl.recipes import recipe


def test_changes_win_and_seconds_replace_steps():
    settings = recipe("rl2", "bandits", arms=10, hidden=7, learning_rate=0.1, seconds=5)
    assert (settings.arms, settings.hidden) == (10, 7)
    assert (settings.training.learning_rate, settings.training.steps) == (0.1, None)
    assert recipe(steps=7).training.steps == 7


def test_the_entropy_falls_linearly():
    settings = recipe(entropy=0.2, entropy_end=0.1)
    assert [settings.entropy_at(p) for p in (0, 0.5, 1)] == pytest.approx([0.2, 0.15, 0.1])


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
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(InvalidParameterError, match=message):
        recipe(**changes)


def test_published_figures():
    assert published(recipe("rl2", "bandits", arms=10, episodes=100))["snail"] == 83.5
    assert published(recipe("rl2", "bandits", arms=3)) == {}
    assert published(recipe("rl2", "mdps")) == {}


def test_a_number_that_is_not_whole_is_refused():
    with pytest.raises(InvalidParameterError, match="'hidden' parameter of metarl must be an int"):
        recipe(hidden=2.5)
