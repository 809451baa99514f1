"""The meta-training loop: optimiser, schedule, checkpoints, exact resume, log and early stop."""

from automl_meta.training.adam import AdamState, adam_init, adam_update, clip_by_norm, global_norm
from automl_meta.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from automl_meta.training.loop import TrainingResult, train
from automl_meta.training.settings import TrainingSettings

__all__ = [
    "AdamState",
    "Checkpoint",
    "TrainingResult",
    "TrainingSettings",
    "adam_init",
    "adam_update",
    "clip_by_norm",
    "global_norm",
    "load_checkpoint",
    "save_checkpoint",
    "train",
]
