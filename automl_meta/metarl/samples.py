"""What a policy gradient is made of: episodes of many tasks, with advantages.

| symbol | meaning |
|---|---|
| T | steps of the longest episode |
| B | tasks at once |
| E | episodes of a task |
| M | T E, steps of a task; some of them are none, where an episode ended early |
| O, D | numbers that a policy observes, numbers of a continuous action |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.metarl.a2c import generalised_advantages
from automl_meta.metarl.direct_policy import DirectPolicy
from automl_meta.metarl.distributions import ActionDistribution
from automl_meta.metarl.families import EpisodeBatch, TaskFamily
from automl_meta.metarl.linear_baseline import fitted_values


@dataclass(frozen=True)
class Played:
    """Episodes as they were played.

    Attributes:
        observations: Before each step, shape [T, B, E, O].
        actions: Shape [T, B, E] or [T, B, E, D].
        rewards: 0 after an episode's end, shape [T, B, E].
        alive: Whether a step belongs to its episode, bool, shape [T, B, E].
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    alive: Tensor


@dataclass(frozen=True)
class Sample:
    """Steps of every task, ready for a surrogate.

    Attributes:
        observations: Shape [B, M, O].
        actions: Shape [B, M] or [B, M, D].
        advantages: With mean 0 and standard deviation 1 over a task's steps, shape [B, M].
        weights: Of a step in its task's mean: 0 where no episode is, with sum 1; shape [B, M].
        drawn_from: The distributions that the actions were drawn from, front axes [B, M].
        logs: Logarithms of the actions' probabilities in those, shape [B, M].
        n_steps: Steps of a task, shape [B].
        returns: Mean discounted return of a task's episodes, shape [B].
        unit: What advantages were divided by, times the mean length of an episode: so much return is 1 in a
            weighted mean of advantages. Shape [B].
        totals: Mean total reward of a task's episodes, shape [B].
    """

    observations: Tensor
    actions: Tensor
    advantages: Tensor
    weights: Tensor
    drawn_from: ActionDistribution
    logs: Tensor
    n_steps: Tensor
    returns: Tensor
    unit: Tensor
    totals: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """Average over each task's steps: [B, M] to [B]."""
        return (self.weights * values).sum(1)


@torch.no_grad()
def play_episodes(
    policy: DirectPolicy,
    params: Mapping[str, Tensor],
    family: TaskFamily,
    tasks: Tensor,
    episodes: int,
    generator: torch.Generator,
) -> Played:
    """Play all tasks at once, each several times and with its own parameters.

    Args:
        policy: Who plays.
        params: Task-batched, leaves [B, ...].
        family: Of the tasks.
        tasks: Shape [B, K].
        episodes: E, >= 1.
        generator: Draws starts and actions.

    Returns:
        The episodes, up to the end of the longest.
    """
    n_tasks = len(tasks)
    batch = EpisodeBatch(n_tasks * episodes, family=family, generator=generator)
    seen, _ = batch.reset(options={"tasks": tasks.repeat_interleave(episodes, 0)})
    alive = torch.ones(len(seen), dtype=torch.bool, device=seen.device)
    played: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for _ in range(batch.steps):
        chosen = policy.actions(params, seen.view(n_tasks, episodes, -1)).draw(generator)
        following, rewards, ended, _, _ = batch.step(chosen.flatten(0, 1))
        played.append((seen, chosen.flatten(0, 1), rewards, alive))
        seen, alive = following, ~ended
        if bool(ended.all()):
            break
    columns = (torch.stack(column) for column in zip(*played, strict=True))
    observations, actions, rewards, alive = (
        column.view(len(played), n_tasks, episodes, *column.shape[2:]) for column in columns
    )
    return Played(observations, actions, rewards, alive)


@dataclass(frozen=True)
class Sampler:
    """How episodes are drawn and judged.

    Attributes:
        family: Of the tasks.
        episodes: E, >= 1.
        discount: Of a step, in [0, 1].
        trace: lambda of the generalised advantages, in [0, 1].
        generator: Draws starts and actions, and the tasks of ``draw``.
    """

    family: TaskFamily
    episodes: int
    discount: float
    trace: float
    generator: torch.Generator

    def draw(self, n_tasks: int) -> Tensor:
        """Draw tasks, shape [n_tasks, K]."""
        return self.family.draw(n_tasks, self.generator)

    @torch.no_grad()
    def sample(self, policy: DirectPolicy, params: Mapping[str, Tensor], tasks: Tensor) -> Sample:
        """Play tasks and estimate how much better each action was than the policy on average.

        Args:
            policy: Who plays.
            params: Task-batched, leaves [B, ...].
            tasks: Shape [B, K].

        Returns:
            Steps with advantages.
        """
        played = play_episodes(policy, params, self.family, tasks, self.episodes, self.generator)
        rewards = played.rewards.flatten(1)
        # Returns are the advantages over an estimate of 0.
        returns = generalised_advantages(
            rewards, torch.zeros_like(rewards), discount=self.discount, trace=1.0
        ).view_as(played.rewards)
        values = fitted_values(played.observations, returns, played.alive)
        advantages = generalised_advantages(
            rewards, values.flatten(1), discount=self.discount, trace=self.trace
        )
        observations, actions = _by_task(played.observations), _by_task(played.actions)
        weights = _by_task(played.alive.to(rewards.dtype))
        n_steps = weights.sum(1)
        weights /= n_steps.unsqueeze(1)
        scaled, spread = standardised_by_task(_by_task(advantages.view_as(returns)), weights)
        drawn_from = policy.actions(params, observations)
        return Sample(
            observations,
            actions,
            scaled,
            weights,
            drawn_from,
            drawn_from.log_prob(actions),
            n_steps,
            returns[0].mean(1),
            spread * n_steps / self.episodes,
            played.rewards.sum(0).mean(1),
        )


def standardised_by_task(advantages: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Shift and scale each task's advantages to mean 0 and standard deviation 1.

    Args:
        advantages: Shape [B, M].
        weights: >= 0, with sum 1 over each task's steps, shape [B, M].

    Returns:
        Advantages [B, M], 0 where the weight is, and what they were divided by [B].

    Example:
        >>> advantages, weights = torch.tensor([[1.0, 3.0, 99.0]]), torch.tensor([[0.5, 0.5, 0.0]])
        >>> scaled, spread = standardised_by_task(advantages, weights)
        >>> scaled, spread
        (tensor([[-1.,  1.,  0.]]), tensor([1.]))
    """
    centred = advantages - (weights * advantages).sum(1, keepdim=True)
    spread = (weights * centred.square()).sum(1).sqrt() + 1e-8
    return centred / spread.unsqueeze(1) * (weights > 0), spread


def _by_task(steps: Tensor) -> Tensor:
    """Bring [T, B, E, ...] to [B, M, ...]."""
    return steps.transpose(0, 1).flatten(1, 2)
