"""One ``fit`` run: its folder, its study, its model.

The names load on first use: predicting needs neither Optuna nor PyTorch, which searching does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl_meta.runs.events import Listener as Listener
    from automl_meta.runs.events import Progress as Progress
    from automl_meta.runs.fit import RunRequest as RunRequest
    from automl_meta.runs.fit import run_fit as run_fit
    from automl_meta.runs.folder import default_folder as default_folder
    from automl_meta.runs.folder import read_result as read_result
    from automl_meta.runs.model import FittedModel as FittedModel
    from automl_meta.runs.model import load_model as load_model
    from automl_meta.runs.predict import predict_table as predict_table
    from automl_meta.runs.searcher import PriorUse as PriorUse
    from automl_meta.runs.searcher import Searcher as Searcher
    from automl_meta.runs.searcher import SearchRequest as SearchRequest
    from automl_meta.runs.searcher import make_searcher as make_searcher
    from automl_meta.runs.settings import FitSettings as FitSettings

_HOME = {
    "FitSettings": "settings",
    "FittedModel": "model",
    "Listener": "events",
    "PriorUse": "searcher",
    "Progress": "events",
    "RunRequest": "fit",
    "SearchRequest": "searcher",
    "Searcher": "searcher",
    "default_folder": "folder",
    "load_model": "model",
    "make_searcher": "searcher",
    "predict_table": "predict",
    "read_result": "folder",
    "run_fit": "fit",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'automl_meta.runs' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"automl_meta.runs.{_HOME[name]}"), name)
