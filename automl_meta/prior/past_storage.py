"""Priors of past searches on disk: safetensors for numbers, JSON for everything else, nothing that runs code."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from automl_meta._typing import JSON, FloatArray
from automl_meta.exceptions import StoreError
from automl_meta.metadata.files import write_whole
from automl_meta.prior.past import PastPrior
from automl_meta.prior.prior import Portfolio
from automl_meta.prior.responses import Responses, WarpPrior
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
_RESPONSES = "responses.safetensors"
_TABLES = "tables.safetensors"
_SURROGATE = "surrogate.safetensors"


def save_past(prior: PastPrior, folder: Path) -> None:
    """Write a prior of past searches.

    Args:
        prior: The prior.
        folder: Its folder, made if need be; files in it are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    warps = prior.responses.warps
    numbers = dict(prior.responses.network)
    for name, gaussian in warps.items():
        numbers |= {f"{name}.mean": gaussian.mean, f"{name}.root": gaussian.root}
    files = [_RESPONSES, _TABLES]
    save_file({k: _tensor(v) for k, v in numbers.items()}, folder / _RESPONSES)
    tables = {"regrets": prior.portfolio.regrets, "features": prior.portfolio.meta_features}
    save_file({k: _tensor(v) for k, v in tables.items()}, folder / _TABLES)
    if prior.meta is not None:
        files.append(_SURROGATE)
        save_file({k: v.contiguous() for k, v in prior.meta.items()}, folder / _SURROGATE)
    manifest = {
        "schema": SCHEMA,
        "kind": KIND,
        "space": prior.space.to_json(),
        "algorithm": {"name": type(prior.algorithm).__name__, **asdict(prior.algorithm)},  # type: ignore[call-overload]
        "warps": {
            name: {
                "centre": gaussian.centre,
                "spread": gaussian.spread,
                "unit": gaussian.unit,
                "log_scale": gaussian.log_scale,
                "offset": gaussian.offset,
                "offset_variance": gaussian.offset_variance,
            }
            for name, gaussian in warps.items()
        },
        "configurations": list(prior.portfolio.configurations),
        "feature_names": list(prior.portfolio.feature_names),
        "n_start": prior.n_start,
        "closed": prior.closed,
        "facts": prior.facts,
        "sha256": {name: digest(folder / name) for name in files},
    }
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1))


def is_past(folder: Path) -> bool:
    """Tell whether a folder holds a prior of past searches.

    Raises:
        StoreError: If it holds no meta-learner.
    """
    return bool(read_manifest(folder).get("kind") == KIND)


def load_past(folder: Path) -> PastPrior:
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


def _prior(folder: Path, manifest: JSON) -> PastPrior:
    numbers = _arrays(folder, _RESPONSES, manifest)
    tables = _arrays(folder, _TABLES, manifest)
    options = dict(manifest["algorithm"])
    warps = {
        name: WarpPrior(
            numbers.pop(f"{name}.mean"),
            numbers.pop(f"{name}.root"),
            facts["centre"],
            facts["spread"],
            facts["unit"],
            tuple(facts["log_scale"]),
            tuple(facts["offset"]),
            facts["offset_variance"],
        )
        for name, facts in manifest["warps"].items()
    }
    has_surrogate = _SURROGATE in manifest["sha256"]
    return PastPrior(
        SearchSpace.from_json(manifest["space"]),
        Responses(numbers, warps),
        Portfolio(
            tuple(manifest["configurations"]),
            tables["regrets"],
            tables["features"],
            tuple(manifest["feature_names"]),
        ),
        ALGORITHMS[options.pop("name")](**options),
        read_tensors(folder, _SURROGATE, manifest) if has_surrogate else None,
        manifest["n_start"],
        manifest["closed"],
        manifest["facts"],
    )


def _arrays(folder: Path, name: str, manifest: JSON) -> dict[str, FloatArray]:
    tensors = read_tensors(folder, name, manifest)
    return {key: value.double().numpy() for key, value in tensors.items()}


def _tensor(values: FloatArray) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).contiguous()
