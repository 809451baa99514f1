import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.cartpoles import CartPoles
from automl_meta.metarl.families import EpisodeBatch
from automl_meta.metarl.navigation import Navigation


def batch_of(n, family, seed=0):
    return EpisodeBatch(n, family=family, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", [Navigation(horizon=5), CartPoles(horizon=5)])
def test_the_interface_is_gymnasiums(family):
    batch = batch_of(4, family)
    assert isinstance(batch, VectorEnv)
    assert batch.metadata["autoreset_mode"] == AutoresetMode.DISABLED
    seen, _ = batch.reset(seed=3)
    batch.action_space.seed(0)
    for step in range(5):
        assert seen.numpy() in batch.observation_space
        seen, rewards, ended, cut, _ = batch.step(torch.from_numpy(batch.action_space.sample()))
        assert rewards.shape == ended.shape == (4,)
        assert bool((cut == (~ended if step == 4 else torch.tensor(False))).all())
    with pytest.raises(ResetNeeded):
        batch.step(torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("family", [Navigation(horizon=60), CartPoles(horizon=60)])
def test_many_equal_a_loop_over_single_ones(family):
    rng = torch.Generator().manual_seed(0)
    tasks = family.draw(6, rng)
    many = batch_of(6, family)
    first, _ = many.reset(options={"tasks": tasks})
    many.action_space.seed(0)
    actions = [torch.from_numpy(many.action_space.sample()) for _ in range(60)]
    together = [many.step(row)[:4] for row in actions]
    for i in range(6):
        one = batch_of(1, family)
        one.reset(options={"tasks": tasks[i : i + 1]})
        one._states = first[i : i + 1].clone()  # starts are random
        for row, found in zip(actions, together, strict=True):
            alone = one.step(row[i : i + 1])
            for a, b in zip(alone[:4], found, strict=True):
                assert torch.allclose(a[0].float(), b[i].float(), atol=1e-6)


def test_an_episode_that_ended_stays_and_brings_nothing():
    batch = batch_of(2, Navigation())
    batch.reset(options={"tasks": torch.tensor([[0.1, 0.0], [0.5, 0.0]])})
    right = torch.tensor([[0.1, 0.0]]).repeat(2, 1)
    assert batch.step(right)[2].tolist() == [True, False]
    seen, rewards, ended, _, _ = batch.step(right)
    assert torch.allclose(seen, torch.tensor([[0.1, 0.0], [0.2, 0.0]]))
    assert rewards.tolist() == pytest.approx([0, -0.09])
    assert ended.tolist() == [True, False]


def test_wrong_values_are_refused():
    with pytest.raises(InvalidParameterError, match="'num_envs' parameter of EpisodeBatch"):
        batch_of(0, Navigation())
    with pytest.raises(InvalidParameterError, match="'tasks' parameter of reset"):
        batch_of(2, Navigation()).reset(options={"tasks": torch.zeros(3, 2)})
    with pytest.raises(ResetNeeded):
        batch_of(2, Navigation()).step(torch.zeros(2, 2))
