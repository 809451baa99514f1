"""Tabular Markov decision processes, each trial one of them, played for several short episodes.

| symbol | meaning |
|---|---|
| B | processes at once |
| S | states |
| A | actions |
| n | episodes of a trial |
| H | steps of an episode |
"""

from dataclasses import dataclass
from typing import Any

import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError, check_least


@dataclass(frozen=True)
class TabularTasks:
    """B processes.

    Attributes:
        rewards: Mean reward of an action in a state, shape [B, S, A].
        transitions: Probability of the state that follows, shape [B, S, A, S].
    """

    rewards: Tensor
    transitions: Tensor


def draw_dirichlet(concentration: Tensor, generator: torch.Generator) -> Tensor:
    """Draw distributions over the last axis.

    Args:
        concentration: > 0, shape [..., S].
        generator: On the same device.

    Returns:
        Shape [..., S], each row with sum 1.

    Example:
        >>> row = draw_dirichlet(torch.ones(3), torch.Generator().manual_seed(0))
        >>> torch.allclose(row.sum(), torch.tensor(1.0))
        True
    """
    drawn = torch._standard_gamma(concentration, generator=generator)  # noqa: SLF001 - torch.distributions takes no generator
    return drawn / drawn.sum(-1, keepdim=True)


class TabularMDPs(VectorEnv[Tensor, Tensor, Tensor]):
    """B random processes: mean rewards from N(1, 1), rewards around them with variance 1, flat Dirichlet transitions.

    Every episode starts in state 0 and takes H steps.

    Args:
        num_envs: B, >= 1.
        states: S, >= 2.
        actions: A, >= 2.
        episodes: n, >= 1.
        episode_steps: H, >= 1.
        generator: Source of tasks, rewards and transitions, on the device where everything shall lie.

    Raises:
        InvalidParameterError: If a number is too small.

    Reference:
        Duan et al. (2016), RL^2, section 3.2. arXiv:1611.02779
        Osband, Russo and Van Roy (2013), (More) Efficient Reinforcement Learning via Posterior Sampling,
        section 6. arXiv:1306.0940

    Example:
        >>> mdps = TabularMDPs(3, states=4, actions=2, episodes=2, episode_steps=5, generator=torch.Generator())
        >>> observations, _ = mdps.reset(seed=0)
        >>> observations.tolist(), mdps.steps, mdps.tasks.transitions.shape
        ([0, 0, 0], 10, torch.Size([3, 4, 2, 4]))
    """

    def __init__(
        self,
        num_envs: int,
        *,
        states: int,
        actions: int,
        episodes: int,
        episode_steps: int,
        generator: torch.Generator,
    ) -> None:
        self.num_envs, self.states, self.actions = num_envs, states, actions
        self.episodes, self.episode_steps = episodes, episode_steps
        least = {"num_envs": 1, "states": 2, "actions": 2, "episodes": 1, "episode_steps": 1}
        check_least(self, "TabularMDPs", least)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.generator = generator
        self.single_observation_space = Discrete(states)
        self.single_action_space = Discrete(actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        device = generator.device
        self._start = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._rows = torch.arange(num_envs, device=device)
        self._state, self._done = self._start, self.steps
        self._tasks = TabularTasks(torch.empty(0), torch.empty(0))
        self._cumulative = torch.empty(0)

    @property
    def steps(self) -> int:
        """Steps of a trial: of all its episodes."""
        return self.episodes * self.episode_steps

    @property
    def tasks(self) -> TabularTasks:
        """The processes."""
        return self._tasks

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """See ``TrialEnvironment.reset``; ``options["tasks"]`` are ``TabularTasks``."""
        if seed is not None:
            self.generator.manual_seed(seed)
        given = (options or {}).get("tasks")
        self._tasks = self._drawn() if given is None else self._checked(given)
        self._cumulative = self._tasks.transitions.cumsum(-1)
        self._state, self._done = self._start, 0
        return self._state, {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """See ``TrialEnvironment.step``.

        Raises:
            ResetNeeded: If the trial is over.
        """
        if self._done >= self.steps:
            msg = "The trial is over. Call reset first."
            raise ResetNeeded(msg)
        self._done += 1
        device, rows = self.generator.device, self._rows
        noise = torch.randn(self.num_envs, generator=self.generator, device=device)
        drawn = torch.rand((self.num_envs, 1), generator=self.generator, device=device)
        expected = self._tasks.rewards[rows, self._state, actions]
        # Rounding may leave the last sum below 1.
        passed = (self._cumulative[rows, self._state, actions] <= drawn).sum(1)
        arrived = passed.clamp(max=self.states - 1)
        ends = self._done % self.episode_steps == 0
        self._state = self._start if ends else arrived
        terminated = torch.full((self.num_envs,), ends, device=device)
        over = torch.full((self.num_envs,), self._done == self.steps, device=device)
        info = {"expected": expected, "final_obs": arrived}
        return self._state, expected + noise, terminated, over, info

    def _drawn(self) -> TabularTasks:
        shape, generator = (self.num_envs, self.states, self.actions), self.generator
        means = 1 + torch.randn(shape, generator=generator, device=generator.device)
        flat = torch.ones((*shape, self.states), device=generator.device)
        return TabularTasks(means, draw_dirichlet(flat, generator))

    def _checked(self, tasks: TabularTasks) -> TabularTasks:
        shape, device = (self.num_envs, self.states, self.actions), self.generator.device
        found = tuple(tasks.rewards.shape), tuple(tasks.transitions.shape)
        if found != (shape, (*shape, self.states)):
            rule = f"of shapes {list(shape)} and {[*shape, self.states]}"
            raise InvalidParameterError.of("tasks", "reset", rule, found, "Correct them.")
        return TabularTasks(tasks.rewards.to(device), tasks.transitions.to(device))
