"""Both forms of a task-batched convolution against PyTorch's own, to third order."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from automl_meta.metalearn.convolution import (
    _is_worth_a_kernel,
    arranged,
    convolve,
    convolve_tasks,
)
from automl_meta.metalearn.patches import convolve_patches

FORMS = {"patches": convolve_patches, "tasks": convolve_tasks}
both = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)

# kernel, stride, padding, height, width, channels: strides and paddings, odd and even, rows left over or not.
GEOMETRIES = [
    (kernel, stride, padding, height, width, channels)
    for kernel, height, width in ((1, 3, 4), (3, 7, 7), (3, 6, 5), (5, 5, 8))
    for stride in (1, 2)
    for padding in (0, 1, 2)
    for channels in (1, 3)
] + [(2, 3, 0, 7, 9, 2), (3, 4, 1, 8, 8, 2), (3, 2, 1, 1, 1, 2), (3, 1, 1, 1, 4, 1)]
TINY = [
    (1, 2, 1, 2, 3, 2),
    (3, 1, 1, 2, 3, 1),
    (3, 2, 1, 4, 3, 2),
    (3, 2, 0, 4, 3, 1),
    (5, 2, 2, 3, 2, 1),
]


def draw(geometry, n_tasks=2, n_images=2, filters=3):
    kernel, _, _, height, width, channels = geometry
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return drawn.requires_grad_()

    return (
        normal(n_tasks, n_images, height, width, channels),
        normal(n_tasks, filters, channels, kernel, kernel),
    )


def reference(images, weights, stride, padding):
    """PyTorch's own convolution, task by task."""
    pairs = zip(images.movedim(-1, 2), weights, strict=True)
    outputs = [functional.conv2d(x, w, stride=stride, padding=padding) for x, w in pairs]
    return torch.stack(outputs).movedim(2, -1)


def derivatives(function, images, weights):
    """Value, gradient, and gradient of the gradient's squares."""
    outputs = function(images, weights)
    first = torch.autograd.grad(outputs.pow(3).sum(), (images, weights), create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), (images, weights))
    return outputs, *first, *second


@both
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_equals_conv2d_of_every_task_to_second_order(form, geometry):
    _, stride, padding, *_ = geometry
    images, weights = draw(geometry)
    ours = derivatives(lambda x, w: form(x, w, stride, padding), images, weights)
    theirs = derivatives(lambda x, w: reference(x, w, stride, padding), images, weights)
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.shape == expected.shape
        scale = expected.abs().max().item()
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12 * max(scale, 1e-3))


@both
@pytest.mark.parametrize("geometry", TINY, ids=str)
def test_derivatives_of_three_orders_equal_finite_differences(form, geometry):
    _, stride, padding, *_ = geometry
    inputs = draw(geometry, n_images=1, filters=1)

    def run(images, weights):
        return form(images, weights, stride, padding)

    def gradient(images, weights):
        return torch.autograd.grad(
            run(images, weights).pow(3).sum(), (images, weights), create_graph=True
        )

    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)
    assert gradgradcheck(gradient, inputs, fast_mode=True)


@both
def test_every_task_has_its_own_weights(form):
    images, weights = (leaf.detach() for leaf in draw((3, 1, 1, 4, 4, 2), n_tasks=3))
    before = form(images, weights, 1, 1)
    weights = weights.clone()
    weights[1] += 1
    changed = (form(images, weights, 1, 1) - before).abs().amax((1, 2, 3, 4))
    assert (changed > 1e-3).tolist() == [False, True, False]


@both
@pytest.mark.parametrize("stride", [1, 2])
def test_layout_of_the_inputs_does_not_matter(form, stride):
    images, weights = draw((3, stride, 1, 5, 6, 3))

    def strided(x, w):
        # Channels-first memory, and weights that many tasks share.
        x = x.movedim(-1, 2).contiguous().movedim(2, -1)
        assert not x.is_contiguous()
        return form(x, w[:1].expand(2, -1, -1, -1, -1), stride, 1)

    def plain(x, w):
        return form(x, torch.cat([w[:1], w[:1]]), stride, 1)

    for mine, expected in zip(
        derivatives(strided, images, weights), derivatives(plain, images, weights), strict=True
    ):
        torch.testing.assert_close(mine, expected, rtol=1e-11, atol=1e-11)


@both
def test_images_of_one_pixel_kernels_are_not_written_to(form):
    # Patches of a 1x1 kernel may be a view of the images.
    images, weights = (leaf.detach() for leaf in draw((1, 1, 0, 3, 3, 2)))
    before = images.clone()
    form(images, weights, 1, 0).add_(1.0).relu_()
    assert torch.equal(images, before)


@both
@pytest.mark.parametrize("wanted", [0, 1], ids=["images", "weights"])
def test_either_input_may_be_constant(form, wanted):
    inputs = list(draw((3, 2, 1, 4, 4, 2)))

    def first_and_second():
        inner = torch.autograd.grad(
            form(*inputs, 2, 1).pow(3).sum(), inputs[wanted], create_graph=True
        )
        return *inner, *torch.autograd.grad(inner[0].square().sum(), inputs[wanted])

    together = first_and_second()
    inputs[1 - wanted] = inputs[1 - wanted].detach()
    torch.testing.assert_close(first_and_second(), together)


@both
@pytest.mark.parametrize("wanted", [0, 1], ids=["images", "weights"])
def test_the_gradient_of_one_input_alone_can_be_differentiated(form, wanted):
    inputs = draw((3, 2, 1, 4, 4, 2))
    expected = torch.autograd.grad(
        torch.autograd.grad(reference(*inputs, 2, 1).pow(3).sum(), inputs, create_graph=True)[
            wanted
        ].sum(),
        inputs,
    )
    found = torch.autograd.grad(form(*inputs, 2, 1).pow(3).sum(), inputs, create_graph=True)[wanted]
    torch.testing.assert_close(torch.autograd.grad(found.sum(), inputs), expected)


@both
def test_single_precision_is_as_accurate_as_pytorchs(form):
    geometry = (3, 1, 1, 10, 10, 16)
    images, weights = (leaf.detach() for leaf in draw(geometry))
    exact = reference(images, weights, 1, 1)
    error = (form(images.float(), weights.float(), 1, 1) - exact).norm() / exact.norm()
    assert error < 1e-6


@both
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "geometry", [(3, 2, 1, 14, 14, 16), (3, 1, 1, 7, 7, 16), (3, 2, 1, 28, 28, 1)]
)
def test_derivatives_in_single_precision(form, geometry, shared):
    # The kernels that training uses know float32 only; float64 takes others.
    _, stride, padding, *_ = geometry
    exact = draw(geometry, n_images=5, filters=16)

    def run(x, w):
        return form(x, w[:1].expand_as(w) if shared else w, stride, padding)

    single = [leaf.detach().float().requires_grad_() for leaf in exact]
    for found, expected in zip(derivatives(run, *single), derivatives(run, *exact), strict=True):
        assert (found - expected).norm() / expected.norm() < 5e-6


def test_autocast_on_a_processor_takes_patches():
    images, weights = torch.rand(1, 75, 14, 14, 64), torch.rand(1, 64, 64, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not _is_worth_a_kernel(images, weights, 2)
        outputs = convolve(images, weights, 2, 1)
    exact = convolve(images, weights, 2, 1)
    assert (outputs - exact).norm() / exact.norm() < 0.02


def test_large_layers_of_a_processor_run_task_by_task_and_the_rest_as_patches():
    def large(channels=64, wanted=False, **options):
        images = torch.zeros(1, 75, 28, 28, channels, **options)
        images.requires_grad_(wanted)
        return _is_worth_a_kernel(images, torch.zeros(1, 64, channels, 3, 3, **options), 2)

    assert large()
    assert large(wanted=True)
    assert not large(channels=1, wanted=True)
    assert large(channels=1)  # data, whose gradient nobody wants
    assert not large(dtype=torch.float64)
    assert not large(device="meta")
    images, weights = torch.rand(2, 25, 14, 14, 16), torch.rand(2, 64, 16, 3, 3)
    assert _is_worth_a_kernel(images, weights, 1)
    torch.testing.assert_close(
        convolve(images, weights, 1, 1), convolve_patches(images, weights, 1, 1)
    )


def test_arranged_weights_keep_their_values_and_are_no_copy_where_they_lie_right():
    weights = torch.rand(8, 4, 3, 3)
    found = arranged(weights)
    assert torch.equal(found, weights)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert arranged(found) is found
    vector = torch.rand(3)
    assert arranged(vector) is vector


def test_an_inner_loop_keeps_the_layout_of_arranged_weights():
    images, weights = torch.rand(2, 30, 14, 14, 16), arranged(torch.rand(64, 16, 3, 3))
    start = weights.expand(2, *weights.shape).requires_grad_()
    for form in (convolve_patches, convolve_tasks):
        loss = form(images, start, 2, 1).square().sum()
        (gradient,) = torch.autograd.grad(loss, start)
        assert (start - 0.1 * gradient)[0].is_contiguous(memory_format=torch.channels_last)
