"""The meta-training loop: optimiser, schedule, checkpoints, exact resume, log and early stop."""

from automl_meta.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from automl_meta.training.log import LOG_FILE, read_log
from automl_meta.training.loop import Step, TrainingResult, train
from automl_meta.training.optimizer import (
    OptimizerState,
    clip_by_norm,
    global_norm,
    optimizer_init,
    optimizer_update,
)
from automl_meta.training.ranks import ALONE, Ranks
from automl_meta.training.settings import OptimizerName, Schedule, TrainingSettings

__all__ = [
    "ALONE",
    "LOG_FILE",
    "Checkpoint",
    "OptimizerName",
    "OptimizerState",
    "Ranks",
    "Schedule",
    "Step",
    "TrainingResult",
    "TrainingSettings",
    "clip_by_norm",
    "global_norm",
    "load_checkpoint",
    "optimizer_init",
    "optimizer_update",
    "read_log",
    "save_checkpoint",
    "train",
]
