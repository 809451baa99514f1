"""Learning a task by policy-gradient steps from a start that was meta-learned for them.

| symbol | meaning |
|---|---|
| B | tasks at once |
| S | inner steps |
| theta | parameters before the adaptation |
| phi_k | a task's own parameters after k inner steps, leaves [B, ...] |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.metalearn.inner import check_rate, check_steps, descend, leaves, trajectory
from automl_meta.metalearn.params import Params, StepLoss, TaskLoss, expand
from automl_meta.metarl.direct_policy import DirectPolicy
from automl_meta.metarl.objectives import Objective, Stage
from automl_meta.metarl.samples import Sample, Sampler


@dataclass(frozen=True)
class Rollouts:
    """Everything that an outer step is computed from.

    Attributes:
        before: What phi_0 to phi_{S-1} played.
        after: What phi_S played.
    """

    before: tuple[Sample, ...]
    after: Sample


@dataclass(frozen=True)
class AdaptingPolicy:
    """A policy and how it adapts: ``phi_{k+1} = phi_k - alpha grad inner(phi_k)``, each task on its own episodes.

    Attributes:
        policy: The policy.
        objective: Inner and outer loss.
        rate: alpha, > 0.
        steps: S, >= 0; 0 is ordinary reinforcement learning on all tasks alike.

    Raises:
        InvalidParameterError: If a number is out of its range.
    """

    policy: DirectPolicy
    objective: Objective
    rate: float
    steps: int = 1

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate", "AdaptingPolicy")
        check_steps(self.steps, "AdaptingPolicy", least=0)

    def adapted(self, params: Params, sample: Sample) -> Params:
        """Do one inner step.

        Args:
            params: phi_k, task-batched.
            sample: What it played.

        Returns:
            phi_{k+1}, detached.
        """
        n_tasks = len(sample.weights)
        return descend(params, self.rate, self._inner_loss(sample), n_tasks, 1)

    def collect(self, params: Mapping[str, Tensor], tasks: Tensor, sampler: Sampler) -> Rollouts:
        """Play tasks, adapt, play again, and so on.

        Args:
            params: theta.
            tasks: Shape [B, K].
            sampler: Draws the episodes.

        Returns:
            What was played before and after the adaptation.
        """
        current, before = expand(params, len(tasks)), []
        for _ in range(self.steps):
            before.append(sampler.sample(self.policy, current, tasks))
            current = self.adapted(current, before[-1])
        return Rollouts(tuple(before), sampler.sample(self.policy, current, tasks))

    def meta_gradient(
        self, params: Mapping[str, Tensor], rollouts: Rollouts
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Differentiate the mean outer loss through all inner steps.

        Args:
            params: theta; that of ``collect``, or a later one near it.
            rollouts: Of B tasks.

        Returns:
            The loss, detached, and the gradients, with the names and shapes of ``params``.
        """
        theta, before = leaves(params), rollouts.before
        n_tasks = len(rollouts.after.weights)
        with torch.enable_grad():
            points = [expand(theta, n_tasks)]
            loss = StepLoss(lambda step: self._inner_loss(before[step]))
            points += trajectory(
                points[0], self.rate, loss, n_tasks, len(before), create_graph=True
            )
            stages = [self._stage(phi, played) for phi, played in zip(points, before, strict=False)]
            total = self.objective.outer(stages, self._stage(points[-1], rollouts.after)).mean()
            grads = torch.autograd.grad(total, list(theta.values()), materialize_grads=True)
        return total.detach(), dict(zip(theta, grads, strict=True))

    def returns(
        self, params: Mapping[str, Tensor], tasks: Tensor, sampler: Sampler, *, steps: int
    ) -> Tensor:
        """Play tasks before and after each of some inner steps.

        Args:
            params: theta.
            tasks: Shape [B, K].
            sampler: Draws the episodes; those of a stage are what the next one adapts from.
            steps: Inner steps, >= 0; may differ from those of the training.

        Returns:
            Mean total reward of each task's episodes, shape [steps + 1, B].
        """
        current, totals = expand(params, len(tasks)), []
        for step in range(steps + 1):
            sample = sampler.sample(self.policy, current, tasks)
            totals.append(sample.totals)
            if step < steps:
                current = self.adapted(current, sample)
        return torch.stack(totals)

    def _stage(self, params: Params, sample: Sample) -> Stage:
        return Stage(sample, self.policy.actions(params, sample.observations))

    def _inner_loss(self, sample: Sample) -> TaskLoss:
        return lambda params: self.objective.inner(self._stage(params, sample))
