"""Layers that are right under second-order differentiation, in a loop, under ``vmap`` and folded."""

import torch
from torch import Tensor, nn

from automl_meta.exceptions import InvalidParameterError


class BatchNorm(nn.Module):
    """Batch normalisation by the statistics of the current batch, without running averages.

    ``y = weight * (x - mean) / sqrt(var + eps) + bias`` for each channel, mean and (biased) variance over the
    batch and all positions, written out in elementary operations: PyTorch's own gives silently wrong
    second-order gradients under ``torch.func.vmap`` when it is affine.

    Args:
        features: Channels C >= 1.
        eps: Added to the variance, > 0.

    Reference:
        Ioffe and Szegedy (2015), Batch Normalization, algorithm 1. arXiv:1502.03167

    Example:
        >>> BatchNorm(1)(torch.tensor([[0.0], [2.0]])).round()
        tensor([[-1.],
                [ 1.]], grad_fn=<RoundBackward0>)
    """

    def __init__(self, features: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        if features < 1:
            rule, remedy = "an int >= 1", "Give the number of channels."
            raise InvalidParameterError.of("features", "BatchNorm", rule, features, remedy)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, reference: int | None = None) -> Tensor:
        """Normalise.

        Args:
            x: [B, C] or [B, C, H, W].
            reference: Take the statistics of the first R items only; None for all.

        Returns:
            The same shape.
        """
        x = x.to(self.weight.dtype)  # never in autocast's bfloat16: sums of thousands of squares
        source = x if reference is None else x[:reference]
        axes = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        mean = source.mean(axes).view(shape)
        centred = source - mean
        inverse = (centred * centred).mean(axes).view(shape).add(self.eps).rsqrt()
        return (x - mean) * (inverse * self.weight.view(shape)) + self.bias.view(shape)


class Chain(nn.Sequential):
    """``nn.Sequential`` that hands ``reference`` to its batch normalisations.

    Example:
        >>> Chain(nn.Identity(), BatchNorm(1))(torch.tensor([[0.0], [2.0], [5.0]]), reference=2).shape
        torch.Size([3, 1])
    """

    def forward(self, input: Tensor, reference: int | None = None) -> Tensor:  # noqa: A002 - torch's name
        """Run the modules in order.

        Args:
            input: [B, ...].
            reference: The first R items give the batch-norm statistics; None for all.
        """
        for module in self:
            aware = isinstance(module, BatchNorm | Chain)
            input = module(input, reference) if aware else module(input)  # noqa: A001
        return input


def check_reference(module: nn.Module, reference: int | None, where: str) -> None:
    """Refuse a reference that a module would not hand to its normalisation.

    Args:
        module: What runs.
        reference: R or None.
        where: Who asks, for the message.

    Raises:
        InvalidParameterError: If the reference is below 1, or the module is no ``Chain``, or holds a
            normalisation that is in no chain.

    Example:
        >>> check_reference(Chain(), 5, "looped")
    """
    if reference is None:
        return
    if reference < 1:
        rule, remedy = "None or an int >= 1", "Give the support's size."
        raise InvalidParameterError.of("reference", where, rule, reference, remedy)
    if not isinstance(module, Chain) or _loses_reference(module):
        raise InvalidParameterError.of(
            "reference",
            where,
            "None for a module that is no Chain of layers and Chains, which alone hand it to batch normalisation",
            reference,
            "Build the network from automl_meta.metalearn.Chain, or use transductive=True.",
        )


def _loses_reference(module: nn.Module) -> bool:
    if isinstance(module, Chain):
        return any(_loses_reference(child) for child in module)
    return not isinstance(module, BatchNorm) and any(
        isinstance(child, BatchNorm) for child in module.modules()
    )
