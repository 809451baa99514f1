"""Families of tasks as pure functions, and the environment that plays many episodes of them at once.

| symbol | meaning |
|---|---|
| N | episodes at once, each of a task of its own or of one that it shares |
| K | numbers that make a task |
| X | numbers that make a state |
| O | numbers that a policy observes |
| D | numbers of a continuous action |
"""

from typing import Any, Protocol

import torch
from gymnasium import Space
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError, check_least


class TaskFamily(Protocol):
    """Tasks that share observations and actions and differ in what is not observed.

    Dynamics are functions of tensors without a state of their own; only starts and tasks are random.

    Attributes:
        task_size: K.
        observation_space: Of one episode, a flat ``Box`` of size O.
        action_space: Of one episode: ``Discrete``, or a flat ``Box`` of size D.
        horizon: Steps after which an episode ends, >= 1.
    """

    @property
    def task_size(self) -> int:
        """K."""
        ...

    @property
    def observation_space(self) -> Space[Any]:
        """Of one episode."""
        ...

    @property
    def action_space(self) -> Space[Any]:
        """Of one episode."""
        ...

    @property
    def horizon(self) -> int:
        """Steps after which an episode ends."""
        ...

    def draw(self, n_tasks: int, generator: torch.Generator) -> Tensor:
        """Draw tasks, shape [n_tasks, K], on the generator's device."""
        ...

    def start(self, n_episodes: int, generator: torch.Generator) -> Tensor:
        """Draw first states, shape [n_episodes, X], on the generator's device."""
        ...

    def observe(self, states: Tensor) -> Tensor:
        """Return what a policy sees: [N, X] to [N, O]."""
        ...

    def advance(
        self, tasks: Tensor, states: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Act once.

        Args:
            tasks: Shape [N, K].
            states: Shape [N, X].
            actions: int64, shape [N]; or [N, D].

        Returns:
            Next states [N, X], rewards [N], and whether the episode ended (bool, [N]).
        """
        ...


class EpisodeBatch(VectorEnv[Tensor, Tensor, Tensor]):
    """N episodes that begin together; the environment ends with the horizon.

    Nothing starts anew by itself (gymnasium's disabled autoreset): an episode that ended before the others stays
    where it is, marked as terminated, and brings 0 until ``reset``.

    Args:
        num_envs: N, >= 1.
        family: Of the tasks.
        generator: Source of tasks and starts, on the device where everything shall lie.

    Raises:
        InvalidParameterError: If ``num_envs`` is below 1.

    Example:
        >>> from automl_meta.metarl.navigation import Navigation
        >>> batch = EpisodeBatch(2, family=Navigation(), generator=torch.Generator())
        >>> _ = batch.reset(options={"tasks": torch.tensor([[0.3, 0.0], [0.0, 0.1]])})
        >>> observations, rewards, ends, _, _ = batch.step(torch.tensor([[0.1, 0.0], [0.0, 0.7]]))
        >>> observations.tolist() == [[torch.tensor(0.1).item(), 0.0], [0.0, torch.tensor(0.1).item()]]
        True
        >>> ends.tolist()
        [False, True]
    """

    def __init__(self, num_envs: int, *, family: TaskFamily, generator: torch.Generator) -> None:
        self.num_envs, self.family, self.generator = num_envs, family, generator
        check_least(self, "EpisodeBatch", {"num_envs": 1})
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.single_observation_space = family.observation_space
        self.single_action_space = family.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._done = family.horizon  # until the first reset
        self._tasks = self._states = self._ended = torch.empty(0)

    @property
    def steps(self) -> int:
        """Steps until the last episode ends."""
        return self.family.horizon

    @property
    def tasks(self) -> Tensor:
        """The task of each episode, shape [N, K]."""
        return self._tasks

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Begin N episodes.

        Args:
            seed: Restarts the generator; None goes on with it.
            options: ``{"tasks": ...}``, shape [N, K], sets the tasks instead of drawing them.

        Returns:
            First observations, shape [N, O], and an empty info.

        Raises:
            InvalidParameterError: If the tasks are of another shape.
        """
        if seed is not None:
            self.generator.manual_seed(seed)
        given, shape = (options or {}).get("tasks"), (self.num_envs, self.family.task_size)
        if given is None:
            given = self.family.draw(self.num_envs, self.generator)
        elif tuple(given.shape) != shape:
            rule, found = f"of shape {list(shape)}", list(given.shape)
            raise InvalidParameterError.of("tasks", "reset", rule, found, "Correct them.")
        device = self.generator.device
        self._tasks, self._done = given.to(device), 0
        self._states = self.family.start(self.num_envs, self.generator).to(self._tasks.dtype)
        self._ended = torch.zeros(self.num_envs, dtype=torch.bool, device=device)
        return self.family.observe(self._states), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Act once in every episode.

        Args:
            actions: int64, shape [N]; or [N, D].

        Returns:
            Observations [N, O], rewards [N], which episodes have ended (bool, [N]), which are cut off by the
            horizon (bool, [N]), and an empty info.

        Raises:
            ResetNeeded: If the horizon is reached.
        """
        if self._done >= self.steps:
            msg = "All episodes are over. Call reset first."
            raise ResetNeeded(msg)
        self._done += 1
        before = self._ended
        states, rewards, ends = self.family.advance(self._tasks, self._states, actions)
        self._states = torch.where(before.unsqueeze(1), self._states, states)
        self._ended = before | ends
        over = ~self._ended if self._done == self.steps else torch.zeros_like(self._ended)
        rewards = rewards.masked_fill(before, 0.0)
        return self.family.observe(self._states), rewards, self._ended, over, {}
