"""One run: train a policy on trials, stop at its best validation, test it beside the rules, write it down.

A killed run goes on from its last checkpoint; a finished one is not repeated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import save
from torch import Tensor

from automl_meta._machine import machine_record, versions_record
from automl_meta._typing import JSON
from automl_meta.metarl.a2c import LossWeights, a2c_loss
from automl_meta.metarl.adaptation_run import AdaptationRun
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
from automl_meta.metarl.result import (
    FOLDER,
    SCHEMA,
    MetaRLResult,
    outcome_record,
    settings_record,
)
from automl_meta.metarl.settings import MetaRLSettings
from automl_meta.metarl.setup import make_environment, make_policy, make_rules
from automl_meta.training import Step, TrainingResult, train
from automl_meta.training.device import Place, computing_on
from automl_meta.training.folder import TRAINING, WEIGHTS


class _Run(Protocol):
    """What differs between the kinds of learners."""

    @property
    def settings(self) -> MetaRLSettings: ...

    @property
    def place(self) -> Place: ...

    def train(
        self, folder: Path, on_step: Callable[[Step], bool | None] | None
    ) -> dict[str, TrainingResult]:
        """Train the learner, which comes first, and what is trained beside it."""
        ...

    def tests(
        self,
        trained: Mapping[str, TrainingResult],
        on_test: Callable[[int, int], None] | None,
    ) -> list[JSON]:
        """Test all of it; the learner comes first."""
        ...

    def describe(self) -> JSON: ...

    def trials(self, steps: int) -> int:
        """Return the trials of so many outer steps."""
        ...


@dataclass(frozen=True)
class _TrialRun:
    settings: MetaRLSettings
    place: Place
    environment: TrialEnvironment  # of the training
    policy: Policy
    generator: torch.Generator  # of the training

    def train(
        self, folder: Path, on_step: Callable[[Step], bool | None] | None
    ) -> dict[str, TrainingResult]:
        return {self.settings.learner: _train(self, folder, on_step)}

    def tests(
        self,
        trained: Mapping[str, TrainingResult],
        on_test: Callable[[int, int], None] | None,
    ) -> list[JSON]:
        return _tests(self, trained[self.settings.learner].params, on_test)

    def describe(self) -> JSON:
        return self.policy.describe()

    def trials(self, steps: int) -> int:
        return steps * self.settings.meta_batch


def run_metarl(
    settings: MetaRLSettings,
    folder: Path,
    *,
    resume: bool = False,
    on_step: Callable[[Step], bool | None] | None = None,
    on_test: Callable[[int, int], None] | None = None,
    command: str | None = None,
) -> MetaRLResult:
    """Train and test a learner.

    Args:
        settings: Of the run, from ``recipe``.
        folder: New or empty; or that of a run with the same settings, to resume.
        resume: Go on with the run in ``folder``, even a killed or interrupted one; start it if there is none.
        on_step: Told of each training step; a true answer ends the training, and what there is is tested.
        on_test: Told the methods tested and the number of all.
        command: What the user ran, for the record.

    Returns:
        The result, which also lies in ``folder``.

    Raises:
        InvalidParameterError: If the folder is not empty.
        StoreError: If the folder holds another run.
    """
    with computing_on(
        settings.device, settings.precision, settings.threads, where="metarl"
    ) as place:
        stored = FOLDER.prepare(folder, settings_record(settings), resume=resume)
        if stored is not None and stored["status"] == "finished":
            return MetaRLResult(folder, stored)
        run = _prepared(settings, place)
        document = _first_record(run, command, stored)
        FOLDER.write(folder, document)
        trained = run.train(folder, on_step)
        for rank, (name, found) in enumerate(trained.items()):
            weights = {key: leaf.cpu().contiguous() for key, leaf in found.params.items()}
            (folder / (f"{name}.safetensors" if rank else WEIGHTS)).write_bytes(save(weights))
            key = f"{name}_training" if rank else "training"
            document |= {"status": "testing", key: _training_record(found, run)}
        FOLDER.write(folder, document)
        interrupted = any(found.stopped_by == "interrupt" for found in trained.values())
        document |= {"methods": run.tests(trained, on_test)}
        document |= {"status": "interrupted" if interrupted else "finished"}
        FOLDER.write(folder, document)
        return MetaRLResult(folder, document)


def _prepared(settings: MetaRLSettings, place: Place) -> _Run:
    if settings.adaptation is not None:
        return AdaptationRun.of(settings, place)
    generator = torch.Generator(place.device).manual_seed(settings.training_seed)
    environment = make_environment(settings, settings.meta_batch, generator)
    return _TrialRun(settings, place, environment, make_policy(settings, environment), generator)


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


def _train(
    run: _TrialRun, folder: Path, on_step: Callable[[Step], bool | None] | None
) -> TrainingResult:
    settings = run.settings

    def gradient(
        params: dict[str, Tensor], generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        weights = LossWeights(
            settings.discount, settings.trace, settings.value_weight, settings.entropy_at(progress)
        )
        with run.place.autocast():
            return meta_gradient(run.policy, params, run.environment, generator, weights)

    start = run.policy.init(torch.Generator().manual_seed(settings.seed))
    return train(
        {name: leaf.to(run.place.device) for name, leaf in start.items()},
        gradient,
        settings=settings.training,
        generator=run.generator,
        validate=lambda params: (
            -_judge(
                run, _learned(run, params), VALIDATION_SEED, settings.validation_trials
            ).expected
        ),
        folder=folder / TRAINING,
        # A folder without a checkpoint starts afresh, so that a run killed early can be resumed as well.
        resume=True,
        on_step=on_step,
    )


def _learned(run: _TrialRun, params: Mapping[str, Tensor], *, greedy: bool = True) -> Player:
    return PolicyPlayer(run.policy, params, _player_generator(run), greedy=greedy)


def _player_generator(run: _TrialRun) -> torch.Generator:
    return torch.Generator(run.place.device).manual_seed(PLAYER_SEED)


def _judge(run: _TrialRun, player: Player, seed: int, trials: int) -> Outcome:
    with run.place.autocast():
        return evaluate(
            player,
            lambda n_trials, generator: make_environment(run.settings, n_trials, generator),
            trials=trials,
            episodes=run.settings.episodes,
            generator=torch.Generator(run.place.device).manual_seed(seed),
        )


def _tests(
    run: _TrialRun, params: Mapping[str, Tensor], on_test: Callable[[int, int], None] | None
) -> list[JSON]:
    """Test the policy, with its likeliest actions and with drawn ones, and every rule on the same trials."""
    settings, known = run.settings, published(run.settings)
    name = settings.learner
    players: dict[str, Player] = {
        name: _learned(run, params),
        f"{name}-drawn": _learned(run, params, greedy=False),
    }
    for rule, make in make_rules(settings).items():
        players[rule] = make(_player_generator(run))
    outcomes: dict[str, Outcome] = {}
    for player_name, player in players.items():
        outcomes[player_name] = _judge(run, player, TEST_SEED, settings.test_trials)
        if on_test is not None:
            on_test(len(outcomes), len(players))
    return [
        outcome_record(player_name, outcome, outcomes[name], known.get(player_name))
        for player_name, outcome in outcomes.items()
    ]


def _first_record(run: _Run, command: str | None, stored: JSON | None) -> JSON:
    settings, place = run.settings, run.place
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "schema": SCHEMA,
        "status": "training",
        "started": stored["started"] if stored else started,
        "command": command,
        "settings": settings_record(settings),
        "learner": {"learner": settings.learner, **run.describe()},
        "published": published(settings),
        "seeds": {
            "weights": settings.seed,
            "training": settings.training_seed,
            "validation": VALIDATION_SEED,
            "test": TEST_SEED,
            "players": PLAYER_SEED,
        },
        "device": place.name,
        "precision": place.precision,
        "threads": place.threads,
        "notes": list(place.notes),
        "machine": machine_record(),
        "versions": versions_record("automl-meta", "torch", "numpy", "gymnasium"),
        "training": None,
        "methods": [],
    }


def _training_record(trained: TrainingResult, run: _Run) -> JSON:
    best = trained.best_validation
    return {
        "steps": trained.steps,
        "trials": run.trials(trained.steps),
        "best_step": trained.best_step,
        "best_validation": None if best is None else -best,
        "stopped_by": trained.stopped_by,
        "seconds": round(trained.seconds, 2),
        "cpu_seconds": round(trained.cpu_seconds, 2),
    }
