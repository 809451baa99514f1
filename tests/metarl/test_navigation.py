import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.navigation import Navigation


def test_a_step_by_hand():
    """From (.1, 0): (.07, -.2) is cut to (.07, -.1); from the goal (.2, -.1) the point is .03 away."""
    tasks, states = (
        torch.tensor([[0.2, -0.1], [0.175, -0.1]]),
        torch.tensor([[0.1, 0.0]]).repeat(2, 1),
    )
    moved, rewards, ended = Navigation().advance(tasks, states, torch.tensor([[0.07, -0.2]] * 2))
    assert torch.allclose(moved, torch.tensor([[0.17, -0.1]] * 2))
    assert rewards.tolist() == pytest.approx([-9e-4, -2.5e-5], abs=1e-8)
    assert ended.tolist() == [False, True]  # .005 is within .01


def test_goals_fill_the_square():
    goals = Navigation().draw(20000, torch.Generator().manual_seed(0))
    assert goals.abs().max() <= 0.5
    assert goals.mean(0).tolist() == pytest.approx([0, 0], abs=0.01)
    assert goals.var(0).tolist() == pytest.approx([1 / 12] * 2, abs=0.002)


def test_nothing_of_the_goal_is_observed():
    navigation = Navigation()
    states = navigation.start(3, torch.Generator())
    assert torch.equal(navigation.observe(states), torch.zeros(3, 2))


def test_wrong_values_are_refused():
    with pytest.raises(InvalidParameterError, match="'horizon' parameter of Navigation"):
        Navigation(horizon=0)
