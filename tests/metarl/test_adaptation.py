from dataclasses import fields, replace

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.params import expand
from automl_meta.metarl.adaptation import AdaptingPolicy
from automl_meta.metarl.cartpoles import CartPoles
from automl_meta.metarl.direct_policy import perceptron_for
from automl_meta.metarl.navigation import Navigation
from automl_meta.metarl.objectives import CreditedExploration, PolicyGradient, Proximal
from automl_meta.metarl.samples import Sampler
from automl_meta.training import TrainingSettings, train

OBJECTIVES = [PolicyGradient(), CreditedExploration(0.1), Proximal(divergence=0.1)]


def doubles(params):
    return {name: leaf.double() for name, leaf in params.items()}


def small(family, objective, *, rate=0.1, steps=1, hidden=3, seed=0):
    policy = perceptron_for(family.observation_space, family.action_space, hidden)
    adapting = AdaptingPolicy(policy, objective, rate, steps)
    return adapting, policy.init(torch.Generator().manual_seed(seed))


def of_one_task(sample, task):
    def part(value):
        if isinstance(value, torch.Tensor):
            return value[task : task + 1]
        return replace(value, **{f.name: part(getattr(value, f.name)) for f in fields(value)})

    return part(sample)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_the_meta_gradient_is_that_of_the_outer_loss(objective, steps):
    """Against differences, in double precision; also where theta is no more the one that played."""
    family, rng = Navigation(horizon=4), torch.Generator().manual_seed(0)
    adapting, params = small(family, objective, rate=0.5, steps=steps)
    params = doubles(params)
    params = {
        name: leaf + 0.3 * torch.randn(leaf.shape, generator=rng) for name, leaf in params.items()
    }
    sampler = Sampler(family, 3, 0.9, 0.95, rng)
    rollouts = adapting.collect(params, sampler.draw(2).double(), sampler)
    later = {
        name: leaf + 0.02 * torch.randn(leaf.shape, generator=rng) for name, leaf in params.items()
    }
    _, grads = adapting.meta_gradient(later, rollouts)
    for name, leaf in later.items():
        direction = torch.randn(leaf.shape, generator=rng, dtype=leaf.dtype)
        up, down = (
            adapting.meta_gradient(later | {name: leaf + eps * direction}, rollouts)[0]
            for eps in (1e-5, -1e-5)
        )
        slope = ((up - down) / 2e-5).item()
        assert (grads[name] * direction).sum().item() == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_an_inner_step_descends_the_gradient_by_differences(objective):
    family, rng = CartPoles(horizon=5), torch.Generator().manual_seed(0)
    adapting, params = small(family, objective, rate=0.7)
    params = doubles(params)
    sampler = Sampler(family, 3, 0.9, 1.0, rng)
    start = expand(params, 2)
    sample = sampler.sample(adapting.policy, start, sampler.draw(2).double())
    moved = adapting.adapted(start, sample)
    for name, leaf in start.items():
        direction = torch.randn(leaf.shape, generator=rng, dtype=leaf.dtype)
        up, down = (
            adapting._inner_loss(sample)(start | {name: leaf + eps * direction})
            for eps in (1e-5, -1e-5)
        )
        slopes = (up - down) / 2e-5  # one for each task
        steps = ((leaf - moved[name]) / 0.7 * direction).flatten(1).sum(1)
        assert torch.allclose(steps, slopes, atol=1e-8)


@pytest.mark.parametrize("family", [Navigation(horizon=10), CartPoles()])
def test_a_batch_equals_a_loop_over_tasks(family):
    rng = torch.Generator().manual_seed(0)
    adapting, params = small(family, Proximal(), hidden=8)
    sampler = Sampler(family, 4, 0.99, 1.0, rng)
    start = expand(doubles(params), 3)
    sample = sampler.sample(adapting.policy, start, sampler.draw(3).double())
    together = adapting.adapted(start, sample)
    for task in range(3):
        own = {name: leaf[task : task + 1] for name, leaf in start.items()}
        alone = adapting.adapted(own, of_one_task(sample, task))
        for name, leaf in alone.items():
            assert torch.allclose(leaf[0], together[name][task], atol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_training_makes_one_step_enough(objective, sides):
    """A start that does not know the side; small steps, so that it must learn to be moved by them."""
    adapting, params = small(sides, objective, hidden=16)
    rng = torch.Generator().manual_seed(0)
    sampler = Sampler(sides, 10, 1.0, 1.0, rng)
    best = 0.1 * sides.horizon
    tasks = sides.draw(40, rng)

    def reached(params):
        return (adapting.returns(params, tasks, sampler, steps=1) / best).mean(1).tolist()

    assert reached(params)[1] < 0.4
    trained = train(
        params,
        lambda params, _, __: adapting.meta_gradient(
            params, adapting.collect(params, sides.draw(20, rng), sampler)
        ),
        settings=TrainingSettings(steps=80, learning_rate=2e-2, clip_norm=0.5),
        generator=rng,
    )
    before, after = reached(trained.params)
    assert before == pytest.approx(0, abs=0.15)
    assert after > 0.8


def test_returns_go_on_from_step_to_step(sides):
    adapting, params = small(sides, PolicyGradient(), rate=0.5, hidden=8)
    sampler = Sampler(sides, 20, 1.0, 1.0, torch.Generator().manual_seed(0))
    returns = adapting.returns(params, sides.draw(30, sampler.generator), sampler, steps=3)
    assert returns.shape == (4, 30)
    means = returns.mean(1)
    assert bool((means[1:] > means[:-1] + 0.01).all())


def test_wrong_values_are_refused():
    with pytest.raises(InvalidParameterError, match="'rate' parameter of AdaptingPolicy"):
        small(Navigation(), PolicyGradient(), rate=0.0)
    with pytest.raises(InvalidParameterError, match="'steps' parameter of AdaptingPolicy"):
        small(Navigation(), PolicyGradient(), steps=-1)
