import pytest
import torch
from torch import nn
from torch.func import functional_call

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import module_params
from automl_meta.metalearn.fold import fold, foldable
from automl_meta.metalearn.layers import BatchNorm, Chain

N_TASKS = 3


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def task_params(module):
    """Other weights for every task."""
    params = module_params(module.double()).items()
    return {name: leaf + 0.3 * normal(N_TASKS, *leaf.shape, seed=1) for name, leaf in params}


def both(module, x, reference=None):
    """Outputs folded, and of the module itself task by task."""
    params = task_params(module)
    options = {} if reference is None else {"reference": reference}
    alone = [
        functional_call(module, {name: leaf[t] for name, leaf in params.items()}, (x[t],), options)
        for t in range(N_TASKS)
    ]
    return fold(module)(params, x, reference), torch.stack(alone)


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Scaled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


IMAGE_CHAINS = {
    "convolution": [nn.Conv2d(2, 4, 3, padding=1)],
    "convolution-1x1": [nn.Conv2d(2, 4, 1, stride=2, bias=False), nn.ReLU()],
    "stride-beyond-the-kernel": [nn.Conv2d(2, 4, 2, stride=3)],
    "norm": [BatchNorm(2)],
    "norm-relu": [BatchNorm(2, eps=0.1), nn.ReLU()],
    "norm-relu-in-place": [nn.Conv2d(2, 3, 3), BatchNorm(3), nn.ReLU(inplace=True)],
    "norm-tanh": [BatchNorm(2, eps=0.1), nn.Tanh()],
    "norm-norm-relu": [BatchNorm(2), BatchNorm(2), nn.ReLU()],
    "max": [nn.MaxPool2d(2)],
    "max-options": [nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)],
    "average": [nn.AvgPool2d(2)],
    "average-options": [nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)],
    "global-average": [nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1)],
    "flatten": [nn.Flatten(), nn.Linear(2 * 5 * 6, 3)],
    "convolution-flatten": [nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3 * 3 * 4, 3)],
    "activations": [nn.LeakyReLU(0.3), nn.GELU(), nn.ELU(), nn.SiLU(), nn.Sigmoid(), nn.Identity()],
    "dropout-that-is-off": [nn.Dropout(0.5).eval(), nn.Dropout(0.0)],
    "nested": [nn.Sequential(nn.Conv2d(2, 3, 3), nn.Sequential(BatchNorm(3), nn.ReLU()))],
    "nested-norm-then-relu": [nn.Sequential(BatchNorm(2)), nn.Sequential(nn.ReLU())],
}


@pytest.mark.parametrize("layers", IMAGE_CHAINS.values(), ids=IMAGE_CHAINS)
def test_chains_on_images_equal_the_module(layers):
    module = nn.Sequential(*layers)
    assert foldable(module)
    folded, expected = both(module, normal(N_TASKS, 4, 2, 5, 6))
    assert folded.shape == expected.shape
    torch.testing.assert_close(folded, expected, rtol=1e-11, atol=1e-11)


VECTOR_CHAINS = {
    "linear": [nn.Linear(4, 3)],
    "without-bias": [nn.Linear(4, 3, bias=False), nn.ReLU()],
    "norm-relu": [nn.Linear(4, 3), BatchNorm(3), nn.ReLU(), nn.Linear(3, 2)],
    "norm": [BatchNorm(4)],
    "empty": [],
}


@pytest.mark.parametrize("layers", VECTOR_CHAINS.values(), ids=VECTOR_CHAINS)
def test_chains_on_vectors_equal_the_module(layers):
    folded, expected = both(nn.Sequential(*layers), normal(N_TASKS, 5, 4))
    torch.testing.assert_close(folded, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", [(4,), (4, 5, 6)], ids=str)
@pytest.mark.parametrize("follower", [nn.ReLU, nn.Tanh])
def test_reference_of_a_chain(follower, shape):
    x = normal(N_TASKS, 6, *shape)
    folded, expected = both(Chain(BatchNorm(4), follower()), x, reference=2)
    torch.testing.assert_close(folded, expected, rtol=1e-11, atol=1e-11)


def agrees_or_refuses(module, x):
    """A module that looks like a chain and is none may be refused, but never computed wrongly."""
    try:
        folded, expected = both(module, x)
    except InvalidParameterError:
        assert not foldable(module)
        return
    torch.testing.assert_close(folded, expected, rtol=1e-11, atol=1e-11)


def test_one_activation_used_twice():
    relu = nn.ReLU()
    agrees_or_refuses(nn.Sequential(nn.Linear(4, 4), relu, nn.Linear(4, 4), relu), normal(3, 5, 4))


def test_one_linear_layer_used_twice():
    linear = nn.Linear(4, 4)
    agrees_or_refuses(nn.Sequential(linear, nn.Tanh(), linear), normal(3, 5, 4))


def test_one_block_used_twice():
    block = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    agrees_or_refuses(nn.Sequential(block, nn.ReLU(), block), normal(3, 5, 4))


@pytest.mark.parametrize("inner", [Residual(nn.Linear(4, 4)), Scaled(4, 4)], ids=["chain", "layer"])
def test_a_subclass_with_a_forward_of_its_own(inner):
    agrees_or_refuses(nn.Sequential(inner), normal(N_TASKS, 5, 4))


@pytest.mark.parametrize("inner", [Residual(nn.Linear(4, 4)), Scaled(4, 4)], ids=["chain", "layer"])
def test_a_network_that_is_such_a_subclass(inner):
    agrees_or_refuses(inner, normal(N_TASKS, 5, 4))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4, 4)], (2, 4, 4)),
        ([nn.Linear(4, 4)], (4, 4, 4)),
        ([BatchNorm(4)], (4, 4)),
    ],
    ids=["linear-after-convolution", "linear-on-images", "norm-on-series"],
)
def test_layers_whose_axis_is_another_on_these_inputs(layers, shape):
    # Between folded layers the last axis is the channels', in PyTorch it is the width or the length.
    module = nn.Sequential(*layers)
    x = normal(N_TASKS, 5, *shape)
    try:
        folded, expected = both(module, x)
    except InvalidParameterError:  # seen by the shapes: an error is as good as the right numbers
        return
    torch.testing.assert_close(folded, expected, rtol=1e-11, atol=1e-11)


REFUSED = {
    "groups": nn.Conv2d(2, 2, 3, groups=2),
    "dilation": nn.Conv2d(2, 2, 3, dilation=2),
    "rectangle": nn.Conv2d(2, 2, (3, 1)),
    "two-strides": nn.Conv2d(2, 2, 3, stride=(1, 2)),
    "two-paddings": nn.Conv2d(2, 2, 3, padding=(0, 1)),
    "padding-by-name": nn.Conv2d(2, 2, 3, padding="same"),
    "padding-mode": nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
    "flatten-some": nn.Flatten(2),
    "average-to-a-grid": nn.AdaptiveAvgPool2d(2),
    "average-to-rows": nn.AdaptiveAvgPool2d((1, None)),
    "dropout": nn.Dropout(0.5),
    "pytorchs-norm": nn.BatchNorm2d(2, track_running_stats=False),
    "layer-norm": nn.LayerNorm(4),
    "softmax": nn.Softmax(1),
    "recurrent": nn.LSTM(2, 2),
    "another-container": nn.ModuleList(),
}


@pytest.mark.parametrize("layer", REFUSED.values(), ids=REFUSED)
def test_layers_without_a_folded_form_are_refused_by_name(layer):
    module = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Identity(), nn.Identity(), layer))
    assert not foldable(module)
    with pytest.raises(InvalidParameterError, match=f"Got \"{type(layer).__name__} at '1.2'\""):
        fold(module)


def test_a_module_that_is_no_chain_is_refused():
    assert not foldable(nn.Linear(2, 2))
    with pytest.raises(
        InvalidParameterError, match=r"Linear at 'the network'.*vectorized or looped"
    ):
        fold(nn.Linear(2, 2))
