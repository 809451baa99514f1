"""From a meta-dataset to a learner: models of all tasks, and of all but each left-out fold."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from automl_meta._typing import ProblemKind
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.splits import task_folds
from automl_meta.metadata.store import TaskRecord, read_evaluations, read_tasks, write_tasks
from automl_meta.metalearn import Algorithm, MetaSGD
from automl_meta.pipelines import AUTO, Family
from automl_meta.prior.collection import refuse_other_tasks, stored_learners
from automl_meta.prior.conditioning import learn_conditioner
from automl_meta.prior.dataset import MetaTable, meta_table
from automl_meta.prior.meta_training import train_surrogate
from automl_meta.prior.models import Models
from automl_meta.prior.portfolio import Portfolio
from automl_meta.prior.pruning import learn_pruner
from automl_meta.prior.responses import BATCH, STEPS, learn_responses
from automl_meta.prior.scores import bounded
from automl_meta.prior.storage import (
    ALL,
    Learner,
    TrainedTask,
    save_learner,
)
from automl_meta.prior.surrogate import SurrogateShape
from automl_meta.prior.warm_start import regret_matrix
from automl_meta.spaces import Encoder
from automl_meta.training import TrainingSettings

#: Passes through all evaluations when the response features are trained.
_PASSES = 85


@dataclass(frozen=True)
class BuildSettings:
    """How learners are trained.

    Attributes:
        algorithm: Inner loop of the surrogate.
        training: Outer loop.
        features: Hidden units of each layer of the response features, at least and at most; between them it is two
            for each column of the encoding.
        feature_steps: Steps of their training, at least and at most; between them it is enough for 85 passes through
            the evaluations.
        hidden: Hidden units of the surrogate's network.
        embedding: Columns of its embedding.
        n_folds: Leave-out folds over the tasks, >= 2.
        seed: Seed of folds, weights and draws.
    """

    algorithm: Algorithm = field(default_factory=lambda: MetaSGD(initial_rate=0.01, steps=1))
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            steps=600, learning_rate=3e-3, schedule="cosine", clip_norm=5.0
        )
    )
    features: tuple[int, int] = (48, 96)
    feature_steps: tuple[int, int] = (1000, STEPS)
    hidden: int = 32
    embedding: int = 8
    n_folds: int = 5
    seed: int = 0


def build_learner(
    evaluations: pd.DataFrame,
    records: Sequence[TaskRecord],
    family: Family,
    problem: ProblemKind,
    settings: BuildSettings,
    on_model: Callable[[str], None] | None = None,
) -> Learner:
    """Train everything that ships for one family and problem kind.

    Args:
        evaluations: From ``metadata.store.read_evaluations``.
        records: Tasks of the meta-dataset.
        family: The family.
        problem: ``"classification"`` or ``"regression"``.
        settings: How.
        on_model: Called with the name of each model when it is trained.

    Raises:
        StoreError: If there are fewer than two groups of tasks to leave out.
    """
    table = meta_table(evaluations, records, family, problem)
    tasks = _trained_tasks(table, records, settings)
    folds = np.array([task.fold for task in tasks])
    left_out = {f"fold-{k}": folds == k for k in range(settings.n_folds)}
    left_out = {
        ALL: np.zeros(len(tasks), dtype=bool),
        **{k: v for k, v in left_out.items() if v.any()},
    }
    if len(left_out) < 3:
        msg = f"Only {len(tasks)} {problem} tasks of {family.name}: too few to leave any out. Collect more tasks."
        raise StoreError(msg)
    models, pruners = {}, {}
    for name, out in left_out.items():
        kept = table.without(list(out))
        models[name] = train_models(kept, settings)
        pruners[name] = learn_pruner([task.folds for task in kept.tasks], settings.seed)
        if on_model:
            on_model(name)
    return Learner(
        table.space.name,
        tasks,
        _metrics(table),
        portfolio_of(table),
        settings.algorithm,
        models,
        pruners,
        table.space,
        _facts(table, settings),
    )


def train_models(table: MetaTable, settings: BuildSettings) -> Models:
    """Train what serves searches on tasks that are not in a table.

    Args:
        table: The past tasks.
        settings: How.
    """
    x = [task.encodings for task in table.tasks]
    raw = [bounded(task.raw) for task in table.tasks]
    hidden = int(np.clip(2 * x[0].shape[1], *settings.features))
    passes = _PASSES * sum(len(rows) for rows in x) // BATCH
    steps = int(np.clip(passes, *settings.feature_steps))
    responses, weights = learn_responses(x, raw, hidden=hidden, steps=steps, seed=settings.seed)
    described = [task.record.meta_features for task in table.tasks]
    shape = SurrogateShape(Encoder(table.space).n_columns, settings.hidden, settings.embedding)
    meta = train_surrogate(table.tasks, shape, settings.algorithm, settings.training, settings.seed)
    return Models(responses, learn_conditioner(described, responses, weights, x), meta)


def _trained_tasks(
    table: MetaTable, records: Sequence[TaskRecord], settings: BuildSettings
) -> tuple[TrainedTask, ...]:
    """Return the table's tasks with their groups and folds, which all records together decide."""
    groups, folds = task_folds(records, settings.n_folds, settings.seed)
    place = {record.title: i for i, record in enumerate(records)}
    rows = [place[t.record.title] for t in table.tasks]
    return tuple(
        TrainedTask(records[i].title, records[i].fingerprint.digest, int(groups[i]), int(folds[i]))
        for i in rows
    )


def _metrics(table: MetaTable) -> str:
    """Return what the scores were, in words, such as ``"roc_auc (binary), neg_log_loss (multiclass)"``."""
    pairs = Counter((t.record.metric, t.record.kind) for t in table.tasks)
    return ", ".join(f"{metric} ({kind})" for (metric, kind), _ in pairs.most_common())


def portfolio_of(table: MetaTable) -> Portfolio:
    """Return the shared configurations with their regrets and the tasks' meta-features."""
    names = tuple(table.tasks[0].record.meta_features)
    features = np.array([[t.record.meta_features[n] for n in names] for t in table.tasks])
    return Portfolio(table.shared, regret_matrix(table), features, names)


def _facts(table: MetaTable, settings: BuildSettings) -> dict[str, object]:
    packages = ("automl-meta", "torch", "numpy", "scikit-learn", "optuna")
    return {
        "n_evaluations": int(sum(len(t.raw) for t in table.tasks)),
        "training": asdict(settings.training),
        "features": settings.features,
        "feature_steps": settings.feature_steps,
        "hidden": settings.hidden,
        "embedding": settings.embedding,
        "n_folds": settings.n_folds,
        "seed": settings.seed,
        "versions": {name: version(name) for name in packages},
    }


@dataclass(frozen=True)
class Built:
    """One learner of a collection was trained.

    Attributes:
        name: Such as ``"auto-classification"``.
        done: Learners finished so far.
        total: Learners in all.
    """

    name: str
    done: int
    total: int


def build_collection(
    meta_dataset: Path,
    folder: Path,
    families: Sequence[Family],
    settings: BuildSettings,
    *,
    jobs: int = 1,
    resume: bool = False,
    on_built: Callable[[Built], None] | None = None,
) -> list[str]:
    """Train a learner for every family and problem kind that the meta-dataset has evaluations of.

    Args:
        meta_dataset: A folder that ``collect`` or ``compact`` wrote.
        folder: Where the learners and ``tasks.json`` go.
        families: The families.
        settings: How.
        jobs: Learners trained at once, one process and one thread each, >= 1.
        resume: Keep learners in the folder that would come out the same: whole, of the present space, and of
            the same tasks, evaluations and settings.
        on_built: Called after each learner.

    Returns:
        Names of the learners in the folder.

    Raises:
        StoreError: If the meta-dataset has nothing for these families, or the folder holds learners of
            tasks that are not in it.
    """
    evaluations, records = read_evaluations(meta_dataset), read_tasks(meta_dataset)
    wanted = [(f, p) for f in families for p in _problems(evaluations, records, f)]
    if not wanted:
        names = ", ".join(family.name for family in families)
        msg = f"{meta_dataset} has no evaluations of {names}. Collect some, or name other families."
        raise StoreError(msg)
    stored = stored_learners(folder)
    refuse_other_tasks(folder, stored, records)
    write_tasks(folder, [replace(record, meta_features={}) for record in records])
    waiting = list(wanted)
    if resume:
        waiting = [
            (family, problem)
            for family, problem in wanted
            if not _is_up_to_date(
                stored.get(family.space(problem).name),
                meta_table(evaluations, records, family, problem),
                records,
                settings,
            )
        ]
    done = len(wanted) - len(waiting)
    # No memory maps: the tracker of mapped files prints tracebacks when processes share a large table by turns.
    results = Parallel(n_jobs=jobs, return_as="generator_unordered", max_nbytes=None)(
        delayed(_build_one)(evaluations, records, family, problem, settings, folder)
        for family, problem in waiting
    )
    for name in results:
        done += 1
        if on_built:
            on_built(Built(name, done, len(wanted)))
    return [family.space(problem).name for family, problem in wanted]


def _is_up_to_date(
    learner: Learner | None,
    table: MetaTable,
    records: Sequence[TaskRecord],
    settings: BuildSettings,
) -> bool:
    """Tell whether training now would give this learner again, but for versions of libraries."""
    if learner is None:
        return False
    now = json.loads(json.dumps(_facts(table, settings)))
    names = now.keys() - {"versions", "training"}
    return (
        learner.space.schema_hash == table.space.schema_hash
        and learner.tasks == _trained_tasks(table, records, settings)
        and learner.metric == _metrics(table)
        and learner.algorithm == settings.algorithm
        and all(learner.facts.get(name) == now[name] for name in names)
        and _trained_with(learner) == settings.training
        and _same_portfolio(learner.portfolio, portfolio_of(table))
    )


def _trained_with(learner: Learner) -> TrainingSettings | None:
    """Return the stored settings of the training, or None where this version cannot read them."""
    record = learner.facts.get("training")
    try:
        return TrainingSettings.from_record(record) if isinstance(record, Mapping) else None
    except (TypeError, InvalidParameterError):
        return None


def _same_portfolio(stored: Portfolio, now: Portfolio) -> bool:
    """Tell whether two portfolios agree up to the precision of storage (regrets in 16 bits)."""
    return (
        stored.configurations == now.configurations
        and stored.feature_names == now.feature_names
        and np.allclose(stored.regrets, now.regrets, atol=1e-3)
        and np.allclose(stored.meta_features, now.meta_features, equal_nan=True)
    )


def _problems(
    evaluations: pd.DataFrame, records: Sequence[TaskRecord], family: Family
) -> list[ProblemKind]:
    kinds = {record.title: record.kind for record in records}
    rows = evaluations
    if family.name != AUTO.name:
        rows = evaluations[evaluations["family"] == family.name]
    present = {kinds[title] == "regression" for title in rows["task"].unique() if title in kinds}
    every: tuple[ProblemKind, ...] = ("classification", "regression")
    return [p for p in every if (p == "regression") in present]


def _build_one(
    evaluations: pd.DataFrame,
    records: Sequence[TaskRecord],
    family: Family,
    problem: ProblemKind,
    settings: BuildSettings,
    folder: Path,
) -> str:
    with threadpool_limits(1):
        torch.set_num_threads(1)
        learner = build_learner(evaluations, records, family, problem, settings)
    save_learner(learner, folder / learner.name)
    return learner.name
