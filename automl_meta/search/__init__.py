"""Samplers, pruner and warm starts for Optuna studies, driven by what was learned across tasks."""

from automl_meta.search.history import observations, score_of
from automl_meta.search.interface import Observation, PrunerModel, SearchPrior, StoredPrior
from automl_meta.search.learner import MetaLearner
from automl_meta.search.pruner import MetaPruner
from automl_meta.search.sampler import MetaSampler
from automl_meta.search.warm_start import warm_start

__all__ = [
    "MetaLearner",
    "MetaPruner",
    "MetaSampler",
    "Observation",
    "PrunerModel",
    "SearchPrior",
    "StoredPrior",
    "observations",
    "score_of",
    "warm_start",
]
