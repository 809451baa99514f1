import pytest
import torch

from automl_meta.metalearn.params import expand
from automl_meta.metarl.cartpoles import CartPoles
from automl_meta.metarl.direct_policy import perceptron_for
from automl_meta.metarl.samples import Sampler, play_episodes, standardised_by_task


def playing(family, n_tasks=3):
    policy = perceptron_for(family.observation_space, family.action_space, 4)
    return policy, expand(policy.init(torch.Generator().manual_seed(0)), n_tasks)


def test_episodes_of_unequal_length():
    carts, rng = CartPoles(), torch.Generator().manual_seed(0)
    policy, params = playing(carts)
    played = play_episodes(policy, params, carts, carts.draw(3, rng), 5, rng)
    n_steps = len(played.rewards)
    assert 10 < n_steps < 200  # the longest decides
    assert played.observations.shape == (n_steps, 3, 5, 4)
    assert played.actions.shape == played.alive.shape == (n_steps, 3, 5)
    lengths = played.alive.sum(0)
    assert len(set(lengths.flatten().tolist())) > 5
    assert torch.equal(played.rewards.sum(0), lengths.float())  # 1 for each step, 0 after the end
    assert bool((played.alive[1:] <= played.alive[:-1]).all())


def test_a_sample_by_hand(sides):
    """Every step of a task to the right earns the distance that it moved."""
    policy, params = playing(sides, 2)
    rng = torch.Generator().manual_seed(0)
    tasks = sides.draw(2, rng)
    sampler = Sampler(sides, 4, 0.5, 1.0, rng)
    sample = sampler.sample(policy, params, tasks)
    assert sample.actions.shape == (2, 12, 1)
    moves = (tasks * sample.actions.squeeze(-1).clamp(-0.1, 0.1)).view(2, 3, 4)
    assert torch.allclose(sample.totals, moves.sum(1).mean(1), atol=1e-6)
    discounted = (moves * torch.tensor([1, 0.5, 0.25]).view(1, 3, 1)).sum(1).mean(1)
    assert torch.allclose(sample.returns, discounted, atol=1e-6)
    assert sample.n_steps.tolist() == [12, 12]
    assert torch.allclose(sample.weights, torch.tensor(1 / 12))
    assert torch.allclose(
        sample.logs, policy.actions(params, sample.observations).log_prob(sample.actions)
    )
    assert sample.advantages.mean(1).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert sample.advantages.square().mean(1).tolist() == pytest.approx([1, 1], abs=1e-4)


def test_each_task_plays_with_its_own_parameters(sides):
    policy, params = playing(sides, 2)
    params = {name: leaf.clone() for name, leaf in params.items()}
    params["bias2"] = torch.tensor([[9.0], [-9.0]])
    rng = torch.Generator().manual_seed(0)
    sample = Sampler(sides, 4, 1.0, 1.0, rng).sample(policy, params, torch.ones(2, 1))
    assert sample.totals.tolist() == pytest.approx([0.3, -0.3])


def test_advantages_are_standardised_task_by_task():
    advantages = torch.tensor([[0.0, 4.0, 8.0, 50.0], [1.0, 1.0, 3.0, 3.0]])
    weights = torch.tensor([[0.5, 0.0, 0.5, 0.0], [0.25] * 4])
    scaled, spread = standardised_by_task(advantages, weights)
    assert scaled.tolist() == [[-1, 0, 1, 0], [-1, -1, 1, 1]]
    assert spread.tolist() == [4, 1]
