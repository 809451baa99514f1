"""Functions whose derivatives estimate those of an expected return, from actions that are already drawn.

Each is one number per step; a mean or a sum over steps makes the surrogate of a task.

| symbol | meaning |
|---|---|
| pi | probability (density) of the action that was done, now |
| pi_o | the same when it was drawn: a constant |
| A | advantage of the action: a constant |
"""

from torch import Tensor


def log_surrogate(logs: Tensor, advantages: Tensor) -> Tensor:
    """Return ``log(pi) A``.

    Its gradient is the policy gradient. Its second derivative lacks that the policy draws other actions after a
    change: ``E[log(pi)'' A]`` instead of ``E[(log(pi)'' + log(pi)' log(pi)'^T) A]``.

    Args:
        logs: ``log(pi)``, any shape.
        advantages: A, the same shape.

    Reference:
        Williams (1992), Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
        Learning. Finn, Abbeel and Levine (2017), section 4 and equation 5. arXiv:1703.03400
    """
    return logs * advantages


def ratio_surrogate(logs: Tensor, drawn_logs: Tensor, advantages: Tensor) -> Tensor:
    """Return ``pi / pi_o A``: A itself as long as the policy is that which drew.

    There its gradient is the policy gradient, and its second derivative estimates that of the expected return
    without the terms between steps, which have mean zero or nearly so and a large variance: the low-variance
    curvature estimate.

    Args:
        logs: ``log(pi)``, any shape.
        drawn_logs: ``log(pi_o)``, the same shape, constants.
        advantages: A, the same shape.

    Reference:
        Rothfuss et al. (2019), ProMP: Proximal Meta-Policy Search, equations 9 and 10. arXiv:1810.06784

    Example:
        >>> import torch
        >>> ratio_surrogate(torch.tensor([-1.0]), torch.tensor([-1.0]), torch.tensor([3.0]))
        tensor([3.])
    """
    return (logs - drawn_logs).exp() * advantages


def clipped_surrogate(
    logs: Tensor, drawn_logs: Tensor, advantages: Tensor, *, clip: float
) -> Tensor:
    """Return ``min(r A, clip(r, 1 - epsilon, 1 + epsilon) A)`` with ``r = pi / pi_o``.

    Args:
        logs: ``log(pi)``, any shape.
        drawn_logs: ``log(pi_o)``, the same shape, constants.
        advantages: A, the same shape.
        clip: epsilon, > 0.

    Reference:
        Schulman et al. (2017), Proximal Policy Optimization Algorithms, equation 7. arXiv:1707.06347
        Rothfuss et al. (2019), ProMP, equation 11. arXiv:1810.06784

    Example:
        >>> import torch
        >>> logs = torch.tensor([2.0, 2.0, 0.5]).log()
        >>> clipped_surrogate(logs, torch.zeros(3), torch.tensor([1.0, -1.0, 1.0]), clip=0.25)
        tensor([ 1.2500, -2.0000,  0.5000])
    """
    ratio = (logs - drawn_logs).exp()
    return (ratio * advantages).minimum(ratio.clamp(1 - clip, 1 + clip) * advantages)
