"""Navigation in the plane: a point that has to find a goal which it does not see.

| symbol | meaning |
|---|---|
| N | episodes at once |
| x | position of the point, its only observation |
| g | goal |
"""

from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from automl_meta.exceptions import check_least

#: Goals are drawn from a square with this half side.
_HALF_SIDE = 0.5
#: Largest velocity along an axis.
_FASTEST = 0.1
#: Distance to the goal below which an episode ends.
_NEAR = 0.01


@dataclass(frozen=True)
class Navigation:
    """A point at the origin and a goal drawn uniformly from [-0.5, 0.5]^2; it moves by ``clip(a, -0.1, 0.1)``.

    A step brings ``-|x - g|^2`` at the position that it leads to. An episode ends within 0.01 of the goal.

    Attributes:
        horizon: Steps of an episode, >= 1.

    Raises:
        InvalidParameterError: If ``horizon`` is below 1.

    Reference:
        Finn, Abbeel and Levine (2017), Model-Agnostic Meta-Learning, section 5.3. arXiv:1703.03400

    Example:
        >>> navigation, goals = Navigation(), torch.tensor([[0.3, 0.4]])
        >>> states, rewards, ended = navigation.advance(goals, torch.zeros(1, 2), torch.zeros(1, 2))
        >>> rewards, ended
        (tensor([-0.2500]), tensor([False]))
    """

    horizon: int = 100

    def __post_init__(self) -> None:
        check_least(self, "Navigation", {"horizon": 1})

    @property
    def task_size(self) -> int:
        """See ``TaskFamily``: the goal's two coordinates."""
        return 2

    @property
    def observation_space(self) -> Box:
        """See ``TaskFamily``: the position."""
        return Box(-np.inf, np.inf, (2,), np.float32)

    @property
    def action_space(self) -> Box:
        """See ``TaskFamily``: the velocity."""
        return Box(-_FASTEST, _FASTEST, (2,), np.float32)

    def draw(self, n_tasks: int, generator: torch.Generator) -> Tensor:
        """See ``TaskFamily.draw``: goals."""
        drawn = torch.rand(n_tasks, 2, generator=generator, device=generator.device)
        return _HALF_SIDE * (2 * drawn - 1)

    def start(self, n_episodes: int, generator: torch.Generator) -> Tensor:
        """See ``TaskFamily.start``: the origin."""
        return torch.zeros(n_episodes, 2, device=generator.device)

    def observe(self, states: Tensor) -> Tensor:
        """See ``TaskFamily.observe``: all but the goal."""
        return states

    def advance(
        self, tasks: Tensor, states: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See ``TaskFamily.advance``."""
        moved = states + actions.clamp(-_FASTEST, _FASTEST)
        away = (moved - tasks).square().sum(1)
        return moved, -away, away < _NEAR**2
