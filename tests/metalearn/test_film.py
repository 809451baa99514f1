import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.film import Film


def film(scale=True):
    return Film(2, 3, generator=torch.Generator().manual_seed(0), scale=scale).double()


def test_a_hand_made_modulation():
    layer = film()
    with torch.no_grad():
        layer.context.copy_(torch.tensor([1.0, 2.0]))
        layer.weight.copy_(torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0], [2, 0], [0, 3]]))
        layer.bias.copy_(torch.tensor([0, 0, 0, 1, 0, 0]))
    # gamma = (1, 2, 3), beta = (1, 2, 6)
    x = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    expected = torch.tensor([[3.0, 5.0, 10.0], [1.0, 2.0, 14.0]], dtype=torch.float64)
    torch.testing.assert_close(layer(x), expected)
    images = x.view(2, 3, 1, 1).expand(2, 3, 4, 5)
    torch.testing.assert_close(layer(images), expected.view(2, 3, 1, 1).expand(2, 3, 4, 5))


def test_without_scale_it_is_the_context_concatenated_to_the_layers_input():
    layer, linear = film(scale=False), nn.Linear(4, 3).double()
    with torch.no_grad():
        layer.context.copy_(torch.tensor([0.5, -1.0]))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    joined = torch.cat([x, layer.context.expand(5, 2)], dim=1)
    weight = torch.cat([linear.weight, layer.weight], dim=1)
    torch.testing.assert_close(layer(linear(x)), joined @ weight.T + linear.bias)


def test_an_empty_context_is_refused():
    with pytest.raises(InvalidParameterError, match="'context' parameter of Film"):
        Film(0, 3, generator=torch.Generator())
