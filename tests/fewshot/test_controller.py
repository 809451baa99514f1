import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.controller import MANNSizes, follow


def test_the_controller_is_an_lstm():
    """Without a memory to speak of, the hidden states are those of PyTorch's cell."""
    sizes = MANNSizes(units=5, slots=1, width=1, heads=1)
    weights = {name: leaf.double() for name, leaf in sizes.weights(4, 3, torch.Generator()).items()}
    weights["back.weight"][:, 5:] = 0.0  # what is read does not come back
    cell = nn.LSTMCell(7, 5).double()
    # PyTorch's gates are in the order input, forget, cell, output; ours has the cell last.
    rows = torch.cat([torch.arange(10), torch.arange(15, 20), torch.arange(10, 15)])
    state = {
        "weight_ih": weights["input.weight"][rows],
        "weight_hh": weights["back.weight"][rows, :5],
        "bias_ih": weights["input.bias"][rows],
        "bias_hh": torch.zeros(20).double(),
    }
    cell.load_state_dict(state)
    generator = torch.Generator().manual_seed(0)
    items = torch.randn(3, 12, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (3, 12), generator=generator)
    _, ours = follow(weights, items, labels, sizes)
    hidden, carry = torch.zeros(2, 3, 5).double()
    for t in range(items.shape[1]):
        told = nn.functional.one_hot(labels[:, t - 1], 3) if t else torch.zeros(3, 3)
        hidden, carry = cell(torch.cat([items[:, t], told.double()], dim=1), (hidden, carry))
    torch.testing.assert_close(ours.hidden, hidden)
    torch.testing.assert_close(ours.cell, carry)


def test_initial_weights_have_the_sizes_asked_for_and_open_forget_gates():
    sizes = MANNSizes(units=6, slots=7, width=3, heads=2)
    weights = sizes.weights(4, 5, torch.Generator().manual_seed(0))
    shapes = {name: tuple(leaf.shape) for name, leaf in weights.items()}
    assert shapes == {
        "input.weight": (24, 9),
        "input.bias": (24,),
        "back.weight": (24, 12),
        "heads.weight": (8, 6),
        "heads.bias": (8,),
        "output.weight": (5, 12),
        "output.bias": (5,),
    }
    assert weights["input.bias"].tolist() == [0.0] * 6 + [1.0] * 6 + [0.0] * 12


def test_sizes_that_make_no_sense_are_refused():
    with pytest.raises(InvalidParameterError, match=r"'slots'.*int >= 4"):
        MANNSizes(slots=3)
    with pytest.raises(InvalidParameterError, match=r"'units'.*int >= 1"):
        MANNSizes(units=0)
    with pytest.raises(InvalidParameterError, match=r"'decay'.*from 0 to 1"):
        MANNSizes(decay=1.5)
    with pytest.raises(InvalidParameterError, match=r"'sharpness'.*> 0"):
        MANNSizes(sharpness=0.0)
