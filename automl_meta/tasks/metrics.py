"""The metric of a task: a scikit-learn scorer name, greater is better."""

from typing import Any

import numpy as np

from automl_meta._typing import ProblemKind, TaskKind
from automl_meta.exceptions import InvalidParameterError

_DEFAULTS: dict[TaskKind, str] = {
    "binary": "roc_auc",
    "multiclass": "neg_log_loss",
    "regression": "neg_root_mean_squared_error",
}
_REGRESSION = frozenset(
    {
        "d2_absolute_error_score",
        "explained_variance",
        "neg_max_error",
        "neg_mean_absolute_error",
        "neg_mean_absolute_percentage_error",
        "neg_mean_gamma_deviance",
        "neg_mean_poisson_deviance",
        "neg_mean_squared_error",
        "neg_mean_squared_log_error",
        "neg_median_absolute_error",
        "neg_root_mean_squared_error",
        "neg_root_mean_squared_log_error",
        "r2",
    }
)
#: Scorers that compare clusterings or sets of labels, not predictions of one label.
_NEITHER = frozenset(
    {
        "adjusted_mutual_info_score",
        "adjusted_rand_score",
        "completeness_score",
        "fowlkes_mallows_score",
        "homogeneity_score",
        "mutual_info_score",
        "normalized_mutual_info_score",
        "rand_score",
        "v_measure_score",
        "f1_samples",
        "jaccard_samples",
        "precision_samples",
        "recall_samples",
    }
)
#: What a two-class metric means with more classes, and the reverse.
_WITH_MANY_CLASSES = {
    "roc_auc": "roc_auc_ovr",
    "f1": "f1_macro",
    "precision": "precision_macro",
    "recall": "recall_macro",
    "jaccard": "jaccard_macro",
}
_WITH_TWO_CLASSES = dict.fromkeys(
    ("roc_auc_ovr", "roc_auc_ovo", "roc_auc_ovr_weighted", "roc_auc_ovo_weighted"), "roc_auc"
)
_TWO_CLASSES_ONLY = frozenset({"positive_likelihood_ratio", "neg_negative_likelihood_ratio"})
_MANY_CLASSES_ONLY = frozenset({"top_k_accuracy"})
_POSITIVE = {
    "neg_mean_gamma_deviance": "greater than 0",
    "neg_mean_poisson_deviance": "at least 0",
    "neg_mean_squared_log_error": "at least 0",
    "neg_root_mean_squared_log_error": "at least 0",
}
#: OpenML's evaluation measures; a measure that is missing here has no scikit-learn scorer.
_OPENML_CLASSIFICATION = {
    "predictive_accuracy": "accuracy",
    "area_under_roc_curve": "roc_auc",
    "balanced_accuracy": "balanced_accuracy",
    "unweighted_recall": "balanced_accuracy",
    "mean_weighted_f_measure": "f1_weighted",
    "f_measure": "f1_weighted",
    "mean_f_measure": "f1_macro",
    "precision": "precision_weighted",
    "recall": "recall_weighted",
    "mean_precision": "precision_macro",
    "mean_recall": "recall_macro",
    "matthews_correlation_coefficient": "matthews_corrcoef",
    "log_loss": "neg_log_loss",
}
_OPENML_REGRESSION = {
    "root_mean_squared_error": "neg_root_mean_squared_error",
    "mean_absolute_error": "neg_mean_absolute_error",
    "mean_squared_error": "neg_mean_squared_error",
    "r2": "r2",
    "r_squared": "r2",
}


def default_metric(kind: TaskKind) -> tuple[str, str]:
    """Return the metric of a task that states none, and the sentence that says so.

    Args:
        kind: Kind of the task.

    Example:
        >>> default_metric("multiclass")
        ('neg_log_loss', 'default for multiclass')
    """
    return _DEFAULTS[kind], f"default for {kind}"


def metric_problem(metric: str) -> ProblemKind:
    """Return the kind of problem that a scorer judges.

    Args:
        metric: A scikit-learn scorer name.

    Raises:
        InvalidParameterError: If there is no such scorer, or it judges neither.

    Example:
        >>> metric_problem("r2")
        'regression'
    """
    from difflib import get_close_matches

    from sklearn.metrics import get_scorer_names

    names = [name for name in get_scorer_names() if name not in _NEITHER]
    if metric not in names:
        close = get_close_matches(metric, names, n=1, cutoff=0.5) or ["roc_auc"]
        raise InvalidParameterError.of(
            "metric",
            "fit",
            "a scikit-learn scorer name for classification or regression",
            metric,
            f"Try --metric {close[0]}.",
        )
    return "regression" if metric in _REGRESSION else "classification"


def check_metric(metric: str, kind: TaskKind, target: Any = None) -> tuple[str, str]:
    """Return the scorer that a user's metric means for a task, and the sentence that says so.

    Args:
        metric: A scikit-learn scorer name.
        kind: Kind of the task.
        target: Target values [n], to refuse a scorer that they do not fit, or None.

    Returns:
        The scorer name (``roc_auc`` means ``roc_auc_ovr`` with more than two classes) and its source.

    Raises:
        InvalidParameterError: If the scorer does not exist or does not fit.

    Example:
        >>> check_metric("roc_auc", "multiclass")
        ('roc_auc_ovr', 'chosen (roc_auc over more than two classes)')
    """
    problem = metric_problem(metric)
    if (problem == "regression") != (kind == "regression"):
        _refuse(metric, f"a scorer for {kind}", _DEFAULTS[kind])
    if kind == "multiclass":
        if metric in _TWO_CLASSES_ONLY:
            _refuse(metric, "a scorer for more than two classes", "roc_auc_ovr")
        if metric in _WITH_MANY_CLASSES:
            return _WITH_MANY_CLASSES[metric], f"chosen ({metric} over more than two classes)"
    if kind == "binary":
        if metric in _MANY_CLASSES_ONLY:
            _refuse(metric, "a scorer for two classes", "roc_auc")
        if metric in _WITH_TWO_CLASSES:
            return _WITH_TWO_CLASSES[metric], f"chosen ({metric} with two classes)"
    if metric in _POSITIVE and target is not None:
        low = float(np.min(target))
        if low < 0 or (low == 0 and "greater" in _POSITIVE[metric]):
            _refuse(
                metric, f"a scorer that the target fits (it needs values {_POSITIVE[metric]})", "r2"
            )
    return metric, "chosen"


def openml_metric(measure: str | None, kind: TaskKind) -> tuple[str, str]:
    """Return the scorer for an OpenML task's evaluation measure, or the default where there is none.

    Args:
        measure: OpenML's name, or None if the task states no measure.
        kind: Kind of the task.

    Returns:
        The scorer name and the sentence that says why.

    Example:
        >>> openml_metric("predictive_accuracy", "binary")
        ('accuracy', "the OpenML task's predictive_accuracy")
        >>> openml_metric("kappa", "binary")
        ('roc_auc', "default for binary (the OpenML task's kappa has no scikit-learn scorer)")
    """
    if not measure:
        metric, source = default_metric(kind)
        return metric, f"{source} (the OpenML task states no measure)"
    table = _OPENML_REGRESSION if kind == "regression" else _OPENML_CLASSIFICATION
    found = table.get(measure)
    if found is None:
        metric, source = default_metric(kind)
        return metric, f"{source} (the OpenML task's {measure} has no scikit-learn scorer)"
    if kind == "multiclass":
        found = _WITH_MANY_CLASSES.get(found, found)
    return found, f"the OpenML task's {measure}"


def _refuse(metric: str, rule: str, remedy: str) -> None:
    raise InvalidParameterError.of("metric", "fit", rule, metric, f"Try --metric {remedy}.")
