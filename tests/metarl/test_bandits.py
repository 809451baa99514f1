import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.bandits import BernoulliBandits


def test_the_interface_is_gymnasiums(make_bandits):
    bandits = make_bandits()
    assert isinstance(bandits, VectorEnv)
    assert (bandits.single_observation_space, bandits.single_action_space) == (
        Discrete(1),
        Discrete(3),
    )
    assert isinstance(bandits.action_space, MultiDiscrete)
    assert bandits.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observations, info = bandits.reset(seed=3)
    assert observations.numpy() in bandits.observation_space
    assert info == {}
    for step in range(5):
        actions = torch.from_numpy(bandits.action_space.sample())
        observations, rewards, terminated, truncated, _ = bandits.step(actions)
        assert observations.numpy() in bandits.observation_space
        assert (rewards.shape, rewards.dtype) == ((4,), torch.float32)
        assert (terminated.dtype, truncated.dtype) == (torch.bool, torch.bool)
        assert terminated.all()  # each pull is an episode
        assert truncated.all() == (step == 4)
    bandits.close()


def test_a_trial_must_be_begun(make_bandits):
    bandits, actions = make_bandits(pulls=1), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ResetNeeded):
        bandits.step(actions)
    bandits.reset()
    bandits.step(actions)
    with pytest.raises(ResetNeeded):
        bandits.step(actions)


def test_rewards_follow_the_probabilities():
    n = 40000
    bandits = BernoulliBandits(n, arms=2, pulls=1, generator=torch.Generator().manual_seed(0))
    bandits.reset(options={"tasks": torch.tensor([[0.2, 0.9]]).expand(n, 2)})
    actions = torch.arange(n) % 2
    _, rewards, _, _, info = bandits.step(actions)
    assert rewards[actions == 0].mean() == pytest.approx(0.2, abs=0.01)
    assert rewards[actions == 1].mean() == pytest.approx(0.9, abs=0.01)
    assert torch.allclose(info["expected"], torch.where(actions == 0, 0.2, 0.9))
    assert torch.allclose(info["regret"], torch.where(actions == 0, 0.7, 0.0))


def test_tasks_are_uniform_and_follow_the_seed(make_bandits):
    bandits = make_bandits(n=20000, arms=2)
    bandits.reset(seed=5)
    first = bandits.tasks
    assert first.mean() == pytest.approx(0.5, abs=0.01)
    assert first.var() == pytest.approx(1 / 12, abs=0.003)
    bandits.reset()
    assert not torch.equal(bandits.tasks, first)
    bandits.reset(seed=5)
    assert torch.equal(bandits.tasks, first)


def test_many_equal_a_loop_over_single_ones(make_bandits):
    """With certain arms nothing depends on the draws."""
    tasks = torch.randint(0, 2, (6, 3), generator=torch.Generator().manual_seed(1)).float()
    actions = torch.randint(0, 3, (5, 6), generator=torch.Generator().manual_seed(2))
    many = make_bandits(n=6)
    many.reset(options={"tasks": tasks})
    together = [many.step(row) for row in actions]
    for i in range(6):
        one = make_bandits(n=1)
        one.reset(options={"tasks": tasks[i : i + 1]})
        for row, (_, rewards, terminated, truncated, info) in zip(actions, together, strict=True):
            alone = one.step(row[i : i + 1])
            assert alone[1] == rewards[i]
            assert (alone[2], alone[3]) == (terminated[i], truncated[i])
            assert alone[4]["regret"] == info["regret"][i]


def test_wrong_values_are_refused(make_bandits):
    with pytest.raises(InvalidParameterError, match="'arms' parameter of BernoulliBandits"):
        make_bandits(arms=1)
    for tasks in (torch.rand(4, 2), torch.full((4, 3), 1.5)):
        with pytest.raises(InvalidParameterError, match="probabilities of shape"):
            make_bandits().reset(options={"tasks": tasks})
