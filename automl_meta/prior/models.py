"""What is trained on one selection of past tasks, and its file of numbers.

A file holds the response features and Gaussians, the regression from meta-features and the surrogate; what is not a
tensor is a record for the manifest of the learner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from automl_meta._typing import JSON, FloatArray
from automl_meta.metalearn import MetaParams
from automl_meta.prior.conditioning import Conditioner
from automl_meta.prior.responses import Responses, WarpPrior

T = TypeVar("T")

_NETWORK, _CONDITIONER, _SURROGATE = "network.", "conditioner.", "surrogate."
#: Numbers of a warp's Gaussian that are no tensors.
_OF_WARP = ("centre", "spread", "unit", "log_scale", "offset", "offset_variance")


@dataclass(frozen=True, eq=False)
class Models:
    """What is trained on one selection of past tasks.

    Attributes:
        responses: Gaussians over response functions.
        conditioner: What meta-features say of them; None where nothing was learned of it.
        meta: The surrogate's meta-parameters; None where no task had enough evaluations.
    """

    responses: Responses
    conditioner: Conditioner | None = None
    meta: MetaParams | None = None


def to_tensors(models: Models, *, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return the numbers by name, as ``from_tensors`` reads them.

    Args:
        models: The models.
        dtype: Of all but the surrogate; half precision halves what ships and moves proposals less than a seed does.
    """
    numbers: dict[str, FloatArray] = {
        _NETWORK + name: values for name, values in models.responses.network.items()
    }
    for name, warp in models.responses.warps.items():
        # The root is lower triangular.
        numbers |= {
            f"{name}.mean": warp.mean,
            f"{name}.root": warp.root[np.tril_indices(len(warp.root))],
        }
    known = models.conditioner
    if known is not None:
        numbers |= {_CONDITIONER + "tasks": known.tasks}
        numbers |= {_CONDITIONER + name: duals for name, duals in known.duals.items()}
    tensors = {
        name: torch.tensor(values, dtype=dtype).contiguous() for name, values in numbers.items()
    }
    if models.meta is not None:
        tensors |= {_SURROGATE + name: tensor.contiguous() for name, tensor in models.meta.items()}
    return tensors


def to_record(models: Models) -> JSON:
    """Return what is not a tensor, JSON-ready.

    Args:
        models: The models.
    """
    known = models.conditioner
    return {
        "warps": {
            name: {key: getattr(warp, key) for key in _OF_WARP}
            for name, warp in models.responses.warps.items()
        },
        "conditioner": None
        if known is None
        else {
            "names": list(known.names),
            "centre": known.centre.tolist(),
            "spread": known.spread.tolist(),
            "widths": dict(known.widths),
        },
    }


def from_tensors(tensors: Mapping[str, Tensor], record: JSON) -> Models:
    """Return the models.

    Args:
        tensors: From ``to_tensors``.
        record: From ``to_record``.

    Raises:
        KeyError: If something is missing.
        TypeError, ValueError: If something is garbled.
    """
    numbers = {
        name: tensor.double().numpy()
        for name, tensor in tensors.items()
        if not name.startswith(_SURROGATE)
    }
    warps = {name: _warp(name, numbers, facts) for name, facts in record["warps"].items()}
    responses = Responses(_named(numbers, _NETWORK), warps)
    meta = _named(tensors, _SURROGATE)
    return Models(responses, _conditioner(numbers, record["conditioner"]), meta or None)


def _warp(name: str, numbers: Mapping[str, FloatArray], facts: JSON) -> WarpPrior:
    mean = numbers[f"{name}.mean"]
    root = np.zeros((len(mean), len(mean)))
    root[np.tril_indices(len(mean))] = numbers[f"{name}.root"]
    given = {key: facts[key] for key in _OF_WARP}
    pairs = {key: tuple(given[key]) for key in ("log_scale", "offset")}
    return WarpPrior(mean, root, **{**given, **pairs})


def _conditioner(numbers: Mapping[str, FloatArray], record: JSON | None) -> Conditioner | None:
    if record is None:
        return None
    return Conditioner(
        tuple(record["names"]),
        np.array(record["centre"], dtype=np.float64),
        np.array(record["spread"], dtype=np.float64),
        numbers[_CONDITIONER + "tasks"],
        record["widths"],
        {name: numbers[_CONDITIONER + name] for name in record["widths"]},
    )


def _named(tensors: Mapping[str, T], prefix: str) -> dict[str, T]:
    """Return the tensors of a group by their names in it."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
