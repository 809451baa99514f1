"""A small but real prior: nearest neighbours over the evaluations of past tasks."""

import math
from unittest.mock import patch

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from automl_meta.metadata.store import TaskRecord
from automl_meta.metalearn import MetaSGD
from automl_meta.prior import Learner, Portfolio
from automl_meta.prior.build import BuildSettings, train_models
from automl_meta.prior.dataset import MetaTable, TaskTable
from automl_meta.prior.pruning import learn_pruner
from automl_meta.prior.responses import learn_responses
from automl_meta.prior.scores import normal_scores
from automl_meta.prior.storage import TrainedTask
from automl_meta.spaces import Condition, Encoder, SearchSpace
from automl_meta.tasks.fingerprint import Fingerprint
from automl_meta.training import TrainingSettings

optuna.logging.set_verbosity(optuna.logging.WARNING)


def trained_briefly():
    """Train response networks for 300 steps instead of 2,500: for tests of what becomes of a learner, not of how good it is."""
    return patch.dict(learn_responses.__kwdefaults__, {"steps": 300})


@pytest.fixture
def brief_training():
    with trained_briefly():
        yield


@pytest.fixture(scope="module")
def brief_module():
    with trained_briefly():
        yield


SPACE = SearchSpace(
    "toy-svm",
    1,
    {
        "kernel": CategoricalDistribution(["linear", "rbf", "poly"]),
        "cost": FloatDistribution(1e-3, 1e3, log=True),
        "gamma": FloatDistribution(1e-4, 1e1, log=True),
        "degree": IntDistribution(2, 5),
        "shrinking": CategoricalDistribution([True, False]),
    },
    {"gamma": Condition("kernel", ("rbf",)), "degree": Condition("kernel", ("poly",))},
)


def score(configuration: dict, shift: float = 0.0) -> float:
    """Greater is better; best at the rbf kernel, cost 10^(1 + shift), gamma 10^(-2 - shift)."""
    value = {"linear": 0.5, "poly": 0.55, "rbf": 0.9}[configuration["kernel"]]
    value -= 0.03 * (math.log10(configuration["cost"]) - 1 - shift) ** 2
    if configuration["kernel"] == "rbf":
        value -= 0.03 * (math.log10(configuration["gamma"]) + 2 + shift) ** 2
    if configuration["kernel"] == "poly":
        value -= 0.01 * configuration["degree"]
    return value


class MedianOfFolds:
    """Prunes what is below the median of the finished means by more than a tenth."""

    def should_prune(self, fold_scores, n_folds, finished):
        means = [np.mean(scores) for scores in finished]
        return np.mean(fold_scores) < np.median(means) - 0.1  # NumPy's bool, on purpose


class NearestNeighbourPrior:
    """Predicts a configuration by its nearest evaluations, past and present."""

    pruner = MedianOfFolds()
    closed = False

    def __init__(self, space: SearchSpace, past: list[tuple[dict, float]]) -> None:
        self.space = space
        self.past = past
        self.calls: list[tuple[list, list[dict]]] = []

    @classmethod
    def trained(cls, space: SearchSpace, judge, n: int = 150) -> "NearestNeighbourPrior":
        rng = np.random.default_rng(0)
        return cls(space, [(c, judge(c)) for c in space.sample(rng, n)])

    def warm_start(self, n, meta_features=None):
        shift = (meta_features or {}).get("shift", 0.0)
        ranked = sorted(self.past, key=lambda pair: -pair[1] - shift * pair[0].get("cost", 0.0))
        return [configuration for configuration, _ in ranked[:n]]

    def hands_over(self, observed):
        return False

    def propose(self, observed, pending, rng, *, space=None):
        self.calls.append((list(observed), [dict(c) for c in pending]))
        for item in observed:
            self.space.validate(item.configuration)
        for configuration in pending:
            self.space.validate(configuration)
        encoder = Encoder(self.space)
        seen = [*(item.configuration for item in observed), *pending]
        candidates = [*self.space.sample(rng, 25), *self.warm_start(3)]
        candidates = [c for c in candidates if c not in seen] or candidates
        points = encoder.encode(candidates)
        value = self._nearest_mean(encoder, points)
        floor = min((o.score for o in observed if o.score is not None), default=0.0) - 1.0
        for item in observed:
            near = np.exp(-20 * np.square(points - encoder.encode([item.configuration])).sum(1))
            level = floor if item.score is None else item.score
            value = (1 - near) * value + near * (level - 0.05)
        for configuration in pending:  # as if it had come out badly: the constant liar
            near = np.exp(-20 * np.square(points - encoder.encode([configuration])).sum(1))
            value = (1 - near) * value + near * floor
        return candidates[int(np.argmax(value))]

    def _nearest_mean(self, encoder, points):
        known = encoder.encode([configuration for configuration, _ in self.past])
        scores = np.array([result for _, result in self.past])
        distance = np.square(points[:, None] - known[None]).sum(axis=-1)
        return scores[np.argsort(distance, axis=1)[:, :5]].mean(axis=1)


@pytest.fixture
def space() -> SearchSpace:
    return SPACE


@pytest.fixture
def judge():
    return score


@pytest.fixture
def prior(space) -> NearestNeighbourPrior:
    return NearestNeighbourPrior.trained(space, score)


@pytest.fixture
def make_prior():
    """``make_prior(space, judge)`` for spaces other than the toy one."""
    return NearestNeighbourPrior.trained


@pytest.fixture(scope="session")
def learner() -> Learner:
    """A learner trained on twelve toy tasks, as small as one can be that has learned something."""
    rng = np.random.default_rng(0)
    configurations = SPACE.sample(rng, 60)
    encodings = Encoder(SPACE).encode(configurations)
    shifts = np.linspace(-1.0, 1.0, 12)
    tables = [_toy_table(shift, configurations, encodings, rng) for shift in shifts]
    raw = np.array([table.raw for table in tables])
    best, worst = raw.max(axis=1, keepdims=True), raw.min(axis=1, keepdims=True)
    algorithm = MetaSGD(initial_rate=0.01)
    training = TrainingSettings(steps=120, learning_rate=1e-2, schedule="cosine", clip_norm=5.0)
    settings = BuildSettings(
        algorithm, training, features=(16, 16), feature_steps=(400, 400), hidden=16, embedding=4
    )
    parts = {"all": tables, "fold-0": tables[3:]}
    return Learner(
        name=SPACE.name,
        tasks=tuple(TrainedTask(f"toy {i}", str(i), i, i // 3) for i in range(12)),
        metric="toy",
        portfolio=Portfolio(
            tuple(configurations), (best - raw) / (best - worst), shifts[:, None], ("shift",)
        ),
        algorithm=algorithm,
        models={
            name: train_models(MetaTable(SPACE, tuple(part), tuple(configurations)), settings)
            for name, part in parts.items()
        },
        pruners={
            name: learn_pruner([table.folds for table in part]) for name, part in parts.items()
        },
        space=SPACE,
        facts={"seed": 0},
    )


def _toy_table(shift, configurations, encodings, rng) -> TaskTable:
    raw = np.array([score(configuration, shift) for configuration in configurations])
    return TaskTable(
        record=TaskRecord(
            "toy", "", "binary", "roc_auc", Fingerprint(1, 2, (), ()), {"shift": shift}
        ),
        encodings=encodings,
        raw=raw,
        scores=normal_scores(raw),
        folds=raw[:, None] + 0.01 * rng.standard_normal((len(raw), 3)),
        shared=np.arange(len(raw)),
    )
