"""A small family of problems on which transfer is possible and checkable."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from automl_meta.metadata.store import TaskRecord
from automl_meta.prior.dataset import MetaTable, TaskTable
from automl_meta.prior.scores import normal_scores
from automl_meta.spaces import Condition, Encoder, SearchSpace
from automl_meta.tasks.fingerprint import Fingerprint

SPACE = SearchSpace(
    "toy-classification",
    1,
    {
        "kind": CategoricalDistribution(["good", "bad"]),
        "x": FloatDistribution(0.0, 1.0),
        "good.y": FloatDistribution(0.0, 1.0),
    },
    {"good.y": Condition("kind", ("good",))},
)


def score(configuration, shift, rng=None):
    """Best near x = 0.7, y = 0.3, a little elsewhere on every task; 'bad' is bad everywhere."""
    value = -((configuration["x"] - 0.7 - 0.1 * shift) ** 2)
    if configuration["kind"] == "bad":
        value -= 0.5
    else:
        value -= (configuration["good.y"] - 0.3 + 0.1 * shift) ** 2
    return value + (0.0 if rng is None else 0.005 * rng.normal())


def make_table(n_tasks=8, n=40, n_shared=16, seed=0):
    rng = np.random.default_rng(seed)
    encoder = Encoder(SPACE)
    shared = SPACE.sample(rng, n_shared)
    tasks = []
    for index in range(n_tasks):
        shift = rng.uniform(-1, 1)
        configurations = [*shared, *SPACE.sample(rng, n - n_shared)]
        folds = np.array([[score(c, shift, rng) for _ in range(3)] for c in configurations])
        raw = folds.mean(1)
        record = TaskRecord(
            f"task {index}",
            "made up",
            "binary",
            "roc_auc",
            Fingerprint(
                100 + index,
                2,
                (0.5 + index / 100, 0.5, 0, 0, 0),
                ((1.0, 0.0, index / 9, 0, 0, 0, 0),),
            ),
            {"shift": shift, "nothing": 1.0},
        )
        places = np.array([*range(n_shared), *[-1] * (n - n_shared)])
        tasks.append(
            TaskTable(
                record, encoder.encode(configurations), raw, normal_scores(raw), folds, places
            )
        )
    return MetaTable(SPACE, tuple(tasks), tuple(shared))


@pytest.fixture(scope="session")
def table():
    return make_table()


@pytest.fixture(scope="session")
def learner(table):
    from automl_meta.metalearn import MetaSGD
    from automl_meta.prior.build import BuildSettings, train_models
    from automl_meta.prior.portfolio import Portfolio
    from automl_meta.prior.pruning import learn_pruner
    from automl_meta.prior.storage import Learner, TrainedTask
    from automl_meta.prior.warm_start import regret_matrix
    from automl_meta.training import TrainingSettings

    algorithm = MetaSGD(initial_rate=0.01)
    training = TrainingSettings(steps=150, learning_rate=1e-2, schedule="cosine", clip_norm=5.0)
    settings = BuildSettings(
        algorithm, training, features=(16, 16), feature_steps=(400, 400), hidden=16, embedding=4
    )
    features = np.array(
        [[t.record.meta_features[n] for n in ("shift", "nothing")] for t in table.tasks]
    )
    folds = [i % 2 for i in range(len(table.tasks))]
    models = {"all": table, **{f"fold-{k}": table.without([f == k for f in folds]) for k in (0, 1)}}
    return Learner(
        SPACE.name,
        tuple(
            TrainedTask(t.record.title, t.record.fingerprint.digest, i, folds[i])
            for i, t in enumerate(table.tasks)
        ),
        "roc_auc",
        Portfolio(table.shared, regret_matrix(table), features, ("shift", "nothing")),
        algorithm,
        {k: train_models(t, settings) for k, t in models.items()},
        {k: learn_pruner([task.folds for task in t.tasks]) for k, t in models.items()},
        SPACE,
        {"seed": 0},
    )


@pytest.fixture(scope="session")
def toy_score():
    return score
