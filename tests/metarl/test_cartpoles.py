import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from automl_meta.metarl.cartpoles import CartPoles


def gymnasiums(task):
    """Return gymnasium's own environment with the physics of a task."""
    length, mass, gravity, force = (float(value) for value in task)
    cart = CartPoleEnv()
    cart.reset(seed=0)
    cart.length, cart.masspole, cart.gravity, cart.force_mag = length, mass, gravity, force
    cart.total_mass, cart.polemass_length = cart.masscart + mass, mass * length
    return cart


def test_steps_are_those_of_gymnasium():
    """Along whole episodes, and to the same end."""
    carts, rng = CartPoles(), torch.Generator().manual_seed(1)
    tasks = torch.cat([carts.draw(19, rng), torch.tensor([[0.5, 0.1, 9.8, 10.0]])]).double()
    first = carts.start(20, rng).double()
    ends = []
    for task, state in zip(tasks, first, strict=True):
        theirs, ours = gymnasiums(task), state.unsqueeze(0)
        theirs.state = state.numpy().copy()
        for _length in range(200):
            action = torch.randint(0, 2, (1,), generator=rng)
            seen, reward, ended, _, _ = theirs.step(int(action))
            ours, rewards, over = carts.advance(task.unsqueeze(0), ours, action)
            assert torch.allclose(ours[0], torch.as_tensor(theirs.state), atol=1e-10)
            assert torch.allclose(carts.observe(ours)[0].float(), torch.as_tensor(seen), atol=1e-5)
            assert (rewards.item(), over.item()) == (reward, ended)
            if ended:
                break
        ends.append(_length)
    assert len(set(ends)) > 5


def test_float32_is_near_enough():
    carts, rng = CartPoles(), torch.Generator().manual_seed(2)
    tasks, states = carts.draw(50, rng), 2 * carts.start(50, rng)
    actions = torch.randint(0, 2, (50,), generator=rng)
    moved, _, _ = carts.advance(tasks, states, actions)
    for task, state, action, after in zip(tasks, states, actions, moved, strict=True):
        theirs = gymnasiums(task)
        theirs.state = state.double().numpy()
        theirs.step(int(action))
        assert torch.allclose(after, torch.as_tensor(theirs.state).float(), atol=1e-5)


def test_tasks_lie_in_their_ranges():
    tasks = CartPoles().draw(5000, torch.Generator().manual_seed(0))
    low, high = torch.tensor([0.25, 0.05, 5.0]), torch.tensor([1.0, 0.5, 15.0])
    assert bool(((tasks[:, :3] >= low) & (tasks[:, :3] <= high)).all())
    assert (tasks[:, 3] < 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert tasks[:, 3].abs().min() >= 5
