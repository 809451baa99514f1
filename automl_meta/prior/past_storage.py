"""Priors of past searches on disk: safetensors for numbers, JSON for everything else, nothing that runs code."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from automl_meta._folders import made_folder
from automl_meta._typing import JSON, FloatArray
from automl_meta.exceptions import StoreError
from automl_meta.metadata.files import write_whole
from automl_meta.prior.models import Models, from_tensors, to_record, to_tensors
from automl_meta.prior.portfolio import Portfolio
from automl_meta.prior.prior import Prior
from automl_meta.prior.pruning import PrunerModel
from automl_meta.prior.storage import (
    ALGORITHMS,
    MANIFEST,
    SCHEMA,
    digest,
    read_manifest,
    read_tensors,
)
from automl_meta.spaces import SearchSpace

#: What the manifest calls this kind of learner; those of ``automl-meta collect`` have no kind.
KIND = "past"
_MODELS = "models.safetensors"
_TABLES = "tables.safetensors"


def save_past(prior: Prior, folder: Path) -> None:
    """Write a prior of past searches.

    Args:
        prior: The prior.
        folder: Its folder, made if need be; files in it are replaced.

    Raises:
        StoreError: If the folder cannot be made.
    """
    made_folder(folder)
    models = Models(prior.responses, prior.conditioner, prior.meta)
    save_file(to_tensors(models), folder / _MODELS)
    tables = {"regrets": prior.portfolio.regrets, "features": prior.portfolio.meta_features}
    save_file({k: _tensor(v) for k, v in tables.items()}, folder / _TABLES)
    manifest = {
        "schema": SCHEMA,
        "kind": KIND,
        "space": prior.space.to_json(),
        "algorithm": {"name": type(prior.algorithm).__name__, **asdict(prior.algorithm)},  # type: ignore[call-overload]
        "models": to_record(models),
        "configurations": list(prior.portfolio.configurations),
        "feature_names": list(prior.portfolio.feature_names),
        "n_start": prior.n_start,
        "proven_until": prior.proven_until,
        "pruner": asdict(prior.pruner),
        "closed": prior.closed,
        "facts": prior.facts,
        "sha256": {name: digest(folder / name) for name in (_MODELS, _TABLES)},
    }
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1))


def is_past(folder: Path) -> bool:
    """Tell whether a folder holds a prior of past searches.

    Raises:
        StoreError: If it holds no meta-learner.
    """
    return bool(read_manifest(folder).get("kind") == KIND)


def load_past(folder: Path) -> Prior:
    """Read a prior of past searches.

    Args:
        folder: A folder that ``save_past`` wrote.

    Raises:
        StoreError: If a file is missing, damaged or of another schema.
    """
    manifest = read_manifest(folder)
    try:
        return _prior(folder, manifest)
    except StoreError:  # a ValueError too, but it says already what is wrong
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"The manifest {folder / MANIFEST} lacks or garbles {error}. Train the learner again."
        raise StoreError(msg) from error


def _prior(folder: Path, manifest: JSON) -> Prior:
    models = from_tensors(read_tensors(folder, _MODELS, manifest), manifest["models"])
    tables = read_tensors(folder, _TABLES, manifest)
    options = dict(manifest["algorithm"])
    return Prior(
        SearchSpace.from_json(manifest["space"]),
        models.responses,
        Portfolio(
            tuple(manifest["configurations"]),
            tables["regrets"].double().numpy(),
            tables["features"].double().numpy(),
            tuple(manifest["feature_names"]),
        ),
        ALGORITHMS[options.pop("name")](**options),
        models.meta,
        models.conditioner,
        PrunerModel(**manifest["pruner"]),
        n_start=manifest["n_start"],
        proven_until=manifest["proven_until"],
        closed=manifest["closed"],
        facts=manifest["facts"],
    )


def _tensor(values: FloatArray) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).contiguous()
