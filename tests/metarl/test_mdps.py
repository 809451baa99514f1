import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import VectorEnv

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.mdps import TabularTasks, draw_dirichlet


def certain(n, states, actions, seed=0):
    """Processes whose transitions are sure."""
    rng = torch.Generator().manual_seed(seed)
    following = torch.randint(0, states, (n, states, actions), generator=rng)
    rewards = torch.randn(n, states, actions, generator=rng)
    return TabularTasks(rewards, torch.nn.functional.one_hot(following, states).float())


def test_the_interface_is_gymnasiums(make_mdps):
    mdps = make_mdps()
    assert isinstance(mdps, VectorEnv)
    observations, _ = mdps.reset(seed=3)
    ends = []
    for _ in range(6):
        assert observations.numpy() in mdps.observation_space
        actions = torch.from_numpy(mdps.action_space.sample())
        observations, rewards, terminated, truncated, info = mdps.step(actions)
        assert info["final_obs"].numpy() in mdps.observation_space
        assert rewards.shape == (4,)
        ends.append((bool(terminated.all()), bool(truncated.all())))
        if ends[-1][0]:
            assert observations.tolist() == [0, 0, 0, 0]
    assert ends == [(i in {2, 5}, i == 5) for i in range(6)]
    with pytest.raises(ResetNeeded):
        mdps.step(actions)


def test_sure_transitions_are_followed(make_mdps):
    tasks = certain(4, 3, 2)
    mdps = make_mdps()
    state, _ = mdps.reset(options={"tasks": tasks})
    for step in range(6):
        actions = torch.tensor([0, 1, 1, 0])
        expected = tasks.transitions[torch.arange(4), state, actions].argmax(1)
        state, _, _, _, info = mdps.step(actions)
        assert torch.equal(info["final_obs"], expected)
        if step % 3 != 2:
            assert torch.equal(state, expected)


def test_many_equal_a_loop_over_single_ones(make_mdps):
    tasks, actions = certain(5, 3, 2), torch.randint(0, 2, (6, 5))
    many = make_mdps(n=5)
    many.reset(options={"tasks": tasks})
    states = [many.step(row)[0] for row in actions]
    for i in range(5):
        one = make_mdps(n=1)
        one.reset(
            options={"tasks": TabularTasks(tasks.rewards[i : i + 1], tasks.transitions[i : i + 1])}
        )
        for row, together in zip(actions, states, strict=True):
            assert one.step(row[i : i + 1])[0] == together[i]


def test_the_distributions_are_those_of_the_paper(make_mdps):
    mdps = make_mdps(n=20000)
    mdps.reset(seed=1)
    means = mdps.tasks.rewards
    assert means.mean() == pytest.approx(1, abs=0.02)
    assert means.var() == pytest.approx(1, abs=0.03)
    transitions = mdps.tasks.transitions
    assert torch.allclose(transitions.sum(-1), torch.ones(()))
    assert transitions.var(dim=0).mean() == pytest.approx(1 / 18, abs=0.002)  # Dirichlet(1, 1, 1)
    actions = torch.zeros(20000, dtype=torch.int64)
    _, rewards, _, _, info = mdps.step(actions)
    assert torch.equal(info["expected"], means[:, 0, 0])
    noise = rewards - means[:, 0, 0]
    assert noise.mean() == pytest.approx(0, abs=0.03)
    assert noise.var() == pytest.approx(1, abs=0.04)
    shares = torch.bincount(info["final_obs"], minlength=3) / 20000
    assert torch.allclose(shares, transitions[:, 0, 0].mean(0), atol=0.015)


def test_dirichlet_draws_have_the_right_mean():
    concentration = torch.tensor([1.0, 3.0]).expand(20000, 2)
    drawn = draw_dirichlet(concentration, torch.Generator().manual_seed(0))
    assert drawn.mean(0).tolist() == pytest.approx([0.25, 0.75], abs=0.01)


def test_wrong_values_are_refused(make_mdps):
    with pytest.raises(InvalidParameterError, match="'states' parameter of TabularMDPs"):
        make_mdps(states=1)
    with pytest.raises(InvalidParameterError, match="'tasks' parameter of reset"):
        make_mdps().reset(options={"tasks": certain(4, 2, 2)})
