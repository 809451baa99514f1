import math

import pytest
import torch
from torch import nn

from automl_meta.metalearn.initial import drawn_linear, undrawn


def seeded():
    return torch.Generator().manual_seed(0)


def test_weights_fill_glorots_bounds():
    for taps in (1, 2):
        weight = drawn_linear(300, 100, generator=seeded(), taps=taps).weight
        bound = math.sqrt(6 / (taps * 400))
        assert weight.abs().max().item() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
        assert abs(weight.mean().item()) < 0.01 * bound


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    layer = undrawn(nn.Conv2d, 1, 2, 3, bias=False)
    first = drawn_linear(3, 2, generator=seeded())
    second = drawn_linear(3, 2, generator=seeded(), bias=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert tuple(layer.weight.shape) == (2, 1, 3, 3)
    assert torch.equal(first.weight, second.weight)
    assert first.bias.tolist() == [0.0, 0.0]
    assert second.bias is None
