import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from automl_meta.metalearn.norm import norm_relu

EPS = 1e-5


def draw(n_tasks=2, size=5, channels=2, mean=0.0, seed=1):
    """Inputs whose outputs keep away from the ReLU's kink by much more than a difference quotient's step."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = mean + normal(n_tasks, size, channels)
    weight, bias = 1 + 0.3 * normal(n_tasks, channels), 0.3 * normal(n_tasks, channels)
    return tuple(leaf.requires_grad_() for leaf in (x, weight, bias))


def run(x, weight, bias):
    return norm_relu(x, weight, bias, EPS)


def elementary(x, weight, bias):
    """The same in operations that PyTorch differentiates to any order."""
    centred = x - x.mean(1, keepdim=True)
    normal = centred * (centred.square().mean(1, keepdim=True) + EPS).rsqrt()
    return (normal * weight.unsqueeze(1) + bias.unsqueeze(1)).relu()


def derivatives(function, inputs):
    """Value, gradient, and gradient of a mixture of the gradient's squares."""
    outputs = function(*inputs)
    weights = torch.linspace(-1, 2, outputs[0].numel(), dtype=torch.float64).to(outputs)
    loss = (weights.view(outputs.shape[1:]) * outputs + outputs.square()).sum()
    first = torch.autograd.grad(loss, inputs, create_graph=True)
    second = torch.autograd.grad(sum(leaf.square().sum() for leaf in first), inputs)
    return outputs, *first, *second


def gap(ours, exact):
    return ((ours.double() - exact).norm() / exact.norm()).item()


def test_equals_batch_norm_and_relu_of_every_task():
    inputs = draw(3, 12, 4)
    expected = torch.stack(
        [
            functional.batch_norm(x, None, None, w, b, training=True, eps=EPS).relu()
            for x, w, b in zip(*inputs, strict=True)
        ]
    )
    torch.testing.assert_close(run(*inputs), expected, rtol=1e-12, atol=1e-12)


def test_first_and_second_derivatives_equal_finite_differences():
    inputs = draw()
    assert elementary(*inputs).count_nonzero().item() in range(5, 16)  # both sides of the ReLU
    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 3), (3, 300, 7), (1, 1000, 1)], ids=str)
def test_derivatives_equal_those_of_elementary_operations(shape):
    inputs = draw(*shape)
    for ours, exact in zip(derivatives(run, inputs), derivatives(elementary, inputs), strict=True):
        torch.testing.assert_close(
            ours, exact, rtol=1e-9, atol=1e-10 * max(1.0, exact.abs().max().item())
        )


@pytest.mark.parametrize("wanted", [0, 1, 2], ids=["x", "weight", "bias"])
def test_second_derivatives_where_only_one_input_is_variable(wanted):
    inputs = [leaf.detach() for leaf in draw()]
    inputs[wanted].requires_grad_()
    assert gradgradcheck(run, inputs)


def test_layout_of_the_inputs_does_not_matter():
    # A copy made and saved inside the operation would cut the second derivative off its input.
    x, weight, bias = draw(2, 6, 3)

    def strided(x, weight, bias):
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
        assert not x.is_contiguous()
        return run(x, weight[:1].expand(2, -1), bias.t().contiguous().t())

    def plain(x, weight, bias):
        return elementary(x, torch.cat([weight[:1], weight[:1]]), bias)

    inputs = (x, weight, bias)
    for ours, exact in zip(derivatives(strided, inputs), derivatives(plain, inputs), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-10, atol=1e-10)


def test_a_chain_of_two_keeps_its_second_derivative():
    inputs = draw(2, 6, 3)

    def twice(function):
        return lambda x, w, b: function(function(x, w, b) * 1.5 + x, w, b)

    for ours, exact in zip(
        derivatives(twice(run), inputs), derivatives(twice(elementary), inputs), strict=True
    ):
        torch.testing.assert_close(ours, exact, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("wanted", [0, 1, 2], ids=["x", "weight", "bias"])
def test_a_third_derivative_raises(wanted):
    # torch.autograd.grad follows only what leads to the leaf: an error that does not lie on that way is passed
    # by, and the rest of the derivative is returned as if it were the whole.
    inputs = draw()
    leaf = inputs[wanted]
    value = run(*inputs).pow(3).sum()
    for _ in range(2):
        (gradient,) = torch.autograd.grad(value, leaf, create_graph=True)
        value = gradient.square().sum()
    with pytest.raises(RuntimeError, match="differentia"):
        torch.autograd.grad(value, leaf, retain_graph=True)
    with pytest.raises(RuntimeError, match="differentia"):
        value.backward()


def test_a_third_derivative_through_the_gradient_alone_raises():
    x, weight, bias = draw()
    # Of a later layer: it reaches the gradient and none of the inputs.
    factor = torch.ones_like(x).requires_grad_()
    value = (run(x, weight, bias) * factor).sum()
    (first,) = torch.autograd.grad(value, x, create_graph=True)
    (second,) = torch.autograd.grad(first[:, 0].sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentia"):
        torch.autograd.grad(second.exp().sum(), factor, allow_unused=True)


@pytest.mark.parametrize("mean", [0.0, 30.0, 1e3])
def test_single_precision_far_from_zero(mean):
    # The rounding of x * scale grows with the mean: relative error near mean / std * 2^-24, no more.
    inputs = draw(2, 400, 3, mean)
    with torch.no_grad():  # away from the ReLU's kink, where rounding decides on the whole gradient
        inputs[0].add_(0.5 * (inputs[0] - mean).sign())
        inputs[2].mul_(0.2)
        assert elementary(*inputs)[elementary(*inputs) > 0].min() > 0.05
    single = tuple(leaf.detach().float().requires_grad_() for leaf in inputs)
    rounded = tuple(leaf.detach().double().requires_grad_() for leaf in single)
    bound = 2e-6 + 4 * mean * 2**-24
    names = ("y", "dx", "dw", "db", "ddx", "ddw", "ddb")
    for name, ours, exact in zip(
        names, derivatives(run, single), derivatives(elementary, rounded), strict=True
    ):
        assert gap(ours, exact) < bound, name


def test_constant_and_dead_channels_have_finite_derivatives():
    x, weight, bias = draw(1, 6, 3)
    with torch.no_grad():
        x[:, :, 0] = 2.0  # no variance
        bias[:, 1] = -50.0  # never passes the ReLU
    outputs, *rest = derivatives(run, (x, weight, bias))
    torch.testing.assert_close(outputs[0, :, 0], bias[0, 0].relu().expand(6))
    assert all(leaf.isfinite().all() for leaf in rest)
    dx, dw, db = rest[:3]
    assert not any(leaf[..., 1].any() for leaf in (dx, dw, db))


def test_inputs_are_not_written_to():
    inputs = draw()
    before = [leaf.detach().clone() for leaf in inputs]
    derivatives(run, inputs)
    assert all(torch.equal(leaf, copy) for leaf, copy in zip(inputs, before, strict=True))


def test_tasks_do_not_mix():
    x, weight, bias = (leaf.detach() for leaf in draw(3))
    before = run(x, weight, bias)
    x = x.clone()
    x[1, 0] += 1
    changed = (run(x, weight, bias) - before).abs().amax((1, 2))
    assert (changed > 1e-3).tolist() == [False, True, False]
