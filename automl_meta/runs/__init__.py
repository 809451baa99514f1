"""One ``fit`` run: its folder, its study, its model."""

from automl_meta.runs.events import Listener, Progress
from automl_meta.runs.fit import RunRequest, run_fit
from automl_meta.runs.folder import default_folder, read_result
from automl_meta.runs.model import FittedModel, load_model
from automl_meta.runs.predict import predict_table
from automl_meta.runs.searcher import PriorUse, Searcher, SearchRequest, make_searcher
from automl_meta.runs.settings import FitSettings

__all__ = [
    "FitSettings",
    "FittedModel",
    "Listener",
    "PriorUse",
    "Progress",
    "RunRequest",
    "SearchRequest",
    "Searcher",
    "default_folder",
    "load_model",
    "make_searcher",
    "predict_table",
    "read_result",
    "run_fit",
]
