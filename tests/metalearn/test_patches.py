import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from automl_meta.metalearn.patches import convolve

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


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_equals_conv2d_of_every_task_to_second_order(geometry):
    _, stride, padding, *_ = geometry
    images, weights = draw(geometry)
    ours = derivatives(lambda x, w: convolve(x, w, stride, padding), images, weights)
    theirs = derivatives(lambda x, w: reference(x, w, stride, padding), images, weights)
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.shape == expected.shape
        scale = expected.abs().max().item()
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12 * max(scale, 1e-3))


@pytest.mark.parametrize("geometry", TINY, ids=str)
def test_derivatives_of_three_orders_equal_finite_differences(geometry):
    _, stride, padding, *_ = geometry
    inputs = draw(geometry, n_images=1, filters=1)

    def run(images, weights):
        return convolve(images, weights, stride, padding)

    def gradient(images, weights):
        return torch.autograd.grad(
            run(images, weights).pow(3).sum(), (images, weights), create_graph=True
        )

    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)
    assert gradgradcheck(gradient, inputs, fast_mode=True)


def test_every_task_has_its_own_weights():
    images, weights = (leaf.detach() for leaf in draw((3, 1, 1, 4, 4, 2), n_tasks=3))
    before = convolve(images, weights, 1, 1)
    weights = weights.clone()
    weights[1] += 1
    changed = (convolve(images, weights, 1, 1) - before).abs().amax((1, 2, 3, 4))
    assert (changed > 1e-3).tolist() == [False, True, False]


@pytest.mark.parametrize("stride", [1, 2])
def test_layout_of_the_inputs_does_not_matter(stride):
    images, weights = draw((3, stride, 1, 5, 6, 3))

    def strided(x, w):
        # Channels-first memory, and weights that many tasks share.
        x = x.movedim(-1, 2).contiguous().movedim(2, -1)
        assert not x.is_contiguous()
        return convolve(x, w[:1].expand(2, -1, -1, -1, -1), stride, 1)

    def plain(x, w):
        return convolve(x, torch.cat([w[:1], w[:1]]), stride, 1)

    for mine, expected in zip(
        derivatives(strided, images, weights), derivatives(plain, images, weights), strict=True
    ):
        torch.testing.assert_close(mine, expected, rtol=1e-11, atol=1e-11)


def test_images_of_one_pixel_kernels_are_not_written_to():
    # Patches of a 1x1 kernel may be a view of the images.
    images, weights = (leaf.detach() for leaf in draw((1, 1, 0, 3, 3, 2)))
    before = images.clone()
    convolve(images, weights, 1, 0).add_(1.0).relu_()
    assert torch.equal(images, before)


@pytest.mark.parametrize("wanted", [0, 1], ids=["images", "weights"])
def test_either_input_may_be_constant(wanted):
    inputs = list(draw((3, 2, 1, 4, 4, 2)))
    together = torch.autograd.grad(convolve(*inputs, 2, 1).square().sum(), inputs[wanted])
    inputs[1 - wanted] = inputs[1 - wanted].detach()
    alone = torch.autograd.grad(convolve(*inputs, 2, 1).square().sum(), inputs[wanted])
    torch.testing.assert_close(alone, together)


def test_single_precision_is_as_accurate_as_pytorchs():
    geometry = (3, 1, 1, 10, 10, 16)
    images, weights = (leaf.detach() for leaf in draw(geometry))
    exact = reference(images, weights, 1, 1)
    error = (convolve(images.float(), weights.float(), 1, 1) - exact).norm() / exact.norm()
    assert error < 1e-6
