"""A linear estimate of returns, fitted to each task's own episodes in closed form.

| symbol | meaning |
|---|---|
| T | steps of an episode |
| B | tasks at once |
| E | episodes of a task |
| O | numbers that a policy observes |
| F | features: 2 O + 4 |
"""

import torch
from torch import Tensor

#: Observations are cut off here, so that one far away does not rule the squares.
_FARTHEST = 10.0
#: Steps that count as one in the features of time.
_STEPS = 100.0


def time_varying_features(observations: Tensor) -> Tensor:
    """Return ``[o, o^2, t/100, (t/100)^2, (t/100)^3, 1]``, o cut off at 10.

    Args:
        observations: Shape [T, ..., O].

    Returns:
        Shape [T, ..., F].

    Reference:
        Duan et al. (2016), Benchmarking Deep Reinforcement Learning for Continuous Control, section 6.
        arXiv:1604.06778

    Example:
        >>> time_varying_features(torch.full((2, 1, 1), 3.0))[1, 0].tolist()[:2]
        [3.0, 9.0]
    """
    seen = observations.clamp(-_FARTHEST, _FARTHEST)
    n_steps, front = len(seen), seen.shape[:-1]
    time = torch.arange(n_steps, dtype=seen.dtype, device=seen.device) / _STEPS
    powers = torch.stack([time, time**2, time**3, torch.ones_like(time)], dim=-1)
    powers = powers.view(n_steps, *([1] * (len(front) - 1)), 4).expand(*front, 4)
    return torch.cat([seen, seen.square(), powers], dim=-1)


def fitted_values(
    observations: Tensor, returns: Tensor, alive: Tensor, *, ridge: float = 1e-5
) -> Tensor:
    """Regress returns on the features of time and observation, each task on its own, and return the fit.

    ``w_b = argmin sum (phi w - R)^2 + ridge |w|^2``, in double precision.

    Args:
        observations: Before each step, shape [T, B, E, O].
        returns: Discounted sums of what follows, shape [T, B, E].
        alive: Which steps belong to an episode, bool, shape [T, B, E].
        ridge: > 0.

    Returns:
        Values of the steps, shape [T, B, E]; 0 where no episode is.

    Example:
        >>> observations = torch.tensor([0.0, 1.0, 2.0]).view(1, 1, 3, 1)
        >>> values = fitted_values(observations, 5 + 2 * observations[..., 0], torch.ones(1, 1, 3, dtype=torch.bool))
        >>> [round(value, 3) for value in values.flatten().tolist()]
        [5.0, 7.0, 9.0]
    """
    phi = time_varying_features(observations).double() * alive.unsqueeze(-1)
    phi_BMF = phi.transpose(0, 1).flatten(1, 2)
    target_BM1 = (returns.double() * alive).transpose(0, 1).flatten(1, 2).unsqueeze(-1)
    eye = torch.eye(phi.shape[-1], dtype=phi.dtype, device=phi.device)
    weights_BF1 = torch.linalg.solve(phi_BMF.mT @ phi_BMF + ridge * eye, phi_BMF.mT @ target_BM1)
    return torch.einsum("tbef,bf->tbe", phi, weights_BF1.squeeze(-1)).to(returns.dtype)
