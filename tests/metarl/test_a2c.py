"""The loss: golden cases, finite differences in float64, and learning what a broken one does not."""

import pytest
import torch

from automl_meta.metarl.a2c import (
    LossWeights,
    a2c_loss,
    generalised_advantages,
    policy_loss,
    remaining_steps,
    standardised,
)
from automl_meta.metarl.bandits import BernoulliBandits
from automl_meta.metarl.play import PolicyPlayer, n_inputs, play
from automl_meta.metarl.policy import RecurrentPolicy
from automl_meta.metarl.trial_run import meta_gradient


def test_advantages_of_three_steps_by_hand():
    rewards, values = torch.tensor([[1.0], [0.0], [2.0]]), torch.tensor([[0.5], [1.0], [1.5]])
    third = 2 - 1.5
    second = (0 + 0.9 * 1.5 - 1.0) + 0.9 * 0.8 * third
    first = (1 + 0.9 * 1.0 - 0.5) + 0.9 * 0.8 * second
    found = generalised_advantages(rewards, values, discount=0.9, trace=0.8)
    assert found.squeeze(1).tolist() == pytest.approx([first, second, third])


def test_extreme_traces():
    rewards, values = torch.randn(5, 3), torch.randn(5, 3)
    following = torch.cat([values[1:], torch.zeros(1, 3)])
    one_step = generalised_advantages(rewards, values, discount=0.9, trace=0.0)
    assert torch.allclose(one_step, rewards + 0.9 * following - values)
    to_the_end = generalised_advantages(rewards, values, discount=1.0, trace=1.0)
    assert torch.allclose(to_the_end, rewards.flip(0).cumsum(0).flip(0) - values, atol=1e-6)


def test_remaining_steps():
    assert remaining_steps(4, 1.0).tolist() == [4, 3, 2, 1]
    assert remaining_steps(3, 0.5).tolist() == [1.75, 1.5, 1]


def test_policy_loss_by_hand():
    logits = torch.log(torch.tensor([[[0.25, 0.75]], [[0.5, 0.5]]], dtype=torch.float64))
    actions, advantages = torch.tensor([[1], [0]]), torch.tensor([[2.0], [-1.0]]).double()
    chosen = torch.tensor([0.75, 0.5]).double().log()
    disorder = torch.tensor([0.5623351446, 0.6931471806]).double()
    wanted = -((2 * chosen[0] - chosen[1]) + 0.1 * disorder.sum()) / 2
    assert policy_loss(logits, actions, advantages, 0.1).item() == pytest.approx(wanted.item())


def test_standardised_advantages():
    found = standardised(torch.randn(4, 9) * 3 + 2)
    assert found.mean().item() == pytest.approx(0, abs=1e-6)
    assert found.square().mean().item() == pytest.approx(1, abs=1e-5)


def test_the_gradient_is_that_of_finite_differences(rng):
    """Of the whole loss through the recurrence, in float64, at fixed trials and fixed advantages."""
    bandits = BernoulliBandits(6, arms=3, pulls=5, generator=rng)
    policy = RecurrentPolicy(n_inputs(bandits), 3, hidden=4)
    params = {
        name: leaf.double() + 0.3 * torch.randn(leaf.shape, generator=rng, dtype=torch.float64)
        for name, leaf in policy.init(rng).items()
    }
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in params.items()}
    player = PolicyPlayer(policy, leaves, rng, recording=True)
    trial = play(player, bandits)
    weights = LossWeights(discount=0.95, trace=0.7, value=0.5, entropy=0.1)
    loss = a2c_loss(leaves, player, trial, weights)
    grads = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    steps = remaining_steps(5, 0.95).double().unsqueeze(1)

    def unrolled(point):
        state, logits, features = policy.start(point, 6), [], []
        for inputs in player.inputs:
            found, seen, state = policy.step(point, inputs, state)
            logits.append(found)
            features.append(seen)
        return torch.stack(logits), policy.value(point, torch.stack(features))

    with torch.no_grad():
        values = steps * unrolled(params)[1]
        advantages = generalised_advantages(
            trial.rewards.double(), values, discount=0.95, trace=0.7
        )
        targets = (advantages + values) / steps

        def value_at(point):
            logits, means = unrolled(point)
            policys = policy_loss(logits, trial.actions, standardised(advantages), 0.1)
            return (policys + 0.5 * (means - targets).square().mean()).item()

        assert value_at(params) == pytest.approx(loss.item(), rel=1e-10)
        for name, leaf in params.items():
            direction = torch.randn(leaf.shape, generator=rng, dtype=torch.float64)
            up, down = (value_at(params | {name: leaf + s * 1e-6 * direction}) for s in (1, -1))
            slope = (grads[name] * direction).sum().item()
            assert slope == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-8), name


def test_the_meta_gradient_has_the_parameters_shapes(make_bandits, rng):
    bandits = make_bandits(n=8)
    policy = RecurrentPolicy(n_inputs(bandits), 3, hidden=4)
    params = policy.init(rng)
    loss, grads = meta_gradient(policy, params, bandits, rng, LossWeights())
    assert not loss.requires_grad
    assert {n: g.shape for n, g in grads.items()} == {n: p.shape for n, p in params.items()}
    assert all(not leaf.requires_grad for leaf in params.values())


def test_coarse_products_give_a_coarse_gradient(make_bandits, rng):
    bandits = make_bandits(n=8)
    policy = RecurrentPolicy(n_inputs(bandits), 3, hidden=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, grads = meta_gradient(policy, policy.init(rng), bandits, rng, LossWeights())
    assert loss.isfinite()
    assert all(grad.dtype == torch.float32 and grad.isfinite().all() for grad in grads.values())
