"""Samplers, pruner and warm starts for Optuna studies, driven by what was learned across tasks."""

from automl_meta.search.interface import PruningModel, SearchPrior
from automl_meta.search.learner import MetaLearner
from automl_meta.search.pruner import MetaPruner
from automl_meta.search.sampler import MetaSampler
from automl_meta.search.warm_start import warm_start

__all__ = [
    "MetaLearner",
    "MetaPruner",
    "MetaSampler",
    "PruningModel",
    "SearchPrior",
    "warm_start",
]
