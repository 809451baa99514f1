"""Judging configurations: (task, configuration) to an evaluation, under limits that always hold."""

from automl_meta.evaluation.evaluator import Evaluator, Limits
from automl_meta.evaluation.folds import Folds, fit_pipeline, score_folds, score_pipeline
from automl_meta.evaluation.metrics import metrics_for
from automl_meta.evaluation.record import Evaluation
from automl_meta.evaluation.selection import Selection, greedy_selection

__all__ = [
    "Evaluation",
    "Evaluator",
    "Folds",
    "Limits",
    "Selection",
    "fit_pipeline",
    "greedy_selection",
    "metrics_for",
    "score_folds",
    "score_pipeline",
]
