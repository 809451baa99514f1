"""Classical rules for Bernoulli bandits, as players beside the learned ones.

Each is an index: a number for each arm that follows from its wins and losses; the highest is pulled.

| symbol | meaning |
|---|---|
| B | bandits at once |
| K | arms |
| n | pulls of a trial |
| w, l | wins and losses of an arm so far |
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from automl_meta.metarl.environment import Transition, TrialEnvironment
from automl_meta.metarl.gittins import gittins_indices
from automl_meta.metarl.play import n_actions

#: Share of UCB1's bonus in its tuned form: the best of 0.1, 0.2, 0.3 and 0.5 on validation bandits of 100 pulls.
TUNED_BONUS = 0.2


@dataclass(frozen=True)
class Counts:
    """What is known of the arms.

    Attributes:
        wins: w, shape [B, K].
        losses: l, shape [B, K].
        left: Pulls that are left, this one included.
    """

    wins: Tensor
    losses: Tensor
    left: int

    @property
    def means(self) -> Tensor:
        """Expected probabilities under the prior Beta(1, 1), shape [B, K]."""
        return (self.wins + 1) / (self.wins + self.losses + 2)


#: Counts and a generator to the index of each arm, shape [B, K].
Index: TypeAlias = Callable[[Counts, torch.Generator], Tensor]


@dataclass
class IndexPlayer:
    """Pulls the arm of the highest index; ties are broken at random.

    Args:
        index: The rule.
        generator: Of ties and of rules that draw, on the environment's device.

    Example:
        >>> from automl_meta.metarl.bandits import BernoulliBandits
        >>> from automl_meta.metarl.play import play
        >>> bandits = BernoulliBandits(1000, arms=2, pulls=10, generator=torch.Generator())
        >>> player = IndexPlayer(ucb1, torch.Generator().manual_seed(0))
        >>> 5.5 < play(player, bandits, seed=0).totals.mean() < 6.7
        tensor(True)
    """

    index: Index
    generator: torch.Generator
    _counts: Counts = field(
        default_factory=lambda: Counts(torch.empty(0), torch.empty(0), 0), init=False
    )

    def begin(self, environment: TrialEnvironment) -> None:
        """See ``Player.begin``."""
        shape = (environment.num_envs, n_actions(environment))
        none = torch.zeros(shape, device=self.generator.device)
        self._counts = Counts(none, none.clone(), environment.steps)

    def act(self, observations: Tensor) -> Tensor:  # noqa: ARG002 - of the protocol
        """See ``Player.act``."""
        index = self.index(self._counts, self.generator)
        best = index == index.amax(1, keepdim=True)
        return (
            torch.rand(index.shape, generator=self.generator, device=index.device) * best
        ).argmax(1)

    def learn(self, transition: Transition) -> None:
        """See ``Player.learn``."""
        counts, arms = self._counts, transition.actions.unsqueeze(1)
        won = transition.rewards.to(counts.wins.dtype).unsqueeze(1)
        self._counts = Counts(
            counts.wins.scatter_add(1, arms, won),
            counts.losses.scatter_add(1, arms, 1 - won),
            counts.left - 1,
        )


def uniform(counts: Counts, generator: torch.Generator) -> Tensor:
    """Judge arms at random.

    Args:
        counts: Of the arms.
        generator: Draws the index.

    Returns:
        Shape [B, K].
    """
    return torch.rand(counts.wins.shape, generator=generator, device=counts.wins.device)


def greedy(counts: Counts, generator: torch.Generator) -> Tensor:  # noqa: ARG001 - of the type
    """Judge arms by their expected probability.

    Args:
        counts: Of the arms.
        generator: Unused.

    Returns:
        Shape [B, K].
    """
    return counts.means


def ucb1(counts: Counts, generator: torch.Generator) -> Tensor:  # noqa: ARG001 - of the type
    """Judge arms by ``w / (w + l) + sqrt(2 ln t / (w + l))``, t the pulls done; each arm once at first.

    Args:
        counts: Of the arms.
        generator: Unused.

    Returns:
        Shape [B, K].

    Reference:
        Auer, Cesa-Bianchi and Fischer (2002), Finite-time Analysis of the Multiarmed Bandit Problem, figure 1.

    Example:
        >>> counts = Counts(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 1.0]]), left=5)
        >>> ucb1(counts, torch.Generator())  # 2/3 + sqrt(2 ln 4 / 3), 0 + sqrt(2 ln 4)
        tensor([[1.6280, 1.6651]])
    """
    pulls = counts.wins + counts.losses
    total = pulls.sum(1, keepdim=True).clamp(min=1)
    values = counts.wins / pulls + (2 * total.log() / pulls).sqrt()
    return torch.where(pulls > 0, values, math.inf)


def tuned_ucb1(bonus: float = TUNED_BONUS) -> Index:
    """Make UCB1 with the prior Beta(1, 1) as two pulls that were made before, and a share of its bonus.

    ``(w + 1) / (w + l + 2) + bonus sqrt(2 ln (t + 1) / (w + l + 2))``: what the tasks' distribution and length
    teach about the rule, so that it is set beside learned ones fairly.

    Args:
        bonus: Share of the original bonus, >= 0.

    Example:
        >>> counts = Counts(torch.zeros(1, 2), torch.zeros(1, 2), left=5)
        >>> tuned_ucb1()(counts, torch.Generator())
        tensor([[0.5000, 0.5000]])
    """

    def index(counts: Counts, generator: torch.Generator) -> Tensor:  # noqa: ARG001 - of the type
        pulls = counts.wins + counts.losses
        total = pulls.sum(1, keepdim=True) + 1
        return counts.means + bonus * (2 * total.log() / (pulls + 2)).sqrt()

    return index


def thompson(counts: Counts, generator: torch.Generator) -> Tensor:
    """Judge arms by a draw from Beta(w + 1, l + 1).

    Args:
        counts: Of the arms.
        generator: Draws.

    Returns:
        Shape [B, K].

    Reference:
        Thompson (1933), On the Likelihood that One Unknown Probability Exceeds Another. Biometrika 25.
    """
    won = torch._standard_gamma(counts.wins + 1, generator=generator)  # noqa: SLF001 - torch.distributions takes no generator
    lost = torch._standard_gamma(counts.losses + 1, generator=generator)  # noqa: SLF001
    return won / (won + lost)


def gittins(counts: Counts, generator: torch.Generator) -> Tensor:
    """Judge arms by the finite-horizon Gittins index, see ``gittins_indices``.

    Args:
        counts: Of the arms.
        generator: Tells the device.

    Returns:
        Shape [B, K].
    """
    # All arms share the pulls, so pulls done and left make up the n of the table.
    done = int((counts.wins[0] + counts.losses[0]).sum())
    table = gittins_indices(done + counts.left)[counts.left - 1].to(generator.device)
    return table[counts.wins.long(), counts.losses.long()]


#: Name to rule, in the order of tables.
BANDIT_RULES: dict[str, Index] = {
    "random": uniform,
    "greedy": greedy,
    "ucb1": ucb1,
    "ucb1-tuned": tuned_ucb1(),
    "thompson": thompson,
    "gittins": gittins,
}
