import math

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.recurrent import LSTMCell


def seeded():
    return torch.Generator().manual_seed(0)


def column(*values):
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def test_a_step_by_hand():
    cell = LSTMCell(1, 1, generator=seeded()).double()
    cell.input.weight.data.copy_(column(1.0, 2.0, 3.0, 4.0))
    cell.input.bias.data.copy_(column(0.1, 0.2, 0.3, 0.4).flatten())
    cell.recurrent.weight.data.copy_(column(-1.0, 0.5, 1.0, -2.0))
    x, back, memory = (column(value) for value in (0.3, 0.6, -0.8))

    def sigmoid(z):
        return 1 / (1 + math.exp(-z))

    write, keep, show, new = 0.1 + 0.3 - 0.6, 0.2 + 0.6 + 0.3, 0.3 + 0.9 + 0.6, 0.4 + 1.2 - 1.2
    after = sigmoid(keep) * -0.8 + sigmoid(write) * math.tanh(new)
    output, cells = cell(x, back, memory)
    assert cells.item() == pytest.approx(after, rel=1e-14)
    assert output.item() == pytest.approx(sigmoid(show) * math.tanh(after), rel=1e-14)


def test_it_is_torchs_cell():
    ours, theirs = LSTMCell(3, 4, generator=seeded()), torch.nn.LSTMCell(3, 4, bias=False)
    write, keep, show, new = range(4)
    torchs_order = [write, keep, new, show]
    for mine, name in ((ours.input, "weight_ih"), (ours.recurrent, "weight_hh")):
        parts = mine.weight.data.chunk(4)
        getattr(theirs, name).data.copy_(torch.cat([parts[i] for i in torchs_order]))
    x, h, c = (torch.randn(5, n, generator=seeded()) for n in (3, 4, 4))
    for mine, other in zip(ours(x, h, c), theirs(x, (h, c)), strict=True):
        torch.testing.assert_close(mine, other)


def test_sizes_below_one_are_refused():
    with pytest.raises(InvalidParameterError, match="'recurrent' parameter of LSTMCell"):
        LSTMCell(3, 4, generator=seeded(), recurrent=0)
