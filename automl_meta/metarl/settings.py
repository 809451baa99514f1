"""What a meta-reinforcement-learning run is told."""

from dataclasses import dataclass
from typing import Literal, get_args

from automl_meta.exceptions import InvalidParameterError
from automl_meta.training import TrainingSettings

LearnerName = Literal["rl2", "snail"]
EnvironmentName = Literal["bandits", "mdps"]
LEARNERS: tuple[str, ...] = get_args(LearnerName)
ENVIRONMENTS: tuple[str, ...] = get_args(EnvironmentName)
BANDITS, MDPS = ENVIRONMENTS

_CHOICES: dict[str, tuple[str, ...]] = {
    "learner": LEARNERS,
    "env": ENVIRONMENTS,
    "device": ("auto", "cpu", "cuda"),
    "precision": ("float32", "tf32", "bf16"),
}


@dataclass(frozen=True)
class MetaRLSettings:
    """Settings of one run: tasks, learner, training and test. ``recipe`` fills them in.

    Attributes:
        learner: Name of the method.
        env: ``"bandits"`` (Bernoulli) or ``"mdps"`` (tabular Markov decision processes).
        training: The outer loop.
        arms: Arms of a bandit, or actions of a process, >= 2.
        episodes: Episodes of a trial, >= 1; for bandits its pulls.
        states: States of a process, >= 2; without meaning for bandits.
        episode_steps: Steps of an episode of a process, >= 1; without meaning for bandits.
        meta_batch: Trials of an outer step, >= 2.
        hidden: Units of the memory, or filters of SNAIL's convolutions, >= 1.
        discount: Of a step, in [0, 1]; reaches across the episodes of a trial.
        trace: lambda of the generalised advantages, in [0, 1].
        value_weight: Of the critic's error in the loss, >= 0.
        entropy: Weight of the policy's entropy at the start, >= 0.
        entropy_end: The same at the end; between them it changes linearly.
        validation_trials: Number of fixed validation trials, >= 2.
        test_trials: Number of test trials, >= 2; the same for all methods.
        seed: Of the initial weights and of the training.
        device: Where to compute.
        precision: Of matrix products.
        threads: Of PyTorch; None leaves its own number.

    Raises:
        InvalidParameterError: If a value breaks its rule.
    """

    learner: str
    env: str
    training: TrainingSettings
    arms: int = 5
    episodes: int = 10
    states: int = 10
    episode_steps: int = 10
    meta_batch: int = 500
    hidden: int = 64
    discount: float = 1.0
    trace: float = 0.95
    value_weight: float = 0.5
    entropy: float = 0.05
    entropy_end: float = 0.0
    validation_trials: int = 2000
    test_trials: int = 10000
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    threads: int | None = None

    def __post_init__(self) -> None:
        least = dict.fromkeys(("arms", "states", "meta_batch"), 2)
        least |= dict.fromkeys(("validation_trials", "test_trials"), 2)
        least |= dict.fromkeys(("episodes", "episode_steps", "hidden"), 1)
        least |= {"seed": 0} | ({} if self.threads is None else {"threads": 1})
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                rule = f"an int >= {low}"
                raise InvalidParameterError.of(name, "metarl", rule, value, f"Try {max(low, 10)}.")
        for name, names in _CHOICES.items():
            if getattr(self, name) not in names:
                rule, value = f"one of {', '.join(names)}", getattr(self, name)
                raise InvalidParameterError.of(name, "metarl", rule, value, f"Try {names[0]}.")
        for name in ("discount", "trace"):
            if not 0 <= getattr(self, name) <= 1:
                rule, value = "a number in [0, 1]", getattr(self, name)
                raise InvalidParameterError.of(name, "metarl", rule, value, "Try 0.95.")
        for name in ("value_weight", "entropy", "entropy_end"):
            if not 0 <= getattr(self, name) < float("inf"):
                rule, value = "a finite number >= 0", getattr(self, name)
                raise InvalidParameterError.of(name, "metarl", rule, value, "Try 0.01.")

    @property
    def steps(self) -> int:
        """Steps of a trial."""
        return self.episodes * (1 if self.env == BANDITS else self.episode_steps)

    def entropy_at(self, progress: float) -> float:
        """Return the weight of the entropy in the course of the training.

        Args:
            progress: Share of the training that is done, in [0, 1].
        """
        return self.entropy + progress * (self.entropy_end - self.entropy)
