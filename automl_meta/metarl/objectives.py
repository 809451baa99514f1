"""What gradient-based learners descend: within a task, and across tasks after the adaptation.

| symbol | meaning |
|---|---|
| B | tasks at once |
| M | steps of a task |
| S | inner steps |
| theta, phi_k | parameters before the adaptation, after k inner steps (phi_0 is theta) |
| tau_k | episodes that phi_k played |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.distributions import ActionDistribution
from automl_meta.metarl.samples import Sample
from automl_meta.metarl.surrogates import clipped_surrogate, log_surrogate, ratio_surrogate


@dataclass(frozen=True)
class Stage:
    """Episodes, and what the parameters of now would do in their situations.

    Attributes:
        sample: tau_k.
        actions: Distributions of phi_k as it follows from the theta of now, front axes [B, M].
    """

    sample: Sample
    actions: ActionDistribution

    @property
    def logs(self) -> Tensor:
        """Logarithms of the probabilities of what was done, shape [B, M]."""
        return self.actions.log_prob(self.sample.actions)


class Objective(Protocol):
    """The two losses of a learner, one number per task."""

    def inner(self, stage: Stage) -> Tensor:
        """Return the loss of an inner step, shape [B]."""
        ...

    def outer(self, before: Sequence[Stage], after: Stage, /) -> Tensor:
        """Return the loss of the outer step.

        Args:
            before: tau_0 to tau_{S-1}, from which the task adapted.
            after: tau_S.

        Returns:
            Shape [B].
        """
        ...


@dataclass(frozen=True)
class PolicyGradient:
    """MAML: policy gradients inside and outside, the outer one through the inner steps.

    The inner step is a function of episodes that are given: that theta also decides which ones are seen is
    left out.

    Reference:
        Finn, Abbeel and Levine (2017), Model-Agnostic Meta-Learning, section 4.2 and algorithm 3.
        arXiv:1703.03400
    """

    def inner(self, stage: Stage) -> Tensor:
        """See ``Objective.inner``."""
        return -stage.sample.mean(log_surrogate(stage.logs, stage.sample.advantages))

    def outer(self, _before: Sequence[Stage], after: Stage, /) -> Tensor:
        """See ``Objective.outer``."""
        return self.inner(after)


@dataclass(frozen=True)
class CreditedExploration:
    """E-MAML: besides, what theta explored is credited with what came of it.

    The gradient has one more term, ``(R(tau_S) - b) grad sum_k log p(tau_k; phi_k)``, where b is the mean return
    of the other tasks, which does not change the expectation. With it the gradient is that of the expected
    return after adaptation, over all that is drawn.

    Attributes:
        weight: Of that term, >= 0; 1 makes the gradient unbiased, up to the scale of a task's advantages; 1 over the
            number of a task's episodes counts each of them as if it alone had made the adaptation.

    Raises:
        InvalidParameterError: If ``weight`` is negative.

    Reference:
        Al-Shedivat et al. (2018), Continuous Adaptation via Meta-Learning in Nonstationary and Competitive
        Environments, section 3.2 and appendix A (sum over the episodes). arXiv:1710.03641
        Stadie et al. (2018), Some Considerations on Learning to Explore via Meta-Reinforcement Learning,
        section 2.2. arXiv:1803.01118
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            rule = "a finite number >= 0"
            raise InvalidParameterError.of("weight", "e-maml", rule, self.weight, "Try 1.0.")

    def inner(self, stage: Stage) -> Tensor:
        """See ``Objective.inner``: the policy gradient."""
        return PolicyGradient().inner(stage)

    def outer(self, before: Sequence[Stage], after: Stage, /) -> Tensor:
        """See ``Objective.outer``."""
        credit = self.weight * centred_on_others(after.sample.returns) / after.sample.unit
        loss = self.inner(after)
        for stage in before:
            loss = loss - credit * stage.sample.n_steps * stage.sample.mean(stage.logs)
        return loss


@dataclass(frozen=True)
class Proximal:
    """ProMP: inner steps whose curvature is right, outer ones that stay near the policy that played.

    Inner: the ratio's surrogate. Outer: the clipped surrogate after the adaptation, minus the divergence of the
    policies before it from those that played. The clip and the divergence matter only where several outer
    steps are made from the same episodes.

    Attributes:
        clip: epsilon, > 0.
        divergence: eta, weight of the divergence, >= 0.

    Raises:
        InvalidParameterError: If a number is out of its range.

    Reference:
        Rothfuss et al. (2019), ProMP: Proximal Meta-Policy Search, equations 9 to 12 and algorithm 1.
        arXiv:1810.06784
    """

    clip: float = 0.3
    divergence: float = 5e-4

    def __post_init__(self) -> None:
        if not 0 < self.clip < float("inf"):
            rule = "a finite number > 0"
            raise InvalidParameterError.of("clip", "promp", rule, self.clip, "Try 0.3.")
        if not 0 <= self.divergence < float("inf"):
            rule, value = "a finite number >= 0", self.divergence
            raise InvalidParameterError.of("divergence", "promp", rule, value, "Try 0.0005.")

    def inner(self, stage: Stage) -> Tensor:
        """See ``Objective.inner``."""
        sample = stage.sample
        return -sample.mean(ratio_surrogate(stage.logs, sample.logs, sample.advantages))

    def outer(self, before: Sequence[Stage], after: Stage, /) -> Tensor:
        """See ``Objective.outer``."""
        sample = after.sample
        loss = -sample.mean(
            clipped_surrogate(after.logs, sample.logs, sample.advantages, clip=self.clip)
        )
        for stage in before:
            apart = stage.sample.mean(stage.sample.drawn_from.divergence(stage.actions))
            loss = loss + self.divergence / len(before) * apart
        return loss


def centred_on_others(values: Tensor) -> Tensor:
    """Subtract from each value the mean of the others.

    Args:
        values: Shape [B], B >= 2.

    Example:
        >>> import torch
        >>> centred_on_others(torch.tensor([1.0, 2.0, 6.0]))
        tensor([-3.0000, -1.5000,  4.5000])
    """
    n = len(values)
    return (values - values.mean()) * (n / (n - 1))
