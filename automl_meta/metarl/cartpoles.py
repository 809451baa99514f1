"""Carts with a pole to balance that differ in physics and in the wiring of the motor.

| symbol | meaning |
|---|---|
| N | episodes at once |
| l, m, g, F | half the pole's length, its mass, gravity, the motor's force |
| x, v, a, w | position and velocity of the cart, angle and angular velocity of the pole |
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from automl_meta.exceptions import check_least

#: Mass of the cart, seconds of a step, and where an episode ends: gymnasium's own.
_CART, _SECONDS, _FARTHEST, _STEEPEST = 1.0, 0.02, 2.4, 12 * 2 * math.pi / 360
#: Starts are drawn from [-0.05, 0.05].
_START = 0.05
#: Ranges of l, m, g and the size of F; gymnasium's own are .5, .1, 9.8 and 10.
_LOW, _HIGH = (0.25, 0.05, 5.0, 5.0), (1.0, 0.5, 15.0, 15.0)


@dataclass(frozen=True)
class CartPoles:
    """Gymnasium's ``CartPole`` with a length, a mass, a gravity and a motor of its own for each task.

    Half of the motors are wired the other way round: their force is negative, and the action that pushes to the
    right elsewhere pushes to the left. Nothing of a task is observed, so that a policy which does not adapt
    cannot know on which side it will push. A step brings 1.

    Attributes:
        horizon: Steps of an episode, >= 1.

    Raises:
        InvalidParameterError: If ``horizon`` is below 1.

    Reference:
        Barto, Sutton and Anderson (1983), Neuronlike Adaptive Elements That Can Solve Difficult Learning
        Control Problems. The equations of motion are those of gymnasium's ``CartPole-v1``.

    Example:
        >>> carts = CartPoles()
        >>> motors = carts.draw(1000, torch.Generator().manual_seed(0))[:, 3]
        >>> bool((motors.abs() >= 5).all()), 450 < int((motors < 0).sum()) < 550
        (True, True)
    """

    horizon: int = 200

    def __post_init__(self) -> None:
        check_least(self, "CartPoles", {"horizon": 1})

    @property
    def task_size(self) -> int:
        """See ``TaskFamily``: l, m, g, F."""
        return 4

    @property
    def observation_space(self) -> Box:
        """See ``TaskFamily``: x, v, a, w."""
        return Box(-np.inf, np.inf, (4,), np.float32)

    @property
    def action_space(self) -> Discrete:
        """See ``TaskFamily``: push with -F or with F."""
        return Discrete(2)

    def draw(self, n_tasks: int, generator: torch.Generator) -> Tensor:
        """See ``TaskFamily.draw``: uniform in the ranges, the motor's sign that of a coin."""
        device = generator.device
        low, high = torch.tensor(_LOW, device=device), torch.tensor(_HIGH, device=device)
        drawn = torch.rand(n_tasks, 5, generator=generator, device=device)
        tasks = low + (high - low) * drawn[:, :4]
        tasks[:, 3] *= torch.where(drawn[:, 4] < 0.5, -1.0, 1.0)
        return tasks

    def start(self, n_episodes: int, generator: torch.Generator) -> Tensor:
        """See ``TaskFamily.start``."""
        drawn = torch.rand(n_episodes, 4, generator=generator, device=generator.device)
        return _START * (2 * drawn - 1)

    def observe(self, states: Tensor) -> Tensor:
        """See ``TaskFamily.observe``."""
        return states

    def advance(
        self, tasks: Tensor, states: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See ``TaskFamily.advance``."""
        length, mass, gravity, motor = tasks.unbind(1)
        x, v, angle, w = states.unbind(1)
        force, total = motor * (2 * actions.to(states.dtype) - 1), mass + _CART
        sine, cosine, torque = angle.sin(), angle.cos(), mass * length
        pushed = (force + torque * w.square() * sine) / total
        turning = (gravity * sine - cosine * pushed) / (
            length * (4 / 3 - mass * cosine.square() / total)
        )
        moving = pushed - torque * turning * cosine / total
        change = torch.stack([v, moving, w, turning], dim=1)
        moved = states + _SECONDS * change
        ended = (moved[:, 0].abs() > _FARTHEST) | (moved[:, 2].abs() > _STEEPEST)
        return moved, torch.ones_like(x), ended
