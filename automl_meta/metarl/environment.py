"""What a trial is: many tasks at once, each played for several episodes by a learner that remembers.

Environments have the interface of ``gymnasium.vector.VectorEnv``, but what goes in and comes out are torch
tensors, so that thousands of tasks advance in one operation on a processor or a GPU.

| symbol | meaning |
|---|---|
| B | trials at once, each with a task of its own |
| T | steps of a trial |
"""

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from automl_meta.exceptions import MissingExtraError

if TYPE_CHECKING:
    from gymnasium import Space


#: The first release with ``gymnasium.vector.AutoresetMode``.
_GYMNASIUM = (1, 1)


class TrialEnvironment(Protocol):
    """B trials that advance together; a subset of ``gymnasium.vector.VectorEnv``.

    ``reset`` draws new tasks. Within a trial a new episode of the same task begins in the step in which one
    ends (gymnasium's same-step autoreset); the observation that ended it is ``info["final_obs"]``. The step
    that ends the trial is marked as truncated, for all trials at once. ``info["expected"]`` is the mean of each
    step's reward, given what was done where; ``info["regret"]``, where it is known, how far that lies below the
    best action's.

    Attributes:
        num_envs: B.
        steps: T.
        single_observation_space: Of one trial: ``Discrete``, or a flat ``Box``.
        single_action_space: Of one trial.
    """

    num_envs: int
    single_observation_space: "Space[Any]"
    single_action_space: "Space[Any]"

    @property
    def steps(self) -> int:
        """Steps of a trial."""
        ...

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Draw new tasks and begin their trials.

        Args:
            seed: Restarts the environment's generator; None goes on with it.
            options: ``{"tasks": ...}`` sets the tasks instead.

        Returns:
            First observations, shape [B] (discrete) or [B, size], and an empty info.
        """
        ...

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Act once in every trial.

        Args:
            actions: int64, shape [B].

        Returns:
            Next observations, rewards [B], ends of episodes (bool, [B]), ends of trials (bool, [B]), info.
        """
        ...


@dataclass(frozen=True)
class Transition:
    """One step of all trials, as a learner sees it.

    Attributes:
        observations: Before the step, shape [B] or [B, size].
        actions: What was done, shape [B].
        rewards: What it brought, shape [B].
        arrived: Where it led, before a new episode began; like ``observations``.
        terminated: Whether an episode ended, bool, shape [B].
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    arrived: Tensor
    terminated: Tensor


def require_gymnasium() -> None:
    """Check that the package of the environments' interface is there.

    Raises:
        MissingExtraError: If it is not.

    Example:
        >>> require_gymnasium()
    """
    if find_spec("gymnasium") is None or not _has_vector_interface():
        msg = "metarl needs the package gymnasium 1.1 or newer. Install it: pip install 'automl-meta[rl]'."
        raise MissingExtraError(msg)


def _has_vector_interface() -> bool:
    """Whether gymnasium is one whose vector environments say how they begin anew."""
    major, minor, *_ = version("gymnasium").split(".")
    return (int(major), int(minor)) >= _GYMNASIUM
