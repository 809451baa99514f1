"""Fast weights: a task's own, made from the gradients of its losses, beside the slow ones that all tasks share.

A weight matrix has the bias as its last column; what it multiplies gets a one at its end.

| symbol | meaning |
|---|---|
| T | tasks of a meta-batch |
| S, B | support and query items of a task |
| N | classes |
| d, k | length of an input, units of a layer |
| P | coordinates of a gradient: its entries, whatever their layer |
"""

import math

import torch
from torch import Tensor
from torch.nn import functional


def with_one(x: Tensor) -> Tensor:
    """Append a one to each vector, for the bias.

    Args:
        x: Shape [..., d].

    Returns:
        Shape [..., d + 1].

    Example:
        >>> with_one(torch.tensor([[3.0, 4.0]]))
        tensor([[3., 4., 1.]])
    """
    return functional.pad(x, (0, 1), value=1.0)


def item_gradients(
    x: Tensor, labels: Tensor, hidden: Tensor, output: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients of each item's own cross-entropy in a network of two layers.

    The network is ``output @ relu(hidden @ x)``. With the error ``e = softmax(logits) - onehot(label)`` the
    gradients are ``e relu(z)'`` for the output and ``(output' e * [z > 0]) x'`` for the hidden layer.

    Args:
        x: Shape [T, S, d].
        labels: Classes 0 to N-1, int64, shape [T, S].
        hidden: Weights and bias, shape [k, d + 1].
        output: Weights and bias, shape [N, k + 1].

    Returns:
        Gradients of the hidden layer, shape [T, S, k, d + 1], and of the output, shape [T, S, N, k + 1].

    Example:
        >>> one = torch.ones(1, 1, 1)
        >>> item_gradients(one, torch.tensor([[0]]), torch.eye(1, 2), torch.zeros(2, 2))[1]
        tensor([[[[-0.5000, -0.5000],
                  [ 0.5000,  0.5000]]]])
    """
    inputs = with_one(x)
    sums = inputs @ hidden.T
    activations = with_one(sums.relu())
    probabilities = (activations @ output.T).softmax(-1)
    errors = probabilities - functional.one_hot(labels, len(output)).to(x.dtype)
    back = (errors @ output[:, :-1]) * (sums > 0)
    return (
        back.unsqueeze(-1) * inputs.unsqueeze(-2),
        errors.unsqueeze(-1) * activations.unsqueeze(-2),
    )


def preprocessed(gradients: Tensor, limit: float = 7.0) -> Tensor:
    """Return magnitude and sign of each coordinate, both of the size that a network likes.

    ``(log|g| / p, sgn g)`` where ``|g| >= e^-p``, and ``(-1, e^p g)`` below.

    Args:
        gradients: Shape [...].
        limit: p > 0.

    Returns:
        Shape [..., 2].

    Reference:
        Andrychowicz et al. (2016), Learning to learn by gradient descent by gradient descent, appendix A.
        arXiv:1606.04474

    Example:
        >>> preprocessed(torch.tensor([-1.0, 0.0]))
        tensor([[ 0., -1.],
                [-1.,  0.]])
    """
    sizes = gradients.abs()
    large = sizes >= math.exp(-limit)
    logs = sizes.clamp_min(math.exp(-limit)).log() / limit
    signs = torch.where(large, gradients.sign(), math.exp(limit) * gradients)
    return torch.stack([logs, signs], dim=-1)


def augmented(x: Tensor, slow: Tensor, fast: Tensor) -> tuple[Tensor, Tensor]:
    """Transform inputs by slow and by fast weights, each for itself.

    A hidden layer adds the two after its ReLU, an output layer before the softmax.

    Args:
        x: Shape [T, B, d].
        slow: Shared by all, shape [k, d + 1].
        fast: Each task's own, shape [T, k, d + 1], or each item's own, shape [T, B, k, d + 1].

    Returns:
        Both, shape [T, B, k].

    Reference:
        Munkhdalai and Yu (2017), Meta Networks, section 3.3 and figure 2. arXiv:1703.00837

    Example:
        >>> x = torch.tensor([[[2.0]]])
        >>> augmented(x, torch.tensor([[1.0, 0.0]]), torch.tensor([[[3.0, 1.0]]]))
        (tensor([[[2.]]]), tensor([[[7.]]]))
    """
    inputs = with_one(x)
    if fast.ndim == 3:
        return inputs @ slow.T, inputs @ fast.transpose(1, 2)
    return inputs @ slow.T, (fast @ inputs.unsqueeze(-1)).squeeze(-1)
