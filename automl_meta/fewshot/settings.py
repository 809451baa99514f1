"""What a few-shot run is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from automl_meta.exceptions import InvalidParameterError, check_least, check_types
from automl_meta.training import TrainingSettings

LearnerName = Literal[
    "maml",
    "fomaml",
    "anil",
    "boil",
    "reptile",
    "meta-sgd",
    "maml++",
    "cavia",
    "prompts",
    "protonet",
    "matching",
    "snail",
    "meta-networks",
    "mann",
]
LEARNERS: tuple[str, ...] = get_args(LearnerName)
OMNIGLOT, HARMONIC = "omniglot", "harmonic"
#: Sine waves of the MAML paper, and those of the Meta-SGD paper, whose frequency varies too.
SINUSOID, SINUSOID_FREQUENCY = "sinusoid", "sinusoid-frequency"
#: Learners that embed each item and never change a weight on a task: no inner steps, classification only.
EMBEDDED = ("protonet", "matching", "snail", "meta-networks")
#: Those of them that read the support in the order given, so that training must not always give the same one.
IN_ORDER = ("matching", "snail", "meta-networks")
#: Learners without inner steps, for classification only.
WITHOUT_STEPS = (*EMBEDDED, "mann")
#: Learners whose number of classes is part of the network, in training as in the test.
FIXED_WAYS = ("snail", "meta-networks", "mann")
#: Learners whose outer gradient runs through several inner steps.
THROUGH_STEPS = ("maml", "meta-sgd", "maml++")
REGRESSIONS = (SINUSOID, SINUSOID_FREQUENCY, HARMONIC)

_CHOICES: dict[str, tuple[str, ...]] = {
    "learner": LEARNERS,
    "pooling": ("stride", "max", "average", "flat"),
    "execution": ("auto", "folded", "vectorized", "looped"),
    "split": ("characters", "alphabets"),
    "device": ("auto", "cpu", "cuda"),
    "precision": ("float32", "tf32", "bf16"),
}


@dataclass(frozen=True)
class FewShotSettings:
    """Settings of one run: data, episodes, learner, network, training and test. ``recipe`` fills them in.

    Attributes:
        learner: Name of the method.
        data: ``"omniglot"``, ``"sinusoid"``, ``"sinusoid-frequency"``, ``"harmonic"``, or a
            folder with one folder of pictures a class.
        ways: Classes of a test episode, >= 2; without meaning for regression.
        shots: Support items of a class, or points of a function, in a test episode.
        training: The outer loop.
        queries: Query items of a class (or of a function) in a training episode.
        train_ways: Classes of a training episode; None for ``ways``.
        train_shots: Support items of a class in a training episode; None for ``shots``.
        meta_batch: Episodes of an outer step (of each process).
        inner_rate: Learning rate of the inner loop, or what learned rates start from; unused where nothing adapts.
        inner_steps: Inner steps in training.
        test_steps: Inner steps in validation and test; None for as many as in training.
        inner_batch: Support items of each inner step in training; None for all.
        test_inner_batch: The same in validation and test.
        options: Further settings of the algorithm, by the names of its attributes; for ``cavia`` and ``prompts`` also
            ``size``, the numbers of the context or the prompts.
        recompute: Whether the outer gradient computes each inner step's graph again instead of keeping it: less
            memory for many steps, more time, the same numbers. For MAML, Meta-SGD and MAML++.
        transductive: Whether batch normalisation uses the statistics of the query: its own, or for learners that only embed
            those of support and query together.
        filters: Filters of each convolution, or units of each hidden layer for regression.
        pooling: How the network shrinks: ``"stride"`` or ``"max"`` (the two of the MAML paper), ``"flat"``
            (Reptile's), or ``"average"`` (global average before the head).
        execution: How tasks are computed at once.
        chunk: Episodes computed at once; None for all, or on a processor for as many as fit its caches. The
            result is the same.
        image_size: Height and width of the images in pixels.
        split: ``"characters"`` (1,100 + 100 + 423 for Omniglot) or ``"alphabets"``.
        split_seed: Decides which classes are for training, validation and test.
        rotations: Turn each class of images into four by quarter turns, in each part of the split.
        validation_episodes: Number of fixed validation episodes.
        test_episodes: Number of test episodes.
        test_queries: Query items of a class in validation and test.
        data_folder: Where Omniglot is; None for the shared data.
        seed: Of the initial weights and of the training episodes.
        device: Where to compute.
        precision: Of matrix products.
        threads: Of PyTorch; None leaves its own number.

    Raises:
        InvalidParameterError: If a value breaks its rule.
    """

    learner: str
    data: str
    ways: int
    shots: int
    training: TrainingSettings
    queries: int = 15
    train_ways: int | None = None
    train_shots: int | None = None
    meta_batch: int = 32
    inner_rate: float = 0.4
    inner_steps: int = 1
    test_steps: int | None = None
    inner_batch: int | None = None
    test_inner_batch: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    recompute: bool = False
    transductive: bool = True
    filters: int = 64
    pooling: str = "stride"
    execution: str = "auto"
    chunk: int | None = None
    image_size: int = 28
    split: str = "characters"
    split_seed: int = 0
    rotations: bool = True
    validation_episodes: int = 200
    test_episodes: int = 1000
    test_queries: int = 15
    data_folder: str | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    threads: int | None = None

    def __post_init__(self) -> None:
        check_types(vars(self), (FewShotSettings,), "fewshot")
        least = dict.fromkeys(("shots", "queries", "meta_batch", "filters", "image_size"), 1)
        least |= dict.fromkeys(("validation_episodes", "test_queries", "inner_steps"), 1)
        least |= {"ways": 2, "test_episodes": 2, "seed": 0, "split_seed": 0}
        optional = {"train_ways": 2, "train_shots": 1, "test_steps": 0, "inner_batch": 1}
        optional |= {"test_inner_batch": 1, "chunk": 1, "threads": 1}
        least |= {name: low for name, low in optional.items() if getattr(self, name) is not None}
        check_least(self, "fewshot", least)
        for name, names in _CHOICES.items():
            if getattr(self, name) not in names:
                rule = f"one of {', '.join(names)}"
                value = getattr(self, name)
                raise InvalidParameterError.of(name, "fewshot", rule, value, f"Try {names[0]}.")
        if self.recompute and self.learner not in THROUGH_STEPS:
            rule = f"False but for {', '.join(THROUGH_STEPS)}, which alone keep the graphs of inner steps"
            raise InvalidParameterError.of("recompute", "fewshot", rule, True, "Leave it out.")
        training = self.training
        descends = (training.optimizer, training.momentum, training.weight_decay) == ("sgd", 0, 0)
        if self.learner == "reptile" and self.options.get("beta2") and not descends:
            # Its moments are moved as its weights are; anything but a plain step could make them negative.
            rule = "sgd without momentum and weight decay for Reptile with an inner Adam"
            value = f"{training.optimizer}, momentum {training.momentum:g}, decay {training.weight_decay:g}"
            remedy = "Leave them out, or set beta2 to None."
            raise InvalidParameterError.of("optimizer", "fewshot", rule, value, remedy)
        if self.learner == "prompts" and self.data not in REGRESSIONS:
            rule = f"another method than prompts but for {', '.join(REGRESSIONS)}"
            raise InvalidParameterError.of("learner", "fewshot", rule, self.learner, "Try cavia.")
        if self.learner in WITHOUT_STEPS and self.data in REGRESSIONS:
            rule = "a method for regression"
            raise InvalidParameterError.of("learner", "fewshot", rule, self.learner, "Try maml.")
        if self.learner in FIXED_WAYS and self.train_ways not in {None, self.ways}:
            rule = f"the ways of the test, {self.ways}, for {self.learner}"
            raise InvalidParameterError.of(
                "train_ways", "fewshot", rule, self.train_ways, "Leave it out."
            )

    @property
    def is_regression(self) -> bool:
        """Whether outputs are numbers, not classes."""
        return self.data in REGRESSIONS
