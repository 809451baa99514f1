"""What a meta-reinforcement-learning run is told."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from automl_meta.exceptions import InvalidParameterError, check_least, check_types
from automl_meta.training import TrainingSettings

LearnerName = Literal["rl2", "snail", "maml-rl", "e-maml", "promp"]
EnvironmentName = Literal["bandits", "mdps", "navigation", "cartpoles"]
LEARNERS: tuple[str, ...] = get_args(LearnerName)
ENVIRONMENTS: tuple[str, ...] = get_args(EnvironmentName)
RL2, SNAIL, MAML_RL, E_MAML, PROMP = LEARNERS
#: Learners whose memory learns; the others take gradient steps.
REMEMBERING = (RL2, SNAIL)
BANDITS, MDPS, NAVIGATION, CARTPOLES = ENVIRONMENTS

#: Of a rate: a thousand times as much, which fine-tuning may try, is still a float32.
_LARGEST = 1e6

_CHOICES: dict[str, tuple[str, ...]] = {
    "learner": LEARNERS,
    "env": ENVIRONMENTS,
    "device": ("auto", "cpu", "cuda"),
    "precision": ("float32", "tf32", "bf16"),
}


def environments_of(learner: str) -> tuple[str, ...]:
    """Return the environments that a learner can play.

    Args:
        learner: One of ``LEARNERS``.

    Example:
        >>> environments_of("promp")
        ('navigation', 'cartpoles')
    """
    return (BANDITS, MDPS) if learner in REMEMBERING else (NAVIGATION, CARTPOLES)


@dataclass(frozen=True)
class AdaptationSettings:
    """What learners that adapt by gradient steps are told besides.

    Attributes:
        inner_steps: Steps on a task in training, >= 1.
        inner_rate: Their learning rate, > 0 and at most 1e6.
        test_steps: Steps on a task in the test, >= ``inner_steps``.
        epochs: Outer steps made from the same episodes, >= 1; only ``promp`` can make more than one.
        clip: Of the ratio of probabilities, > 0; for ``promp``.
        divergence: Weight of the divergence from the policy that played, >= 0; for ``promp``.
        credit: Weight of the term that credits exploration, >= 0; for ``e-maml``. 1 is unbiased
            up to the scale of a task's advantages.

    Raises:
        InvalidParameterError: If a value breaks its rule.
    """

    inner_steps: int = 1
    inner_rate: float = 0.1
    test_steps: int = 3
    epochs: int = 1
    clip: float = 0.3
    divergence: float = 5e-4
    credit: float = 1.0

    def __post_init__(self) -> None:
        check_types(vars(self), (AdaptationSettings,), "metarl")
        check_least(self, "metarl", {"inner_steps": 1, "epochs": 1, "test_steps": self.inner_steps})
        for name in ("inner_rate", "clip"):
            if not 0 < getattr(self, name) <= _LARGEST:
                rule, value = f"a number > 0, at most {_LARGEST:g}", getattr(self, name)
                raise InvalidParameterError.of(name, "metarl", rule, value, "Try 0.1.")
        _check_weights(self, ("divergence", "credit"))


@dataclass(frozen=True)
class MetaRLSettings:
    """Settings of one run: tasks, learner, training and test. ``recipe`` fills them in.

    Attributes:
        learner: Name of the method.
        env: ``"bandits"`` (Bernoulli) or ``"mdps"`` (tabular Markov decision processes) for ``rl2`` and ``snail``;
            ``"navigation"`` (in the plane) or ``"cartpoles"`` for the others.
        training: The outer loop; ``checkpoint_every`` is a multiple of the adaptation's ``epochs``.
        adaptation: Of learners that adapt by gradient steps; None for ``rl2`` and ``snail``.
        arms: Arms of a bandit, or actions of a process, >= 2.
        episodes: Episodes of a trial, >= 1; for bandits its pulls; for learners that adapt by gradient steps
            those of a task before each step and after the last.
        train_episodes: Episodes of a trial in the training, >= 1; None for as many as in validation and test. For
            ``rl2`` and ``snail``: what is learned in short trials may serve in long ones, at a fraction of the time.
        states: States of a process, >= 2; without meaning elsewhere.
        episode_steps: Most steps of an episode, >= 1; without meaning for bandits.
        meta_batch: Trials (tasks) of an outer step, >= 2.
        hidden: Units of the memory, filters of SNAIL's convolutions, or units of each of two hidden layers, >= 1.
        discount: Of a step, in [0, 1]; reaches across the episodes of a trial.
        trace: lambda of the generalised advantages, in [0, 1].
        value_weight: Of the critic's error in the loss, >= 0.
        entropy: Weight of the policy's entropy at the start, >= 0.
        entropy_end: The same at the end; between them it changes linearly.
        validation_trials: Number of fixed validation trials, >= 2.
        test_trials: Number of test trials, >= 2; the same for all methods.
        seed: Of the initial weights and of the training.
        device: Where to compute.
        precision: Of matrix products; ``"bf16"`` for ``rl2`` alone.
        threads: Of PyTorch; None leaves its own number.

    Raises:
        InvalidParameterError: If a value breaks its rule.
    """

    learner: str
    env: str
    training: TrainingSettings
    adaptation: AdaptationSettings | None = None
    arms: int = 5
    episodes: int = 10
    train_episodes: int | None = None
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
        check_types(vars(self), (MetaRLSettings,), "metarl")
        least = dict.fromkeys(("arms", "states", "meta_batch"), 2)
        least |= dict.fromkeys(("validation_trials", "test_trials"), 2)
        least |= dict.fromkeys(("episodes", "episode_steps", "hidden"), 1)
        least |= {n: 1 for n in ("threads", "train_episodes") if getattr(self, n) is not None}
        check_least(self, "metarl", least | {"seed": 0})
        for name, names in _CHOICES.items():
            if getattr(self, name) not in names:
                rule, value = f"one of {', '.join(names)}", getattr(self, name)
                raise InvalidParameterError.of(name, "metarl", rule, value, f"Try {names[0]}.")
        for name in ("discount", "trace"):
            if not 0 <= getattr(self, name) <= 1:
                rule, value = "a number in [0, 1]", getattr(self, name)
                raise InvalidParameterError.of(name, "metarl", rule, value, "Try 0.95.")
        _check_weights(self, ("value_weight", "entropy", "entropy_end"))
        self._check_fit()

    def _check_fit(self) -> None:
        """Refuse learners, environments and ways of adapting that do not go together."""
        fitting = environments_of(self.learner)
        if self.env not in fitting:
            rule = f"one of {', '.join(fitting)} for {self.learner}"
            remedy = f"Try --env {fitting[0]}, or another learner."
            raise InvalidParameterError.of("env", "metarl", rule, self.env, remedy)
        if (self.adaptation is None) != (self.learner in REMEMBERING):
            rule = (
                f"None for {' and '.join(REMEMBERING)}, AdaptationSettings for all other learners"
            )
            remedy = "Make the settings with recipe."
            raise InvalidParameterError.of("adaptation", "metarl", rule, self.adaptation, remedy)
        if self.learner != RL2 and self.precision == "bf16":
            rule = f"float32 or tf32 for {self.learner}, which needs it"
            remedy = "Try --precision float32."
            raise InvalidParameterError.of("precision", "metarl", rule, self.precision, remedy)
        if self.train_episodes is not None and self.learner not in REMEMBERING:
            rule = f"left out for {self.learner}, which has no use for it"
            remedy = "Leave it out."
            raise InvalidParameterError.of(
                "train_episodes", "metarl", rule, self.train_episodes, remedy
            )
        self._check_epochs(1 if self.adaptation is None else self.adaptation.epochs)

    def _check_epochs(self, epochs: int) -> None:
        if epochs > 1 and self.learner != PROMP:
            rule, remedy = f"1 for {self.learner}", "Leave --epochs out, or use promp."
            raise InvalidParameterError.of("epochs", "metarl", rule, epochs, remedy)
        every = self.training.checkpoint_every
        if every % epochs:
            rule, remedy = f"a multiple of the {epochs} epochs", f"Try {20 * epochs}."
            raise InvalidParameterError.of("checkpoint_every", "metarl", rule, every, remedy)

    @property
    def in_training(self) -> "MetaRLSettings":
        """The same settings with the episodes of the training."""
        if self.train_episodes is None:
            return self
        return replace(self, episodes=self.train_episodes, train_episodes=None)

    @property
    def training_seed(self) -> int:
        """Seed of the training's draws: a multiple of 1,000, so never one of validation or test."""
        return 1000 * self.seed

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


def _check_weights(record: object, names: Sequence[str]) -> None:
    for name in names:
        value = getattr(record, name)
        if not 0 <= value < float("inf"):
            rule = "a finite number >= 0"
            raise InvalidParameterError.of(name, "metarl", rule, value, "Try 0.01.")
