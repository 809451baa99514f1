"""Meta-features: a few cheap numbers that say what kind of data set a task is.

All are computed from the training rows, at most 500 of them where a model is fitted, in well under a
second. Counts enter as logarithms; every value is finite.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import RidgeClassifier, RidgeCV
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from automl_meta._typing import FloatArray
from automl_meta.tasks.task import Task

#: Rows that the landmarks (small models) are fitted on at most.
LANDMARK_ROWS = 500
#: Of wide tables about every n-th column, so that the correlations stay cheap.
SHAPE_COLUMNS = 200

#: Names in the order of the vector; the meaning of each stands in docs/meta-learner.md.
META_FEATURES = (
    "log_rows",
    "log_columns",
    "log_columns_per_row",
    "share_categorical",
    "share_missing",
    "mean_categories",
    "log_classes",
    "class_entropy",
    "smallest_class",
    "mean_skewness",
    "mean_log_kurtosis",
    "mean_correlation",
    "share_components",
    "landmark_stump",
    "landmark_tree",
    "landmark_neighbour",
    "landmark_linear",
    "landmark_bayes",
)


def meta_features(task: Task, seed: int = 0) -> dict[str, float]:
    """Return the meta-features of a task's training part.

    Args:
        task: The task.
        seed: Seed of the row sample for the landmarks.

    Returns:
        Name to value for every name of ``META_FEATURES``, in that order, all finite. A landmark is
        the 2-fold accuracy (R2 for regression) of a small model minus that of a constant guess.
    """
    table, target = task.train_features, np.asarray(task.train_target)
    numbers = _numbers(table, task)
    values = {
        **_size(task, table, target),
        **_shape(numbers),
        **_landmarks(task, numbers, target, np.random.default_rng(seed)),
    }
    return {
        name: float(np.nan_to_num(values[name], posinf=0.0, neginf=0.0)) for name in META_FEATURES
    }


def _size(task: Task, table: pd.DataFrame, target: Any) -> dict[str, float]:
    rows, columns = table.shape
    categorical = [name for name, kind in task.columns.items() if kind == "categorical"]
    counts = [table[name].nunique() for name in categorical]
    shares = np.array([1.0])
    if task.classes:
        shares = np.bincount(target, minlength=len(task.classes)) / rows
    positive = shares[shares > 0]
    entropy = -float(np.sum(positive * np.log(positive)))
    return {
        "log_rows": np.log10(rows),
        "log_columns": np.log10(columns),
        "log_columns_per_row": np.log10(columns / rows),
        "share_categorical": len(categorical) / columns,
        "share_missing": float(table.isna().to_numpy().mean()),
        "mean_categories": float(np.log1p(np.mean(counts))) if counts else 0.0,
        "log_classes": float(np.log2(len(task.classes))) if task.classes else 0.0,
        "class_entropy": entropy / np.log(len(task.classes)) if task.classes else 0.0,
        "smallest_class": float(positive.min()),
    }


def _numbers(table: pd.DataFrame, task: Task) -> FloatArray:
    """Return the table as standardised numbers, categories as codes, missing values as 0 (the mean)."""
    columns = []
    for name, kind in task.columns.items():
        column = table[name]
        coded = pd.factorize(column, sort=True)[0] if kind == "categorical" else column
        values = np.asarray(coded, dtype=np.float64)
        known = values[np.isfinite(values)]
        if known.size:  # a column may be missing throughout the training part
            values = (values - known.mean()) / (known.std() or 1.0)
        columns.append(np.nan_to_num(values))
    return np.column_stack(columns)


def _shape(numbers: FloatArray) -> dict[str, float]:
    numbers = numbers[:, :: max(1, numbers.shape[1] // SHAPE_COLUMNS)]
    skewness = np.abs(np.mean(numbers**3, axis=0))
    kurtosis = np.mean(numbers**4, axis=0)
    covariance = np.atleast_2d(numbers.T @ numbers / len(numbers))
    upper = np.abs(covariance[np.triu_indices(len(covariance), k=1)])
    spectrum = np.sort(np.linalg.eigvalsh(covariance))[::-1].clip(min=0.0)
    cumulative = np.cumsum(spectrum) / max(spectrum.sum(), 1e-12)
    needed = int(np.searchsorted(cumulative, 0.95)) + 1
    return {
        "mean_skewness": float(np.mean(np.log1p(skewness))),
        "mean_log_kurtosis": float(np.mean(np.log1p(kurtosis))),
        "mean_correlation": float(upper.mean()) if upper.size else 0.0,
        "share_components": min(needed, len(covariance)) / len(covariance),
    }


def _landmarks(
    task: Task, numbers: FloatArray, target: Any, rng: np.random.Generator
) -> dict[str, float]:
    rows = rng.permutation(len(numbers))[:LANDMARK_ROWS]
    features, labels = numbers[rows], target[rows]
    if task.kind == "regression":
        guess: BaseEstimator = DummyRegressor()
        models: dict[str, BaseEstimator] = {
            "landmark_stump": DecisionTreeRegressor(max_depth=1, random_state=0),
            "landmark_tree": DecisionTreeRegressor(min_samples_leaf=5, random_state=0),
            "landmark_neighbour": KNeighborsRegressor(1),
            "landmark_linear": RidgeCV(),
        }
    else:
        guess = DummyClassifier()
        models = {
            "landmark_stump": DecisionTreeClassifier(max_depth=1, random_state=0),
            "landmark_tree": DecisionTreeClassifier(min_samples_leaf=5, random_state=0),
            "landmark_neighbour": KNeighborsClassifier(1),
            "landmark_linear": RidgeClassifier(),
            "landmark_bayes": GaussianNB(),
        }
    floor = _score(guess, features, labels)
    gains = {name: _score(model, features, labels) - floor for name, model in models.items()}
    return {"landmark_bayes": 0.0, **gains}


def _score(model: BaseEstimator, features: FloatArray, labels: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a class with one row cannot be stratified; it is no matter
        return float(np.clip(np.mean(cross_val_score(model, features, labels, cv=2)), -1.0, 1.0))
