"""The meta-learning engine: adaptation by gradient over a leading task axis, as pure functions.

Nothing here knows of Optuna, OpenML or images, and nothing is patched: parameters go in, parameters come out.
"""

from automl_meta.metalearn.algorithms import MAML, MetaSGD
from automl_meta.metalearn.first_order import FOMAML, Reptile
from automl_meta.metalearn.params import (
    MetaParams,
    Params,
    TaskLoss,
    expand,
    join_meta,
    module_params,
    split_meta,
)
from automl_meta.metalearn.protocol import Algorithm
from automl_meta.metalearn.vectorize import PerTaskLoss, vectorize

__all__ = [
    "FOMAML",
    "MAML",
    "Algorithm",
    "MetaParams",
    "MetaSGD",
    "Params",
    "PerTaskLoss",
    "Reptile",
    "TaskLoss",
    "expand",
    "join_meta",
    "module_params",
    "split_meta",
    "vectorize",
]
