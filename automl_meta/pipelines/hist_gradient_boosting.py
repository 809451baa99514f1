"""Histogram gradient boosting of scikit-learn; missing values and categories are handled natively."""

from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from automl_meta._typing import Configuration, ProblemKind
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.preprocessing import tree_preprocessor
from automl_meta.spaces import SearchSpace


def _space(problem: ProblemKind) -> SearchSpace:
    return SearchSpace(
        f"hist_gradient_boosting-{problem}",
        1,
        {
            "learning_rate": FloatDistribution(0.01, 0.5, log=True),
            "max_iter": IntDistribution(20, 300, log=True),
            "max_leaf_nodes": IntDistribution(3, 64, log=True),
            "min_samples_leaf": IntDistribution(2, 100, log=True),
            "l2_regularization": FloatDistribution(1e-6, 10.0, log=True),
            "max_features": FloatDistribution(0.2, 1.0),
        },
    )


def _build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
    parameters: dict[str, Any] = dict(configuration)
    parameters["max_iter"] = budget.scale(parameters["max_iter"])
    estimator = (
        HistGradientBoostingRegressor if shape.is_regression else HistGradientBoostingClassifier
    )
    n_numeric, n_categorical = len(shape.names("numeric")), len(shape.names("categorical"))
    model = estimator(
        early_stopping=False,
        categorical_features=[False] * n_numeric + [True] * n_categorical,
        random_state=budget.seed,
        **parameters,
    )
    return Pipeline([("prepare", tree_preprocessor(shape, impute=False)), ("model", model)])


def _point(
    rate: float, trees: int, leaves: int, rows: int, l2: float, share: float
) -> Configuration:
    return {
        "learning_rate": rate,
        "max_iter": trees,
        "max_leaf_nodes": leaves,
        "min_samples_leaf": rows,
        "l2_regularization": l2,
        "max_features": share,
    }


def _starting_points(_problem: ProblemKind) -> tuple[Configuration, ...]:
    return (
        _point(0.1, 100, 31, 20, 1e-6, 1.0),  # scikit-learn's defaults
        _point(0.03, 300, 8, 10, 1.0, 0.5),  # slow and shallow
        _point(0.05, 200, 16, 5, 0.1, 0.3),  # strong column sampling
    )


FAMILY = Family(
    "hist_gradient_boosting",
    "histogram gradient boosting",
    _space,
    _build,
    _starting_points,
    fidelity="iterations",
)
