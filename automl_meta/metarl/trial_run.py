"""Runs of learners with a memory: a policy plays whole trials, and the loss of each trial trains it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from automl_meta._typing import JSON
from automl_meta.metarl.a2c import LossWeights, a2c_loss
from automl_meta.metarl.environment import TrialEnvironment
from automl_meta.metarl.evaluate import (
    PLAYER_SEED,
    TEST_SEED,
    VALIDATION_SEED,
    Outcome,
    evaluate,
)
from automl_meta.metarl.play import Player, PolicyPlayer, play
from automl_meta.metarl.policy import Policy, Replayable
from automl_meta.metarl.published import published
from automl_meta.metarl.result import outcome_record
from automl_meta.metarl.settings import MetaRLSettings
from automl_meta.metarl.setup import make_environment, make_policy, make_rules
from automl_meta.training import Step, TrainingResult, train
from automl_meta.training.capture import Captured
from automl_meta.training.device import Place
from automl_meta.training.folder import TRAINING
from automl_meta.training.loop import GradientFunction


@dataclass(frozen=True)
class TrialRun:
    """Training and test of a policy that remembers; make one with ``of``.

    Attributes:
        settings: Of the run.
        place: Where it computes.
        environment: Of the training.
        policy: The learner.
        generator: Of the training: tasks, rewards and actions.
    """

    settings: MetaRLSettings
    place: Place
    environment: TrialEnvironment
    policy: Policy
    generator: torch.Generator

    @classmethod
    def of(cls, settings: MetaRLSettings, place: Place) -> "TrialRun":
        """Make the run.

        Args:
            settings: Of a learner with a memory.
            place: Where it computes.
        """
        generator = torch.Generator(place.device).manual_seed(settings.training_seed)
        environment = make_environment(settings.in_training, settings.meta_batch, generator)
        return cls(settings, place, environment, make_policy(settings, environment), generator)

    def describe(self) -> JSON:
        """Return what the result states of the learner."""
        return self.policy.describe()

    def trials(self, steps: int) -> int:
        """Return the trials of so many outer steps."""
        return steps * self.settings.meta_batch

    def train(
        self, folder: Path, on_step: Callable[[Step], bool | None] | None
    ) -> dict[str, TrainingResult]:
        """Train the policy.

        Args:
            folder: Of the run.
            on_step: See ``run_metarl``.

        Returns:
            The learner's name and how its training ended.
        """
        settings, device = self.settings, self.place.device
        start = self.policy.init(torch.Generator().manual_seed(settings.seed))
        trained = train(
            {name: leaf.to(device) for name, leaf in start.items()},
            self.gradient(),
            settings=settings.training,
            generator=self.generator,
            validate=lambda params: -self._validated(params),
            folder=folder / TRAINING,
            # A folder without a checkpoint starts afresh, so that a run killed early can be resumed as well.
            resume=True,
            on_step=on_step,
        )
        return {settings.learner: trained}

    def gradient(self) -> GradientFunction:
        """Return what each outer step computes; on a GPU it is replayed from a CUDA graph."""
        device = self.place.device
        captured = Captured(lambda params, *inputs: self._at(params, inputs[0]), self.generator)

        def gradient(
            params: dict[str, Tensor], _: torch.Generator, progress: float
        ) -> tuple[Tensor, dict[str, Tensor]]:
            if device.type != "cuda":
                return self.plain_gradient(params, progress)
            entropy = torch.tensor(self.settings.entropy_at(progress), device=device)
            with self.place.autocast():
                return captured(params, entropy)

        return gradient

    def plain_gradient(
        self, params: Mapping[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute an outer step's loss and gradients without a graph.

        Args:
            params: The policy's.
            progress: Share of the training that is over, in [0, 1).

        Returns:
            The loss, detached, and the gradients, with the names and shapes of ``params``.
        """
        with self.place.autocast():
            return self._at(params, self.settings.entropy_at(progress))

    def _at(
        self, params: Mapping[str, Tensor], entropy: float | Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        settings = self.settings
        weights = LossWeights(settings.discount, settings.trace, settings.value_weight, entropy)
        return meta_gradient(self.policy, params, self.environment, self.generator, weights)

    def tests(
        self,
        trained: Mapping[str, TrainingResult],
        on_test: Callable[[int, int], None] | None,
    ) -> list[JSON]:
        """Test the policy, with its likeliest actions and with drawn ones, and every rule on the same trials.

        Args:
            trained: From ``train``.
            on_test: See ``run_metarl``.

        Returns:
            A record of each; the learner comes first.
        """
        settings, name = self.settings, self.settings.learner
        known, params = published(settings), trained[name].params
        players: dict[str, Player] = {
            name: self._learned(params, greedy=True),
            f"{name}-drawn": self._learned(params, greedy=False),
        }
        for rule, make in make_rules(settings).items():
            players[rule] = make(self._player_generator())
        outcomes: dict[str, Outcome] = {}
        for player_name, player in players.items():
            outcomes[player_name] = self._judge(player, TEST_SEED, settings.test_trials)
            if on_test is not None:
                on_test(len(outcomes), len(players))
        return [
            outcome_record(player_name, outcome, outcomes[name], known.get(player_name))
            for player_name, outcome in outcomes.items()
        ]

    def _validated(self, params: Mapping[str, Tensor]) -> float:
        player = self._learned(params, greedy=True)
        return self._judge(player, VALIDATION_SEED, self.settings.validation_trials).expected

    def _learned(self, params: Mapping[str, Tensor], *, greedy: bool) -> Player:
        return PolicyPlayer(self.policy, params, self._player_generator(), greedy=greedy)

    def _player_generator(self) -> torch.Generator:
        return torch.Generator(self.place.device).manual_seed(PLAYER_SEED)

    def _judge(self, player: Player, seed: int, trials: int) -> Outcome:
        with self.place.autocast():
            return evaluate(
                player,
                lambda n_trials, generator: make_environment(self.settings, n_trials, generator),
                trials=trials,
                episodes=self.settings.episodes,
                generator=torch.Generator(self.place.device).manual_seed(seed),
            )


def meta_gradient(
    policy: Policy,
    params: Mapping[str, Tensor],
    environment: TrialEnvironment,
    generator: torch.Generator,
    weights: LossWeights,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Play a batch of new trials and differentiate the loss through the whole of them.

    Args:
        policy: The learner.
        params: Its parameters.
        environment: Of the trials.
        generator: Draws the actions.
        weights: Of the loss.

    Returns:
        The loss, detached, and the gradients, with the names and shapes of ``params``.
    """
    leaves = {name: leaf.detach().requires_grad_() for name, leaf in params.items()}
    player = PolicyPlayer(policy, leaves, generator, recording=True)
    if isinstance(policy, Replayable):
        with torch.no_grad():
            trials = play(player, environment)
        logits, features = policy.replay(leaves, torch.stack(player.inputs))
        player.logits, player.features = list(logits), list(features)
    else:
        trials = play(player, environment)
    loss = a2c_loss(leaves, player, trials, weights)
    grads = torch.autograd.grad(loss, list(leaves.values()))
    return loss.detach(), dict(zip(leaves, grads, strict=True))
