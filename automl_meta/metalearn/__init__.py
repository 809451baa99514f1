"""The meta-learning engine: adaptation by gradient over a leading task axis, as pure functions.

Nothing here knows of Optuna, OpenML or images, and nothing is patched: parameters go in, parameters come out.
"""

from automl_meta.metalearn.algorithms import MAML
from automl_meta.metalearn.anil import ANIL
from automl_meta.metalearn.boil import BOIL
from automl_meta.metalearn.context import ContextAdaptation
from automl_meta.metalearn.fine_tuning import FineTuning
from automl_meta.metalearn.first_order import FOMAML
from automl_meta.metalearn.maml_plus_plus import MAMLPlusPlus
from automl_meta.metalearn.meta_sgd import MetaSGD
from automl_meta.metalearn.params import (
    MetaParams,
    Params,
    StepLoss,
    TaskLoss,
    expand,
    join_meta,
    module_params,
    split_meta,
)
from automl_meta.metalearn.protocol import Algorithm, Scheduled
from automl_meta.metalearn.reptile import Reptile
from automl_meta.metalearn.vectorize import PerTaskLoss, vectorize

__all__ = [
    "ANIL",
    "BOIL",
    "FOMAML",
    "MAML",
    "Algorithm",
    "ContextAdaptation",
    "FineTuning",
    "MAMLPlusPlus",
    "MetaParams",
    "MetaSGD",
    "Params",
    "PerTaskLoss",
    "Reptile",
    "Scheduled",
    "StepLoss",
    "TaskLoss",
    "expand",
    "join_meta",
    "module_params",
    "split_meta",
    "vectorize",
]
