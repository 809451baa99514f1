"""Playing trials: one loop for learned policies and for the classical rules.

| symbol | meaning |
|---|---|
| B | trials at once |
| T | steps of a trial |
| I | numbers that describe what the learner sees in a step |
| A | actions |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from automl_meta.metarl.environment import Transition, TrialEnvironment
from automl_meta.metarl.policy import Policy, State

if TYPE_CHECKING:
    from gymnasium import Space


class Player(Protocol):
    """Something that plays trials and may learn within each."""

    def begin(self, environment: TrialEnvironment) -> None:
        """Forget all trials before.

        Args:
            environment: Of the trials that follow.
        """
        ...

    def act(self, observations: Tensor) -> Tensor:
        """Choose.

        Args:
            observations: Shape [B] or [B, size].

        Returns:
            Actions, int64, shape [B].
        """
        ...

    def learn(self, transition: Transition) -> None:
        """Be told what came of the last actions."""
        ...


@dataclass(frozen=True)
class Trials:
    """What B trials brought.

    Attributes:
        actions: Shape [T, B].
        rewards: Shape [T, B].
        expected: Their means, given what was done where: rewards without their luck, shape [T, B].
        regrets: Mean reward lost in each step against the best action, shape [T, B]; None where the
            environment does not tell.
    """

    actions: Tensor
    rewards: Tensor
    expected: Tensor
    regrets: Tensor | None

    @property
    def totals(self) -> Tensor:
        """Total reward of each trial, float64, shape [B]."""
        return self.rewards.double().sum(0)


def play(player: Player, environment: TrialEnvironment, *, seed: int | None = None) -> Trials:
    """Play B trials to their end.

    Args:
        player: Who plays.
        environment: What is played; its tasks are drawn anew.
        seed: Of the environment; None goes on with its generator.

    Returns:
        The course of the trials.
    """
    player.begin(environment)
    observations, _ = environment.reset(seed=seed)
    actions, rewards, expected, regrets = [], [], [], []
    for _ in range(environment.steps):
        chosen = player.act(observations)
        following, reward, terminated, _, info = environment.step(chosen)
        player.learn(
            Transition(observations, chosen, reward, info.get("final_obs", following), terminated)
        )
        observations = following
        actions.append(chosen)
        rewards.append(reward)
        expected.append(info["expected"])
        regrets.append(info.get("regret"))
    known = [regret for regret in regrets if regret is not None]
    lost = torch.stack(known) if len(known) == len(regrets) else None
    return Trials(torch.stack(actions), torch.stack(rewards), torch.stack(expected), lost)


def n_inputs(environment: TrialEnvironment) -> int:
    """Return I: size of the observation (none for a constant one), the actions, reward and end of episode.

    Args:
        environment: With discrete actions.
    """
    return _width(environment.single_observation_space) + n_actions(environment) + 2


def n_actions(environment: TrialEnvironment) -> int:
    """Return A.

    Args:
        environment: With discrete actions.
    """
    return int(environment.single_action_space.n)  # type: ignore[attr-defined]


def _width(space: "Space[Any]") -> int:
    """Return how many numbers an observation becomes; one that is always the same becomes none."""
    n = getattr(space, "n", None)
    if n is None:
        assert space.shape is not None
        return int(space.shape[0])
    return 0 if n == 1 else int(n)


@dataclass
class PolicyPlayer:
    """A policy at play: its input in each step is the observation, and last step's action, reward and end.

    Args:
        policy: The policy.
        params: Its parameters; gradients flow into them where they are asked for.
        generator: Draws the actions, on the parameters' device.
        greedy: Choose the likeliest action instead of drawing one.
        recording: Keep what ``a2c_loss`` needs.

    Attributes:
        inputs: Of each step, [B, I]; only when recording, as the two below.
        logits: Of each step, [B, A].
        features: Of each step, [B, F].
    """

    policy: Policy
    params: Mapping[str, Tensor]
    generator: torch.Generator
    greedy: bool = False
    recording: bool = False
    inputs: list[Tensor] = field(default_factory=list, init=False)
    logits: list[Tensor] = field(default_factory=list, init=False)
    features: list[Tensor] = field(default_factory=list, init=False)
    _state: State = field(default=(), init=False)
    _before: Tensor = field(default_factory=lambda: torch.empty(0), init=False)
    _n_observed: int = field(default=0, init=False)
    _n_actions: int = field(default=0, init=False)

    def begin(self, environment: TrialEnvironment) -> None:
        """See ``Player.begin``; before the first step there were no action, no reward and no end."""
        self.inputs, self.logits, self.features = [], [], []
        self._state = self.policy.start(self.params, environment.num_envs)
        self._n_observed = _width(environment.single_observation_space)
        self._n_actions = n_actions(environment)
        leaf = next(iter(self.params.values()))
        self._before = leaf.new_zeros(environment.num_envs, self._n_actions + 2)

    def act(self, observations: Tensor) -> Tensor:
        """See ``Player.act``."""
        inputs = self._before
        if self._n_observed:
            seen = observations
            if not seen.is_floating_point():
                seen = functional.one_hot(seen, self._n_observed)
            inputs = torch.cat([seen.to(inputs.dtype), inputs], dim=1)
        logits, features, self._state = self.policy.step(self.params, inputs, self._state)
        if self.recording:
            self.inputs.append(inputs)
            self.logits.append(logits)
            self.features.append(features)
        return logits.detach().argmax(1) if self.greedy else draw(logits, self.generator)

    def learn(self, transition: Transition) -> None:
        """See ``Player.learn``."""
        dtype = self._before.dtype
        self._before = torch.cat(
            [
                functional.one_hot(transition.actions, self._n_actions).to(dtype),
                transition.rewards.to(dtype).unsqueeze(1),
                transition.terminated.to(dtype).unsqueeze(1),
            ],
            dim=1,
        )


def draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from categorical distributions: the largest logit after noise of Gumbel's distribution.

    Args:
        logits: Shape [B, A].
        generator: On the same device.

    Returns:
        int64, shape [B].

    Example:
        >>> draw(torch.tensor([[0.0, 50.0]]), torch.Generator().manual_seed(0))
        tensor([1])
    """
    # Coarser noise than float32 would round to 1, whose logarithm has none.
    dtype = torch.promote_types(logits.dtype, torch.float32)
    uniform = torch.rand(logits.shape, generator=generator, dtype=dtype, device=logits.device)
    return (logits.detach() - uniform.log_().neg_().log_()).argmax(1)
