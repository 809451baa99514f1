"""Distributions of actions: normal for continuous ones, categorical for discrete ones.

| symbol | meaning |
|---|---|
| ... | any axes in front, such as tasks and steps |
| D | numbers of a continuous action |
| A | number of discrete actions |
"""

import math
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from automl_meta.metarl.play import draw


class ActionDistribution(Protocol):
    """What a policy does in each of many situations."""

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw actions, [...] (int64) or [..., D], that carry no gradient."""
        ...

    def log_prob(self, actions: Tensor) -> Tensor:
        """Return the logarithm of the probability (density) of actions, shape [...]."""
        ...

    def divergence(self, other: Self) -> Tensor:
        """Return Kullback and Leibler's divergence of ``other`` from this one, shape [...]."""
        ...


@dataclass(frozen=True)
class Normal:
    """Independent normal distributions along D axes.

    Attributes:
        mean: Shape [..., D].
        log_std: Logarithm of the standard deviation, a shape that broadcasts to the mean's.

    Example:
        >>> normal = Normal(torch.zeros(1, 2), torch.zeros(2))
        >>> normal.log_prob(torch.zeros(1, 2))  # -log(2 pi)
        tensor([-1.8379])
    """

    mean: Tensor
    log_std: Tensor

    def draw(self, generator: torch.Generator) -> Tensor:
        """See ``ActionDistribution.draw``."""
        mean, spread = self.mean.detach(), self.log_std.detach().exp()
        noise = torch.randn(
            mean.shape, generator=generator, dtype=mean.dtype, device=generator.device
        )
        return torch.addcmul(mean, spread, noise)

    def log_prob(self, actions: Tensor) -> Tensor:
        """See ``ActionDistribution.log_prob``."""
        away = (actions - self.mean) * (-self.log_std).exp()
        logs = -0.5 * away.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return logs.sum(-1)

    def divergence(self, other: "Normal") -> Tensor:
        """See ``ActionDistribution.divergence``."""
        wider = other.log_std - self.log_std
        away = (self.mean - other.mean).square() * (-2 * other.log_std).exp()
        return (wider + 0.5 * ((-2 * wider).exp() + away - 1)).sum(-1)


@dataclass(frozen=True)
class Categorical:
    """A distribution over A actions.

    Attributes:
        logits: Shape [..., A].

    Example:
        >>> Categorical(torch.zeros(1, 4)).log_prob(torch.tensor([2]))  # -log 4
        tensor([-1.3863])
    """

    logits: Tensor

    def draw(self, generator: torch.Generator) -> Tensor:
        """See ``ActionDistribution.draw``."""
        flat = draw(self.logits.flatten(0, -2), generator)
        return flat.view(self.logits.shape[:-1])

    def log_prob(self, actions: Tensor) -> Tensor:
        """See ``ActionDistribution.log_prob``."""
        logs = self.logits.log_softmax(-1)
        return logs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)

    def divergence(self, other: "Categorical") -> Tensor:
        """See ``ActionDistribution.divergence``."""
        ours, theirs = self.logits.log_softmax(-1), other.logits.log_softmax(-1)
        return (ours.exp() * (ours - theirs)).sum(-1)
