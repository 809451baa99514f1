"""Hyperparameter search that has seen your problem before.

The public names load lazily, so that ``import automl_meta`` costs nothing until one of them is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from automl_meta.api import FitResult as FitResult
    from automl_meta.api import fit as fit
    from automl_meta.api import load_task as load_task
    from automl_meta.api import predict as predict
    from automl_meta.exceptions import AutomlMetaError as AutomlMetaError
    from automl_meta.search import MetaLearner as MetaLearner
    from automl_meta.search import MetaPruner as MetaPruner
    from automl_meta.search import MetaSampler as MetaSampler
    from automl_meta.spaces import SearchSpace as SearchSpace

_HOME = {
    "AutomlMetaError": "automl_meta.exceptions",
    "FitResult": "automl_meta.api",
    "MetaLearner": "automl_meta.search",
    "MetaPruner": "automl_meta.search",
    "MetaSampler": "automl_meta.search",
    "SearchSpace": "automl_meta.spaces",
    "fit": "automl_meta.api",
    "load_task": "automl_meta.api",
    "predict": "automl_meta.api",
}

__all__ = [
    "AutomlMetaError",
    "FitResult",
    "MetaLearner",
    "MetaPruner",
    "MetaSampler",
    "SearchSpace",
    "__version__",
    "fit",
    "load_task",
    "predict",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'automl_meta' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
