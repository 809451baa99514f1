"""What is learned across tasks, free of Optuna: responses, surrogate, warm-start set, pruner model, storage."""

from automl_meta.prior.collection import Choice, Collection
from automl_meta.prior.observations import Observation
from automl_meta.prior.past import learn_past
from automl_meta.prior.past_storage import is_past, load_past, save_past
from automl_meta.prior.portfolio import Portfolio
from automl_meta.prior.prior import Prior
from automl_meta.prior.pruning import PrunerModel
from automl_meta.prior.storage import Learner, load_learner, save_learner

__all__ = [
    "Choice",
    "Collection",
    "Learner",
    "Observation",
    "Portfolio",
    "Prior",
    "PrunerModel",
    "is_past",
    "learn_past",
    "load_learner",
    "load_past",
    "save_learner",
    "save_past",
]
