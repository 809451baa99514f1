"""A long short-term memory whose weights come from a generator and may be handed in.

``torch.nn.LSTM`` keeps a flat copy of its parameters, which ``torch.func.functional_call`` does not replace.

| symbol | meaning |
|---|---|
| B | items at once |
| d | length of an input |
| R | length of what comes back from the step before |
| H | units: length of output and cell |
"""

import torch
from torch import Tensor, nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.initial import drawn_linear


class LSTMCell(nn.Module):
    """One step of a long short-term memory.

    ``i, f, o = sigmoid(U x + V h + b)``, ``c' = f * c + i * tanh(U' x + V' h + b')``, ``h' = o * tanh(c')``.

    Args:
        inputs: d >= 1.
        units: H >= 1.
        generator: Source of the initial weights.
        recurrent: R >= 1, where more than the output comes back; None for H.

    Raises:
        InvalidParameterError: If a number is below 1.

    Reference:
        Zaremba, Sutskever and Vinyals (2014), Recurrent Neural Network Regularization, section 3.1. arXiv:1409.2329

    Example:
        >>> cell = LSTMCell(3, 4, generator=torch.Generator())
        >>> output, memory = cell(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2, 4))
        >>> output.shape, memory.shape
        (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        generator: torch.Generator,
        recurrent: int | None = None,
    ) -> None:
        super().__init__()
        back = units if recurrent is None else recurrent
        for name, size in (("inputs", inputs), ("units", units), ("recurrent", back)):
            if size < 1:
                raise InvalidParameterError.of(name, "LSTMCell", "an int >= 1", size, "Try 64.")
        self.units = units
        self.input = drawn_linear(inputs, 4 * units, generator=generator)
        self.recurrent = drawn_linear(back, 4 * units, generator=generator, bias=False)

    def forward(self, x: Tensor, back: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Do a step.

        Args:
            x: Inputs, shape [B, d].
            back: What comes back from the step before, shape [B, R].
            memory: Cells, shape [B, H].

        Returns:
            Outputs and cells, each of shape [B, H].
        """
        write, keep, show, new = (self.input(x) + self.recurrent(back)).chunk(4, dim=-1)
        memory = torch.sigmoid(keep) * memory + torch.sigmoid(write) * torch.tanh(new)
        return torch.sigmoid(show) * torch.tanh(memory), memory
