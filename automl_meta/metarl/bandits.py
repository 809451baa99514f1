"""Bernoulli bandits: K arms, each pays 1 with a probability of its own, else 0.

| symbol | meaning |
|---|---|
| B | bandits at once |
| K | arms |
| n | pulls of a trial |
"""

from typing import Any

import torch
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError, check_least


class BernoulliBandits(VectorEnv[Tensor, Tensor, Tensor]):
    """B bandits whose probabilities are drawn uniformly from [0, 1]; each pull is an episode.

    There is nothing to observe: the observation is always 0. ``info["regret"]`` of a step is how far the
    pulled arm's probability lies below the best one's.

    Args:
        num_envs: B, >= 1.
        arms: K, >= 2.
        pulls: n, >= 1.
        generator: Source of the tasks and the rewards, on the device where everything shall lie.

    Raises:
        InvalidParameterError: If a number is too small.

    Reference:
        Duan et al. (2016), RL^2: Fast Reinforcement Learning via Slow Reinforcement Learning, section 3.1.
        arXiv:1611.02779

    Example:
        >>> bandits = BernoulliBandits(2, arms=2, pulls=3, generator=torch.Generator().manual_seed(0))
        >>> _ = bandits.reset(options={"tasks": torch.tensor([[1.0, 0.0], [0.0, 1.0]])})
        >>> _, rewards, _, _, info = bandits.step(torch.tensor([0, 0]))
        >>> rewards.tolist(), info["regret"].tolist()
        ([1.0, 0.0], [0.0, 1.0])
    """

    def __init__(self, num_envs: int, *, arms: int, pulls: int, generator: torch.Generator) -> None:
        self.num_envs, self.arms, self.pulls = num_envs, arms, pulls
        check_least(self, "BernoulliBandits", {"num_envs": 1, "arms": 2, "pulls": 1})
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.generator = generator
        self.single_observation_space, self.single_action_space = Discrete(1), Discrete(arms)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._none = torch.zeros(num_envs, dtype=torch.int64, device=generator.device)
        self._ones = torch.ones(num_envs, dtype=torch.bool, device=generator.device)
        self._done = pulls  # until the first reset
        self._means = self._best = torch.empty(0)

    @property
    def steps(self) -> int:
        """Steps of a trial: its pulls."""
        return self.pulls

    @property
    def tasks(self) -> Tensor:
        """Probability of each arm, shape [B, K]."""
        return self._means

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """See ``TrialEnvironment.reset``; ``options["tasks"]`` are probabilities, shape [B, K]."""
        if seed is not None:
            self.generator.manual_seed(seed)
        shape, device = (self.num_envs, self.arms), self.generator.device
        given = (options or {}).get("tasks")
        if given is None:
            given = torch.rand(shape, generator=self.generator, device=device)
        elif tuple(given.shape) != shape or not bool(((given >= 0) & (given <= 1)).all()):
            rule = f"probabilities of shape {list(shape)}"
            raise InvalidParameterError.of("tasks", "reset", rule, given, "Correct them.")
        self._means, self._done = given.to(device), 0
        self._best = self._means.amax(1)
        return self._none, {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """See ``TrialEnvironment.step``.

        Raises:
            ResetNeeded: If the trial is over.
        """
        if self._done >= self.pulls:
            msg = "The trial is over. Call reset first."
            raise ResetNeeded(msg)
        self._done += 1
        means = self._means.gather(1, actions.unsqueeze(1)).squeeze(1)
        drawn = torch.rand(self.num_envs, generator=self.generator, device=means.device)
        over = self._ones if self._done == self.pulls else ~self._ones
        info = {"expected": means, "regret": self._best - means, "final_obs": self._none}
        return self._none, (drawn < means).to(means.dtype), self._ones, over, info
