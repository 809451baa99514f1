"""Planning in tabular processes, and the players that plan in what they believe of one.

| symbol | meaning |
|---|---|
| B | processes at once |
| S | states |
| A | actions |
| H | steps of an episode |
| J | processes drawn from the posterior |
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from automl_meta.metarl.environment import Transition, TrialEnvironment
from automl_meta.metarl.mdps import TabularMDPs, TabularTasks, draw_dirichlet

#: Processes of which the optimistic player takes the best action value.
_OPTIMISM = 5


def plan(tasks: TabularTasks, episode_steps: int) -> Tensor:
    """Compute the optimal action values of a finite horizon by backward induction.

    ``Q_h(s, a) = r(s, a) + sum_s' P(s' | s, a) max_a' Q_{h+1}(s', a')``, ``Q_H = 0``.

    Args:
        tasks: B processes.
        episode_steps: H.

    Returns:
        Shape [H, B, S, A].

    Example:
        >>> tasks = TabularTasks(torch.tensor([[[0.0, 1.0]]]), torch.ones(1, 1, 2, 1))
        >>> plan(tasks, 2)[:, 0, 0].tolist()
        [[1.0, 2.0], [0.0, 1.0]]
    """
    values = torch.zeros_like(tasks.rewards[..., 0])
    found = []
    for _ in range(episode_steps):
        following = torch.einsum("bsat,bt->bsa", tasks.transitions, values)
        found.append(tasks.rewards + following)
        values = found[-1].amax(-1)
    return torch.stack(found[::-1])


@dataclass(frozen=True)
class Beliefs:
    """What is known of B processes: counts and sums, under priors N(1, 1) and Dirichlet(1, ..., 1).

    Attributes:
        visits: How often an action was done in a state and where it led, shape [B, S, A, S].
        sums: Rewards that it brought, shape [B, S, A].
    """

    visits: Tensor
    sums: Tensor

    def mean(self) -> TabularTasks:
        """Return the expected processes."""
        counts, concentration = self.visits.sum(-1), self.visits + 1
        transitions = concentration / concentration.sum(-1, keepdim=True)
        return TabularTasks((self.sums + 1) / (counts + 1), transitions)

    def draw(self, generator: torch.Generator) -> TabularTasks:
        """Draw processes from the posterior.

        Args:
            generator: On the same device.
        """
        counts, mean = self.visits.sum(-1), self.mean()
        noise = torch.randn(counts.shape, generator=generator, device=counts.device)
        rewards = mean.rewards + noise / (counts + 1).sqrt()
        return TabularTasks(rewards, draw_dirichlet(self.visits + 1, generator))

    def seen(self, transition: Transition) -> "Beliefs":
        """Return the beliefs after one more step.

        Args:
            transition: The step.
        """
        rows = torch.arange(len(self.sums), device=self.sums.device)
        where = (rows, transition.observations, transition.actions)
        one = torch.ones_like(transition.rewards)
        visits = self.visits.index_put((*where, transition.arrived), one, accumulate=True)
        return Beliefs(visits, self.sums.index_put(where, transition.rewards, accumulate=True))


#: Environment, beliefs and a generator to the action values of the next episode, shape [H, B, S, A].
Planner: TypeAlias = Callable[[TabularMDPs, Beliefs, torch.Generator], Tensor]


@dataclass
class PlanningPlayer:
    """Plans before each episode and follows the plan through it.

    Args:
        planner: The rule.
        generator: Of what it draws, on the environment's device.
    """

    planner: Planner
    generator: torch.Generator
    _environment: TabularMDPs | None = field(default=None, init=False)
    _beliefs: Beliefs | None = field(default=None, init=False)
    _values: Tensor = field(default_factory=lambda: torch.empty(0), init=False)
    _step: int = field(default=0, init=False)

    def begin(self, environment: TrialEnvironment) -> None:
        """See ``Player.begin``; the environment must be ``TabularMDPs``."""
        assert isinstance(environment, TabularMDPs)
        shape = (environment.num_envs, environment.states, environment.actions)
        none = torch.zeros((*shape, environment.states), device=self.generator.device)
        self._environment, self._step = environment, 0
        self._beliefs = Beliefs(none, none[..., 0].clone())

    def act(self, observations: Tensor) -> Tensor:
        """See ``Player.act``."""
        assert self._environment is not None
        assert self._beliefs is not None
        step = self._step % self._environment.episode_steps
        if step == 0:
            self._values = self.planner(self._environment, self._beliefs, self.generator)
        rows = torch.arange(len(observations), device=observations.device)
        return self._values[step, rows, observations].argmax(1)

    def learn(self, transition: Transition) -> None:
        """See ``Player.learn``."""
        assert self._beliefs is not None
        self._beliefs, self._step = self._beliefs.seen(transition), self._step + 1


def at_random(environment: TabularMDPs, beliefs: Beliefs, generator: torch.Generator) -> Tensor:
    """Value actions at random: each step of an episode has a random action for each state.

    Args:
        environment: Tells H.
        beliefs: Tell the shape.
        generator: Draws.
    """
    shape = (environment.episode_steps, *beliefs.sums.shape)
    return torch.rand(shape, generator=generator, device=beliefs.sums.device)


def expected(environment: TabularMDPs, beliefs: Beliefs, generator: torch.Generator) -> Tensor:  # noqa: ARG001 - of the type
    """Plan in the expected process: greedy, for it never tries what it thinks is worse."""
    return plan(beliefs.mean(), environment.episode_steps)


def posterior_sample(
    environment: TabularMDPs, beliefs: Beliefs, generator: torch.Generator
) -> Tensor:
    """Plan in a process drawn from the posterior (PSRL).

    Reference:
        Strens (2000), A Bayesian Framework for Reinforcement Learning.
        Osband, Russo and Van Roy (2013), (More) Efficient Reinforcement Learning via Posterior Sampling.
        arXiv:1306.0940
    """
    return plan(beliefs.draw(generator), environment.episode_steps)


def optimistic_samples(
    environment: TabularMDPs, beliefs: Beliefs, generator: torch.Generator
) -> Tensor:
    """Plan in five drawn processes and value each action as the best of them does (a simple optimistic PSRL)."""
    plans = [posterior_sample(environment, beliefs, generator) for _ in range(_OPTIMISM)]
    return torch.stack(plans).amax(0)


def informed(environment: TabularMDPs, beliefs: Beliefs, generator: torch.Generator) -> Tensor:  # noqa: ARG001 - of the type
    """Plan in the true process: what nobody who must learn it can reach."""
    return plan(environment.tasks, environment.episode_steps)


#: Name to rule, in the order of tables.
MDP_RULES: dict[str, Planner] = {
    "random": at_random,
    "greedy": expected,
    "psrl": posterior_sample,
    "optimistic-psrl": optimistic_samples,
    "informed": informed,
}
