"""Checkpoints: a safetensors file with every tensor, and a JSON file that names it with its checksum.

The JSON file is replaced last and atomically, so a kill at any moment leaves the previous checkpoint
or the new one, never a mixture.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from automl_meta._typing import JSON
from automl_meta.exceptions import StoreError
from automl_meta.training.optimizer import OptimizerState

SCHEMA = "automl-meta/checkpoint/2"
_INDEX = "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """Everything that the rest of a run depends on.

    Attributes:
        step: Steps done.
        params: Current parameters.
        optimizer: What the optimiser remembers.
        best_params: Parameters of the best validation so far, or the current ones without validation.
        generators: States of the torch generators, one for each process of the run, uint8 tensors.
        counters: Small numbers of the loop (best loss, patience and such), JSON-ready.
        settings: The settings that made it; a resume with others is refused.
    """

    step: int
    params: dict[str, Tensor]
    optimizer: OptimizerState
    best_params: dict[str, Tensor]
    generators: tuple[Tensor, ...]
    counters: JSON = field(default_factory=dict)
    settings: JSON = field(default_factory=dict)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and remove the one before it.

    Args:
        folder: Made if it does not exist.
        checkpoint: What to write.

    Returns:
        Path of the JSON file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups = {
        "params": checkpoint.params,
        "first": checkpoint.optimizer.first,
        "second": checkpoint.optimizer.second,
        "best": checkpoint.best_params,
        "generator": {str(rank): state for rank, state in enumerate(checkpoint.generators)},
    }
    payload = save(
        {
            f"{group}/{name}": leaf.detach().cpu().clone(memory_format=torch.contiguous_format)
            for group, leaves in groups.items()
            for name, leaf in leaves.items()
        }
    )
    tensors = folder / f"checkpoint-{checkpoint.step:08d}.safetensors"
    _replace(tensors, payload)
    index = {
        "schema": SCHEMA,
        "step": checkpoint.step,
        "updates": checkpoint.optimizer.updates,
        "tensors": tensors.name,
        "sha256": hashlib.sha256(payload).hexdigest(),
        "counters": checkpoint.counters,
        "settings": checkpoint.settings,
    }
    _replace(folder / _INDEX, json.dumps(index, indent=1).encode())
    for old in folder.glob("checkpoint-*.safetensors"):
        if old != tensors:
            old.unlink()
    return folder / _INDEX


def load_checkpoint(folder: Path, device: torch.device | str = "cpu") -> Checkpoint | None:
    """Read the checkpoint of a folder.

    Args:
        folder: Where ``save_checkpoint`` wrote.
        device: Where parameters and moments go; the generator's state stays on the CPU.

    Returns:
        The checkpoint, or None if there is none yet.

    Raises:
        StoreError: If it is damaged or of another schema; the message names the file.

    Example:
        >>> load_checkpoint(Path("no such folder")) is None
        True
    """
    path = folder / _INDEX
    if not path.is_file():
        return None
    index = _read_index(path)
    groups = _read_tensors(folder / str(index["tensors"]), str(index["sha256"]))
    moved = {
        group: {name: leaf.to(device) for name, leaf in leaves.items()}
        for group, leaves in groups.items()
    }
    return Checkpoint(
        step=int(index["step"]),
        params=moved["params"],
        optimizer=OptimizerState(int(index["updates"]), moved["first"], moved["second"]),
        best_params=moved["best"],
        generators=tuple(
            groups["generator"][str(rank)] for rank in range(len(groups["generator"]))
        ),
        counters=index["counters"],
        settings=index["settings"],
    )


def _read_index(path: Path) -> JSON:
    try:
        index = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(path, "it is not readable JSON") from error
    if not isinstance(index, dict) or index.get("schema") != SCHEMA:
        found = index.get("schema") if isinstance(index, dict) else None
        raise _damaged(path, f"its schema is {found!r}, not {SCHEMA!r}")
    names = {"step", "updates", "tensors", "sha256", "counters", "settings"}
    if missing := sorted(names - set(index)):
        raise _damaged(path, f"it lacks {', '.join(missing)}")
    if not all(isinstance(index[name], int) for name in ("step", "updates")) or not all(
        isinstance(index[name], dict) for name in ("counters", "settings")
    ):
        raise _damaged(path, "its entries are of the wrong type")
    return index


def _read_tensors(path: Path, digest: str) -> dict[str, dict[str, Tensor]]:
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise _damaged(path, "it is missing or unreadable") from error
    if hashlib.sha256(payload).hexdigest() != digest:
        raise _damaged(path, "its checksum differs from the one in checkpoint.json")
    try:
        flat: dict[str, Tensor] = load(payload)
    except SafetensorError as error:
        raise _damaged(path, "it is no safetensors file") from error
    # Gradient descent remembers nothing, so these two may be empty.
    groups: dict[str, dict[str, Tensor]] = {"first": {}, "second": {}}
    for key, leaf in flat.items():
        group, _, name = key.partition("/")
        groups.setdefault(group, {})[name] = leaf
    if missing := {"params", "best", "generator"} - set(groups):
        raise _damaged(path, f"it lacks {', '.join(sorted(missing))}")
    return groups


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(
        f"The checkpoint {path} cannot be used: {why}. Delete its folder and train again without resume."
    )


def _replace(path: Path, payload: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(payload)
    partial.replace(path)
