"""Type aliases shared by all packages."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

#: One value of a hyperparameter. Only built-in Python scalars: Optuna's storages refuse numpy's.
ParamValue: TypeAlias = str | int | float | bool | None
#: One point of a search space: active parameters only.
Configuration: TypeAlias = Mapping[str, ParamValue]

TaskKind: TypeAlias = Literal["binary", "multiclass", "regression"]
#: The two kinds of learned prior: binary and multiclass share one.
ProblemKind: TypeAlias = Literal["classification", "regression"]
JSON: TypeAlias = dict[str, Any]


def problem_kind(kind: TaskKind) -> ProblemKind:
    """Return the coarse kind of a task: which meta-learner and which families serve it.

    Args:
        kind: ``"binary"``, ``"multiclass"`` or ``"regression"``.

    Returns:
        ``"classification"`` or ``"regression"``.

    Example:
        >>> problem_kind("binary")
        'classification'
    """
    return "regression" if kind == "regression" else "classification"
