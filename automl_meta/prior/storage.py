"""Meta-learners on disk: safetensors for numbers, JSON for everything else, nothing that runs code.

A learner is a folder::

    manifest.json          schema, space, what it was trained on and how
    tables.safetensors     regrets [T, C] and meta-features [T, F] of the past tasks
    all.safetensors        the models trained on all tasks
    fold-0.safetensors ... the models that never saw the tasks of one fold

A *collection* is a folder with one learner a search space and ``tasks.json``, the fingerprints of the
past tasks.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from automl_meta._folders import made_folder
from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.files import write_whole
from automl_meta.metalearn import FOMAML, MAML, Algorithm, MetaSGD, Reptile
from automl_meta.prior.models import Models, from_tensors, to_record, to_tensors
from automl_meta.prior.portfolio import Portfolio
from automl_meta.prior.prior import Prior
from automl_meta.prior.pruning import NEVER, PrunerModel
from automl_meta.spaces import SearchSpace

SCHEMA = 2
MANIFEST = "manifest.json"
TABLES = "tables.safetensors"
ALL = "all"
#: Starting points from the portfolio: after one, what it scored tells the models more than a second one would.
_N_START = 1
#: First trials that are chosen among the configurations of past tasks: one for so many of these, or there would be too
#: little choice, and no more than so many.
_CONFIGURATIONS_A_TRIAL = 25
_MOST_PROVEN = 10

#: Names in manifests to classes.
ALGORITHMS: dict[str, type[Any]] = {c.__name__: c for c in (MAML, FOMAML, Reptile, MetaSGD)}


@dataclass(frozen=True)
class TrainedTask:
    """A past task as a learner remembers it.

    Attributes:
        title: Readable name.
        digest: Of the fingerprint.
        group: Near duplicates share one number.
        fold: The fold whose model never saw it.
    """

    title: str
    digest: str
    group: int
    fold: int


@dataclass(frozen=True, eq=False)
class Learner:
    """A learner as it is stored: one prior for all tasks and one for each left-out fold.

    Attributes:
        name: The space's name, such as ``"auto-classification"``.
        tasks: Past tasks in the order of the tables' rows.
        metric: What the scores were, in words.
        portfolio: Over all tasks.
        algorithm: Shared by all surrogates.
        models: ``"all"``, ``"fold-0"``, ... to what was trained.
        pruners: The same names to pruner models.
        space: The search space.
        facts: Versions, seed, counts, command; JSON-ready.
    """

    name: str
    tasks: tuple[TrainedTask, ...]
    metric: str
    portfolio: Portfolio
    algorithm: Algorithm
    models: dict[str, Models]
    pruners: dict[str, PrunerModel]
    space: SearchSpace
    facts: JSON

    def prior(self, model: str = ALL) -> Prior:
        """Return one prior.

        Args:
            model: ``"all"`` or ``"fold-K"``; a fold's prior knows nothing of that fold's tasks.

        Raises:
            InvalidParameterError: If there is no such model.
        """
        if model not in self.models:
            raise InvalidParameterError.of(
                "model",
                "Learner.prior",
                f"one of {', '.join(self.models)}",
                model,
                "Use 'all'.",
            )
        kept = np.array([model == ALL or f"fold-{t.fold}" != model for t in self.tasks])
        portfolio = Portfolio(
            self.portfolio.configurations,
            self.portfolio.regrets[kept],
            self.portfolio.meta_features[kept],
            self.portfolio.feature_names,
        )
        facts = {
            **self.facts,
            "name": self.name,
            "model": model,
            "metric": self.metric,
            "n_tasks": int(kept.sum()),
        }
        return collected_prior(
            self.space, self.models[model], portfolio, self.algorithm, self.pruners[model], facts
        )


def collected_prior(
    space: SearchSpace,
    models: Models,
    portfolio: Portfolio,
    algorithm: Algorithm,
    pruner: PrunerModel = NEVER,
    facts: JSON | None = None,
) -> Prior:
    """Return the prior that collected evaluations make: one starting point, first trials among past configurations.

    Args:
        space: The space.
        models: What was trained.
        portfolio: Configurations that every past task evaluated.
        algorithm: The surrogate's.
        pruner: When to stop a trial early.
        facts: What made it.
    """
    return Prior(
        space,
        models.responses,
        portfolio,
        algorithm,
        models.meta,
        models.conditioner,
        pruner,
        n_start=_N_START,
        proven_until=_proven_until(portfolio),
        facts=facts or {},
    )


def _proven_until(portfolio: Portfolio) -> int:
    """Return how many first trials are chosen among a portfolio's configurations, >= 1."""
    return max(1, min(_MOST_PROVEN, len(portfolio.configurations) // _CONFIGURATIONS_A_TRIAL))


def save_learner(learner: Learner, folder: Path) -> None:
    """Write a learner.

    Args:
        learner: The learner.
        folder: Its folder, made if need be; files in it are replaced.

    Raises:
        StoreError: If the folder cannot be made.
    """
    made_folder(folder)
    tables = {
        "regrets": torch.tensor(learner.portfolio.regrets, dtype=torch.float16),
        "meta_features": torch.tensor(learner.portfolio.meta_features, dtype=torch.float32),
    }
    save_file(tables, folder / TABLES)
    for model, trained in learner.models.items():
        save_file(to_tensors(trained, dtype=torch.float16), folder / f"{model}.safetensors")
    files = [TABLES, *(f"{model}.safetensors" for model in learner.models)]
    manifest = {
        "schema": SCHEMA,
        "name": learner.name,
        "metric": learner.metric,
        "algorithm": {"name": type(learner.algorithm).__name__, **asdict(learner.algorithm)},  # type: ignore[call-overload]
        "space": learner.space.to_json(),
        "space_hash": learner.space.schema_hash,
        "models": {model: to_record(trained) for model, trained in learner.models.items()},
        "pruners": {model: asdict(pruner) for model, pruner in learner.pruners.items()},
        "feature_names": list(learner.portfolio.feature_names),
        "configurations": list(learner.portfolio.configurations),
        "tasks": [asdict(task) for task in learner.tasks],
        "facts": learner.facts,
        "sha256": {name: digest(folder / name) for name in files},
    }
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1))


def load_learner(folder: Path) -> Learner:
    """Read a learner.

    Args:
        folder: A folder that ``save_learner`` wrote.

    Raises:
        StoreError: If a file is missing, damaged or of another schema.
    """
    manifest = read_manifest(folder)
    try:
        tables = read_tensors(folder, TABLES, manifest)
        options = dict(manifest["algorithm"])
        algorithm = ALGORITHMS[options.pop("name")](**options)
        pruners = {k: PrunerModel(**v) for k, v in manifest["pruners"].items()}
        portfolio = Portfolio(
            tuple(manifest["configurations"]),
            tables["regrets"].double().numpy(),
            tables["meta_features"].double().numpy(),
            tuple(manifest["feature_names"]),
        )
        learner = Learner(
            manifest["name"],
            tuple(TrainedTask(**task) for task in manifest["tasks"]),
            manifest["metric"],
            portfolio,
            algorithm,
            {
                model: from_tensors(
                    read_tensors(folder, f"{model}.safetensors", manifest),
                    manifest["models"][model],
                )
                for model in pruners
            },
            pruners,
            SearchSpace.from_json(manifest["space"]),
            manifest["facts"],
        )
    except StoreError:  # a ValueError too, but it says already what is wrong
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"The manifest {folder / MANIFEST} lacks or garbles {error}. Train the learner again."
        raise StoreError(msg) from error
    _check_tables(learner, folder)
    return learner


def _check_tables(learner: Learner, folder: Path) -> None:
    """Refuse tables that do not belong to the tasks and configurations of the manifest."""
    portfolio = learner.portfolio
    n = len(learner.tasks)
    expected = {
        "regrets": (portfolio.regrets, (n, len(portfolio.configurations))),
        "meta_features": (portfolio.meta_features, (n, len(portfolio.feature_names))),
    }
    for name, (table, shape) in expected.items():
        if table.shape != shape:
            msg = (
                f"The {name} in {folder / TABLES} have shape {table.shape}, but the manifest names {shape[0]} "
                f"tasks and {shape[1]} columns. Copy the whole folder again or train the learner again."
            )
            raise StoreError(msg)
    if ALL not in learner.models:
        msg = f"The manifest {folder / MANIFEST} lacks the model '{ALL}'. Train the learner again."
        raise StoreError(msg)


def read_manifest(folder: Path) -> JSON:
    """Read what a learner's folder says of itself.

    Args:
        folder: A folder with a learner of any kind.

    Raises:
        StoreError: If there is none, or one of another schema.
    """
    path = folder / MANIFEST
    try:
        manifest: JSON = json.loads(path.read_text(encoding="utf-8"))
        schema = manifest["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"No meta-learner in {folder}: {error}. Name a folder that automl-meta train wrote."
        raise StoreError(msg) from error
    if schema != SCHEMA:
        msg = (
            f"The meta-learner in {folder} has schema {schema}, this version reads schema {SCHEMA}. "
            "Train it again with automl-meta train."
        )
        raise StoreError(msg)
    return manifest


def read_tensors(folder: Path, name: str, manifest: JSON) -> dict[str, torch.Tensor]:
    """Read a learner's file of numbers and check that it is the manifest's.

    Args:
        folder: The learner's folder.
        name: Name of the file.
        manifest: From ``read_manifest``.

    Raises:
        StoreError: If the file is missing, damaged or another one.
    """
    path = folder / name
    try:
        if digest(path) != manifest["sha256"].get(name):
            msg = f"{path} is not the file that its manifest names. Copy the whole folder again."
            raise StoreError(msg)
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        msg = (
            f"Cannot read {path}: {error}. Copy the whole folder again or train the learner again."
        )
        raise StoreError(msg) from error


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
