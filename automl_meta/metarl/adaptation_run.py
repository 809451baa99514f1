"""A run of a learner that adapts by gradient steps, beside a policy that was trained on all tasks alike.

| symbol | meaning |
|---|---|
| S | inner steps of the training |
| E | episodes of a task before each inner step and after the last |
| theta | parameters before the adaptation |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from automl_meta._typing import JSON
from automl_meta.metarl.adaptation import AdaptingPolicy, Rollouts
from automl_meta.metarl.evaluate import (
    PLAYER_SEED,
    TEST_SEED,
    VALIDATION_SEED,
    Outcome,
)
from automl_meta.metarl.result import finite, outcome_record
from automl_meta.metarl.samples import Sampler
from automl_meta.metarl.settings import AdaptationSettings, MetaRLSettings
from automl_meta.metarl.setup import make_adapting_policy, make_family
from automl_meta.statistics import half_interval
from automl_meta.training import Step, TrainingResult, train
from automl_meta.training.device import Place
from automl_meta.training.folder import TRAINING

OnStep = Callable[[Step], bool | None]
#: The policy that was trained on all tasks alike, as it is and fine-tuned; and one that was not trained.
SHARED, FINE_TUNED, UNTRAINED = "shared", "fine-tuned", "untrained"
#: Rates of fine-tuning that are tried on the validation tasks, in units of the learner's inner rate.
_RATES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
#: Tasks that are tested at once.
_BATCH = 50


@dataclass(frozen=True)
class AdaptationRun:
    """A learner, its tasks and where it computes.

    Attributes:
        settings: Of the run, with ``adaptation``.
        place: The device.
        learner: The policy and how it adapts.
    """

    settings: MetaRLSettings
    place: Place
    learner: AdaptingPolicy

    @classmethod
    def of(cls, settings: MetaRLSettings, place: Place) -> "AdaptationRun":
        """Make what the settings say."""
        return cls(settings, place, make_adapting_policy(settings))

    @property
    def adaptation(self) -> AdaptationSettings:
        """How tasks are adapted to."""
        assert self.settings.adaptation is not None
        return self.settings.adaptation

    def describe(self) -> JSON:
        """Return what a result states of the learner."""
        return self.learner.policy.describe()

    def trials(self, steps: int) -> int:
        """Return the tasks of so many outer steps; those of an epoch are the same."""
        return -(-steps // self.adaptation.epochs) * self.settings.meta_batch

    def train(self, folder: Path, on_step: OnStep | None) -> dict[str, TrainingResult]:
        """Train the learner and, with as many episodes and steps, one policy for all tasks.

        Args:
            folder: Of the run.
            on_step: Told of each step; a true answer ends the training after the running epochs.

        Returns:
            Name to result; the learner comes first, and comes alone when it was interrupted.
        """
        trained = {self.settings.learner: self._trained(self.learner, folder / TRAINING, on_step)}
        if trained[self.settings.learner].stopped_by != "interrupt":
            alike = replace(self.learner, steps=0)
            told = None if on_step is None else _named(on_step, "one policy for all tasks")
            trained[SHARED] = self._trained(alike, folder / SHARED, told)
        return trained

    def _trained(
        self, learner: AdaptingPolicy, folder: Path, on_step: OnStep | None
    ) -> TrainingResult:
        settings, place = self.settings, self.place
        start = learner.policy.init(torch.Generator().manual_seed(settings.seed))
        epochs = self.adaptation.epochs
        return train(
            {name: leaf.to(place.device) for name, leaf in start.items()},
            _EpochGradient(self, learner),
            settings=settings.training,
            generator=torch.Generator(place.device).manual_seed(settings.training_seed),
            validate=lambda params: (
                -self.returns(
                    learner, params, VALIDATION_SEED, settings.validation_trials, learner.steps
                )[-1]
                .mean()
                .item()
            ),
            folder=folder,
            # A folder without a checkpoint starts afresh, so that a run killed early can be resumed as well.
            resume=True,
            on_step=None if on_step is None else _after_whole_epochs(on_step, epochs),
        )

    def sampler(self, generator: torch.Generator, rounds: int = 1) -> Sampler:
        """Return how episodes are drawn.

        Args:
            generator: Draws them.
            rounds: Times E make the episodes of a task.
        """
        settings = self.settings
        return Sampler(
            make_family(settings),
            settings.episodes * rounds,
            settings.discount,
            settings.trace,
            generator,
        )

    def returns(
        self,
        learner: AdaptingPolicy,
        params: Mapping[str, Tensor],
        seed: int,
        n_tasks: int,
        steps: int,
    ) -> Tensor:
        """Adapt to tasks that are the same for every learner.

        Args:
            learner: How to adapt.
            params: theta.
            seed: Of the tasks.
            n_tasks: Their number.
            steps: Inner steps.

        Returns:
            Mean total reward of each task's episodes, on the CPU, float64, shape [steps + 1, n_tasks].
        """
        device = self.place.device
        tasks = self.sampler(torch.Generator(device).manual_seed(seed)).draw(n_tasks)
        sampler = self.sampler(torch.Generator(device).manual_seed(PLAYER_SEED))
        with self.place.autocast():
            found = [
                learner.returns(params, some, sampler, steps=steps)
                for some in torch.split(tasks, _BATCH)
            ]
        return torch.cat(found, dim=1).double().cpu()

    def tests(
        self,
        trained: Mapping[str, TrainingResult],
        on_test: Callable[[int, int], None] | None,
    ) -> list[JSON]:
        """Test the learner, the policy for all tasks, its fine-tuning, and an untrained policy.

        Args:
            trained: From ``train``.
            on_test: Told the methods tested and the number of all.

        Returns:
            Entries of ``methods``.
        """
        compared = self._compared(trained)
        ours, records = None, []
        for name, (learner, params, steps) in compared.items():
            found = self.returns(learner, params, TEST_SEED, self.settings.test_trials, steps)
            judged = found[min(steps, self.adaptation.inner_steps)]
            outcome = Outcome(judged, judged.mean().item(), found.mean(1), None)
            ours = outcome if ours is None else ours
            record = outcome_record(name, outcome, ours, None)
            record["intervals"] = [finite(half_interval(row.numpy())) for row in found]
            record["rate"] = learner.rate if steps else None
            records.append(record)
            if on_test is not None:
                on_test(len(records), len(compared))
        return records

    def _compared(
        self, trained: Mapping[str, TrainingResult]
    ) -> dict[str, tuple[AdaptingPolicy, Mapping[str, Tensor], int]]:
        """Return the methods of the test by name: how it adapts, from where, by how many steps."""
        steps, name = self.adaptation.test_steps, self.settings.learner
        compared: dict[str, tuple[AdaptingPolicy, Mapping[str, Tensor], int]] = {
            name: (self.learner, trained[name].params, steps)
        }
        if SHARED in trained:
            shared = trained[SHARED].params
            compared[SHARED] = (self.learner, shared, 0)
            compared[FINE_TUNED] = (self._tuned(shared), shared, steps)
        start = self.learner.policy.init(torch.Generator().manual_seed(self.settings.seed))
        untrained = {key: leaf.to(self.place.device) for key, leaf in start.items()}
        compared[UNTRAINED] = (self._tuned(untrained), untrained, steps)
        return compared

    def _tuned(self, params: Mapping[str, Tensor]) -> AdaptingPolicy:
        """Return the way of fine-tuning whose rate is best on the validation tasks, after S steps."""
        candidates = [
            replace(self.learner, rate=self.learner.rate * multiple) for multiple in _RATES
        ]
        tasks, steps = self.settings.validation_trials, self.learner.steps
        return max(
            candidates,
            key=lambda learner: (
                self.returns(learner, params, VALIDATION_SEED, tasks, steps)[-1].mean().item()
            ),
        )


class _EpochGradient:
    """The gradient of an outer step: new episodes at the first of every few, the same ones at the others.

    Training starts and resumes at the first of them only, so what is kept here need not be stored.
    """

    def __init__(self, run: AdaptationRun, learner: AdaptingPolicy) -> None:
        self._run, self._learner = run, learner
        self._age = 0
        self._rollouts: Rollouts | None = None

    def __call__(
        self, params: dict[str, Tensor], generator: torch.Generator, _progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``GradientFunction``."""
        run, learner = self._run, self._learner
        with run.place.autocast():
            if self._age == 0 or self._rollouts is None:
                # Whoever does not adapt plays as many episodes at once.
                rounds = 1 + run.adaptation.inner_steps - learner.steps
                sampler = run.sampler(generator, rounds)
                tasks = sampler.draw(run.settings.meta_batch)
                self._rollouts = learner.collect(params, tasks, sampler)
            self._age = (self._age + 1) % run.adaptation.epochs
            return learner.meta_gradient(params, self._rollouts)


def _named(on_step: OnStep, part: str) -> OnStep:
    """Say with each step what is trained."""
    return lambda step: on_step(replace(step, part=part))


def _after_whole_epochs(on_step: OnStep, epochs: int) -> OnStep:
    """Let a training end only where new episodes are due, so that it can be resumed exactly."""
    wanted = False

    def told(step: Step) -> bool:
        nonlocal wanted
        wanted = bool(on_step(step)) or wanted
        return wanted and step.number % epochs == 0

    return told
