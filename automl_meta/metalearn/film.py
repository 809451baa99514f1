"""A layer that a task moves by its context: features scaled and shifted by what a few numbers say."""

import torch
from torch import Tensor, nn

from automl_meta.exceptions import InvalidParameterError


class Film(nn.Module):
    r"""Feature-wise linear modulation by a context vector.

    .. math:: y = (1 + \gamma) \odot x + \beta, \quad (\gamma, \beta) = W \phi + b

    With phi = 0 and b = 0 it changes nothing. Without the scale, right after a linear layer, it is that layer
    with phi concatenated to its input.

    Args:
        context: Numbers of phi, >= 1.
        features: Channels C >= 1.
        generator: Source of W, drawn uniformly within ``1 / sqrt(context)`` as a linear layer's; phi and b are 0.
        scale: Whether there is a gamma.

    Raises:
        InvalidParameterError: If a number breaks its rule.

    Reference:
        Perez, Strub, de Vries, Dumoulin and Courville (2018), FiLM: Visual Reasoning with a General Conditioning
        Layer, equations 1 and 2. arXiv:1709.07871. With a context that adapts: Zintgraf et al. (2019), section 3.2.
        arXiv:1810.03642

    Example:
        >>> layer = Film(2, 3, generator=torch.Generator().manual_seed(0))
        >>> layer(torch.ones(1, 3))
        tensor([[1., 1., 1.]], grad_fn=<AddBackward0>)
    """

    def __init__(
        self, context: int, features: int, *, generator: torch.Generator, scale: bool = True
    ) -> None:
        super().__init__()
        for name, value in (("context", context), ("features", features)):
            if value < 1:
                raise InvalidParameterError.of(name, "Film", "an int >= 1", value, "Try 5.")
        self.scale = scale
        rows = features * (2 if scale else 1)
        bound = context**-0.5
        drawn = torch.empty(rows, context).uniform_(-bound, bound, generator=generator)
        self.context = nn.Parameter(torch.zeros(context))
        self.weight = nn.Parameter(drawn)
        self.bias = nn.Parameter(torch.zeros(rows))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift.

        Args:
            x: [B, C] or [B, C, H, W].

        Returns:
            The same shape.
        """
        said = self.weight @ self.context + self.bias
        parts = said.view(-1, *[1] * (x.ndim - 2)).chunk(2 if self.scale else 1)
        return modulated(x, *parts)


def modulated(x: Tensor, *said: Tensor) -> Tensor:
    """Apply gamma and beta, or beta alone.

    Args:
        x: Any shape.
        *said: gamma and beta, or beta, of shapes that broadcast to it.

    Example:
        >>> modulated(torch.tensor([2.0]), torch.tensor([0.5]), torch.tensor([1.0]))
        tensor([4.])
    """
    *gamma, beta = said
    return x * (1 + gamma[0]) + beta if gamma else x + beta
