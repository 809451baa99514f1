import dataclasses
import gc
import math

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import (
    ANIL,
    BOIL,
    FOMAML,
    MAML,
    MAMLPlusPlus,
    MetaSGD,
    Reptile,
    join_meta,
    split_meta,
)
from automl_meta.metalearn.inner import gradients, leaves, trajectory

T = 3  # tasks of the family fixture
EXACT = {
    "maml-1": MAML(0.1, 1),
    "maml-3": MAML(0.1, 3),
    "meta-sgd": MetaSGD(0.1, 3),
    "meta-sgd-tensor": MetaSGD(0.1, 2, granularity="tensor"),
    "meta-sgd-steps": MetaSGD(0.1, 2, per_step=True),
    "meta-sgd-tensor-steps": MetaSGD(0.1, 3, granularity="tensor", per_step=True),
    "anil": ANIL(0.1, 3, head="second"),
    "maml++": MAMLPlusPlus(0.1, 3, norm="bias"),
}
ALL = EXACT | {
    "fomaml": FOMAML(0.1, 3),
    "reptile": Reptile(0.1, 3),
    "reptile-adam": Reptile(0.1, 3, beta2=0.9),
    "maml++-start": MAMLPlusPlus(0.1, 3, norm="bias", progress=0.0),
    "maml++-first-order": MAMLPlusPlus(0.1, 3, first_order_until=1.0, progress=0.5),
}
exact = pytest.mark.parametrize("algorithm", EXACT.values(), ids=EXACT)
every = pytest.mark.parametrize("algorithm", ALL.values(), ids=ALL)


def disturbed(meta):
    """Change rates and what is learned per step: nothing may cancel, some rates are negative."""
    generator = torch.Generator().manual_seed(1)

    def changed(name, leaf):
        noise = torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype)
        if name.startswith(("moments.", "seen")):
            return leaf + noise.abs()
        return leaf * (1 + noise) if name.startswith("rates.") else leaf + 0.1 * noise

    return {name: changed(name, leaf) for name, leaf in meta.items()}


@exact
def test_meta_gradient_equals_central_differences(algorithm, family):
    meta = disturbed(algorithm.init(family.params))
    loss, grads = algorithm.meta_gradients(meta, family.support, family.query, T)

    def value(changed):
        return family.query(algorithm.adapt(changed, family.support, T)).mean().item()

    assert loss.item() == pytest.approx(value(meta), rel=1e-12)
    step = 1e-6
    for name, leaf in meta.items():
        for entry in range(leaf.numel()):
            nudge = torch.zeros_like(leaf)
            nudge.view(-1)[entry] = step
            slope = (value(meta | {name: leaf + nudge}) - value(meta | {name: leaf - nudge})) / (
                2 * step
            )
            assert grads[name].view(-1)[entry].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


@every
def test_batch_of_tasks_equals_loop_over_tasks(algorithm, family):
    meta = disturbed(algorithm.init(family.params))
    adapted = algorithm.adapt(meta, family.support, T)
    loss, grads = algorithm.meta_gradients(meta, family.support, family.query, T)
    alone = [
        algorithm.meta_gradients(meta, family.one("support", t), family.one("query", t), 1)
        for t in range(T)
    ]
    for t in range(T):
        single = algorithm.adapt(meta, family.one("support", t), 1)
        for name, leaf in single.items():
            torch.testing.assert_close(adapted[name][t], leaf[0], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(loss, torch.stack([item[0] for item in alone]).mean())
    for name, grad in grads.items():
        mean = torch.stack([item[1][name] for item in alone]).mean(dim=0)
        torch.testing.assert_close(grad, mean, rtol=1e-11, atol=1e-13)


def test_first_order_equals_maml_where_the_support_loss_is_linear(family):
    def linear(params):
        return sum((leaf.flatten(1) * 0.3).sum(dim=1) for leaf in params.values())

    exact, first = MAML(0.1, 2), FOMAML(0.1, 2)
    meta = exact.init(family.params)
    _, grads = exact.meta_gradients(meta, linear, family.query, T)
    _, approximate = first.meta_gradients(meta, linear, family.query, T)
    for name in grads:
        torch.testing.assert_close(approximate[name], grads[name], rtol=1e-12, atol=1e-14)


def test_first_order_differs_from_maml_where_the_support_loss_is_curved(family):
    exact, first = MAML(0.1, 2), FOMAML(0.1, 2)
    meta = exact.init(family.params)
    loss, grads = exact.meta_gradients(meta, family.support, family.query, T)
    same, approximate = first.meta_gradients(meta, family.support, family.query, T)
    assert torch.equal(loss, same)
    assert max((grads[name] - approximate[name]).abs().max() for name in grads) > 1e-3


# Golden values on S_t = a_t/2 (w - c_t)^2, Q_t = 1/2 (w - q_t)^2 with w = 1, worked out by hand:
# phi_t = w - alpha a_t (w - c_t); MAML: (1 - alpha a_t)(phi_t - q_t); first order: phi_t - q_t.
CURVATURE = torch.tensor([1.0, 2.0], dtype=torch.float64)
CENTRE = torch.tensor([3.0, -1.0], dtype=torch.float64)
TARGET = torch.tensor([2.0, 0.0], dtype=torch.float64)
START = {"w": torch.tensor(1.0, dtype=torch.float64)}


def quadratic_support(params):
    return CURVATURE / 2 * (params["w"] - CENTRE).square()


def quadratic_query(params):
    return (params["w"] - TARGET).square() / 2


def test_golden_values_of_one_step():
    maml = MAML(0.25)
    phi = maml.adapt(maml.init(START), quadratic_support, 2)["w"]
    assert phi.tolist() == [1.5, 0.0]
    loss, grads = maml.meta_gradients(maml.init(START), quadratic_support, quadratic_query, 2)
    assert loss.item() == 0.0625  # (0.5^2/2 + 0)/2
    assert grads["weights.w"].item() == pytest.approx((0.75 * -0.5 + 0.5 * 0.0) / 2)
    first = FOMAML(0.25)
    _, grads = first.meta_gradients(first.init(START), quadratic_support, quadratic_query, 2)
    assert grads["weights.w"].item() == pytest.approx(-0.25)


@every
def test_adapting_without_a_graph_is_detached_and_leaves_the_input_alone(algorithm, family):
    meta = algorithm.init(family.params)
    before = {name: leaf.clone() for name, leaf in meta.items()}
    with torch.no_grad():  # a caller's no_grad must not break the inner loop
        adapted = algorithm.adapt(meta, family.support, T)
        support = (
            family.support(adapted),
            family.support(algorithm.adapt(meta, family.support, T, steps=0)),
        )
    assert not any(leaf.requires_grad for leaf in adapted.values())
    assert bool((support[0] < support[1]).all())
    assert all(torch.equal(meta[name], before[name]) for name in meta)
    assert not any(leaf.requires_grad for leaf in meta.values())


@every
def test_many_iterations_keep_no_tensor_alive(algorithm, family):
    def iterate(n):
        meta = algorithm.init(family.params)
        for _ in range(n):
            _, grads = algorithm.meta_gradients(meta, family.support, family.query, T)
            meta = {name: leaf - 0.01 * grads[name] for name, leaf in meta.items()}
        # No gc.collect(): a cycle of tensors would hold memory until one happens to run.
        return sum(issubclass(type(item), torch.Tensor) for item in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        few, many = iterate(2), iterate(20)
    finally:
        gc.enable()
    assert many <= few


@every
def test_order_of_the_support_does_not_matter(algorithm, family):
    meta = disturbed(algorithm.init(family.params))
    order = torch.tensor([4, 1, 5, 0, 2, 3])
    adapted = algorithm.adapt(meta, family.support, T)
    again = algorithm.adapt(meta, family.permuted(order), T)
    for name, leaf in adapted.items():
        torch.testing.assert_close(again[name], leaf, rtol=1e-9, atol=1e-11)


def test_operations_in_place_give_the_same_gradients(family):
    def with_relu(inplace):
        def loss(params):
            hidden = torch.nn.functional.relu(params["first"].flatten(1) * 2, inplace=inplace)
            return hidden.square().sum(dim=1)

        return loss

    maml = MAML(0.1, 2)
    meta = maml.init({"first": family.params["first"]})
    results = [maml.meta_gradients(meta, with_relu(i), with_relu(i), T)[1] for i in (False, True)]
    assert torch.equal(results[0]["weights.first"], results[1]["weights.first"])


def test_leaving_out_the_graph_of_the_last_step_would_not_be_exact(family):
    maml = MAML(0.1, 2)
    meta = maml.init(family.params)
    _, grads = maml.meta_gradients(meta, family.support, family.query, T)
    variables = leaves(family.params)
    start = MAML(0.1, 1).adapt(join_meta(variables), family.support, T, create_graph=True)
    *_, end = trajectory(start, 0.1, family.support, T, 1, create_graph=True, first_order=True)
    skipped = gradients(family.query(end).mean(), variables)
    assert max((skipped[n] - grads[f"weights.{n}"]).abs().max() for n in skipped) > 1e-3


def test_unused_parameters_stay_and_get_zero_gradients(family):
    maml = MAML(0.1, 2)
    meta = maml.init(family.params | {"idle": torch.ones(2, dtype=torch.float64)})
    adapted = maml.adapt(meta, family.support, T)
    assert torch.equal(adapted["idle"], torch.ones(T, 2, dtype=torch.float64))
    _, grads = maml.meta_gradients(meta, family.support, family.query, T)
    assert torch.equal(grads["weights.idle"], torch.zeros(2, dtype=torch.float64))


def _sinusoids(generator):
    """Support and query loss of 8 sinusoid tasks under a network of one hidden layer."""
    n_tasks = 8
    amplitude = 1 + torch.rand(n_tasks, 1, generator=generator)
    phase = 2 * math.pi * torch.rand(n_tasks, 1, generator=generator)
    x = 4 * torch.rand(n_tasks, 20, generator=generator) - 2
    y = amplitude * torch.sin(x + phase)

    def on(part):
        def loss(params):
            hidden = torch.tanh(
                x[:, part, None] * params["first"].unsqueeze(1) + params["bias"].unsqueeze(1)
            )
            output = (hidden * params["second"].unsqueeze(1)).sum(dim=-1)
            return (output - y[:, part]).square().mean(dim=1)

        return loss

    return on(slice(0, 10)), on(slice(10, 20)), n_tasks


@pytest.mark.parametrize(
    ("algorithm", "outer_rate", "gain"),
    # Reptile's direction is a difference of weights, not a gradient of a loss: its step is near 1.
    [
        (MAML(0.1, 3), 0.05, 0.4),
        (FOMAML(0.05, 3), 0.02, 0.9),
        (MetaSGD(0.02, 2), 0.05, 0.4),
        (MetaSGD(0.02, 2, granularity="tensor", per_step=True), 0.02, 0.6),
        (ANIL(0.1, 3, head="second"), 0.05, 0.4),
        (MAMLPlusPlus(0.02, 3), 0.02, 0.6),
        (Reptile(0.1, 3), 0.5, 0.4),
        (BOIL(0.1, 3, head="second"), 0.05, 0.4),
    ],
    ids=[
        *("MAML", "FOMAML", "MetaSGD", "MetaSGD-tensor-steps", "ANIL", "MAML++", "Reptile"),
        "BOIL",
    ],
)
def test_meta_training_makes_adaptation_good_on_unseen_sinusoids(algorithm, outer_rate, gain):
    generator = torch.Generator().manual_seed(0)
    start = {
        "first": 2 * torch.randn(24, generator=generator),
        "bias": torch.randn(24, generator=generator),
        "second": 0.2 * torch.randn(24, generator=generator),
    }
    meta = algorithm.init(start)
    unseen = [_sinusoids(torch.Generator().manual_seed(seed)) for seed in (101, 102, 103)]

    def judge(meta, steps=None):
        losses = [
            query(algorithm.adapt(meta, support, n, steps=steps)) for support, query, n in unseen
        ]
        return torch.cat(losses).mean().item()

    untrained = judge(meta)
    for _ in range(250):
        support, query, n = _sinusoids(generator)
        _, grads = algorithm.meta_gradients(meta, support, query, n)
        # A rate shared by many entries has a large gradient: plain descent needs the usual clipping.
        norm = torch.stack([grad.norm() for grad in grads.values()]).norm().item()
        rate = outer_rate / max(1.0, norm)
        meta = {name: leaf - rate * grads[name] for name, leaf in meta.items()}
    # Phases go round the circle: no fixed network fits all tasks, so only adaptation can be good.
    # Training the same weights jointly, without an inner loop, ends above the untrained value.
    assert judge(meta) < gain * untrained
    assert judge(meta) < 0.3 * judge(meta, steps=0)
    rates = split_meta(meta)[1]
    if rates:  # learned: they moved, and by different amounts
        moved = torch.cat([leaf.flatten() for leaf in rates.values()]) - algorithm.initial_rate
        assert moved.std() > 1e-3


@pytest.mark.parametrize("kind", [MAML, FOMAML, MetaSGD, ANIL, MAMLPlusPlus, Reptile])
@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan, True, "0.1"])
def test_bad_rates_are_refused(kind, rate):
    with pytest.raises(InvalidParameterError, match="rate' parameter of"):
        kind(rate)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_bad_steps_are_refused(steps):
    with pytest.raises(
        InvalidParameterError, match="'steps' parameter of MAML must be an int >= 1"
    ):
        MAML(0.1, steps)
    with pytest.raises(InvalidParameterError, match="beta2"):
        Reptile(0.1, beta2=1.0)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MAML(0.1).rate = 0.2


def test_wrong_losses_and_meta_parameters_are_refused(family):
    maml = MAML(0.1)
    meta = maml.init(family.params)
    with pytest.raises(InvalidParameterError, match=r"one loss per task, shape \(3,\)"):
        maml.adapt(meta, lambda params: family.support(params).mean(), T)
    with pytest.raises(InvalidParameterError, match="query_loss"):
        maml.meta_gradients(meta, family.support, lambda params: family.query(params)[:1], T)
    with pytest.raises(InvalidParameterError, match="differentiable function"):
        maml.adapt(meta, lambda params: family.support(params).detach(), T)
    with pytest.raises(InvalidParameterError, match="n_tasks"):
        maml.adapt(meta, family.support, 0)
    with pytest.raises(InvalidParameterError, match="free of learned rates"):
        maml.adapt(MetaSGD(0.1).init(family.params), family.support, T)
    with pytest.raises(InvalidParameterError, match="False with beta2"):
        Reptile(0.1, beta2=0.9).adapt(meta, family.support, T, create_graph=True)
