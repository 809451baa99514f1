"""Evaluation: every method plays the same tasks, with confidence intervals.

| symbol | meaning |
|---|---|
| N | trials of an evaluation |
| T | steps of a trial |
| n | episodes of a trial (pulls of a bandit) |
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.environment import TrialEnvironment
from automl_meta.metarl.play import Player, play
from automl_meta.statistics import half_interval

#: Number of trials and a generator to an environment of that many.
MakeEnvironment = Callable[[int, torch.Generator], TrialEnvironment]

#: Validation and test trials are the same for every learner and every seed of a run.
VALIDATION_SEED, TEST_SEED = 1_000_001, 1_000_002
#: What methods draw in the test (actions, ties, posteriors).
PLAYER_SEED = 1_000_003


@dataclass(frozen=True)
class Outcome:
    """What a method reached on N trials.

    Attributes:
        totals: Total reward of each trial, float64, shape [N].
        expected: Mean total reward without the luck of the rewards: a less noisy estimate of the same.
        rewards: Mean reward of each episode of a trial, over the trials, shape [n].
        regrets: The same of what was lost against the best action; None where that is not known.
    """

    totals: Tensor
    expected: float
    rewards: Tensor
    regrets: Tensor | None

    @property
    def mean(self) -> float:
        """Mean total reward."""
        return self.totals.mean().item()

    @property
    def interval95(self) -> float:
        """Half the 95 % confidence interval of the mean over trials."""
        return half_interval(self.totals.numpy())


@torch.no_grad()
def evaluate(
    player: Player,
    make: MakeEnvironment,
    *,
    trials: int,
    episodes: int,
    generator: torch.Generator,
    batch: int = 1000,
) -> Outcome:
    """Let a method play trials that it has never seen.

    Environments draw as much in a step whatever the action is, so that equal generators give every method the
    same tasks and the same luck.

    Args:
        player: The method; draws from a generator of its own.
        make: Makes environments.
        trials: N, >= 1.
        episodes: n, a divisor of T.
        generator: Of tasks and rewards.
        batch: Trials at once, >= 1; another number draws other tasks.

    Returns:
        What it reached.

    Raises:
        InvalidParameterError: If ``trials`` or ``batch`` is below 1.
    """
    for name, value in (("trials", trials), ("batch", batch)):
        if value < 1:
            raise InvalidParameterError.of(name, "evaluate", "an int >= 1", value, "Try 1000.")
    totals, expected, rewards, regrets = [], [], [], []
    for start in range(0, trials, batch):
        played = play(player, make(min(batch, trials - start), generator))
        totals.append(played.totals)
        expected.append(played.expected.double().sum().item())
        rewards.append(_by_episode(played.rewards, episodes))
        if played.regrets is not None:
            regrets.append(_by_episode(played.regrets, episodes))
    lost = torch.stack(regrets).sum(0) / trials if regrets else None
    mean = sum(expected) / trials
    return Outcome(torch.cat(totals).cpu(), mean, torch.stack(rewards).sum(0) / trials, lost)


def _by_episode(steps: Tensor, episodes: int) -> Tensor:
    """Sum over trials and over the steps of each episode: [T, B] to [n], float64."""
    return steps.double().sum(1).view(episodes, -1).sum(1).cpu()
