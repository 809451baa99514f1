"""k nearest neighbours on scaled columns."""

from typing import Any

from optuna.distributions import CategoricalDistribution, IntDistribution
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline

from automl_meta._typing import Configuration, ProblemKind
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.preprocessing import dense_preprocessor
from automl_meta.spaces import SearchSpace


def _space(problem: ProblemKind) -> SearchSpace:
    return SearchSpace(
        f"knn-{problem}",
        1,
        {
            "n_neighbors": IntDistribution(1, 100, log=True),
            "weights": CategoricalDistribution(["uniform", "distance"]),
            "metric": CategoricalDistribution(["euclidean", "manhattan"]),
            "scaling": CategoricalDistribution(["standard", "quantile"]),
        },
    )


def _build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
    parameters: dict[str, Any] = dict(configuration)
    prepare = dense_preprocessor(shape, str(parameters.pop("scaling")))
    # More neighbours than rows is the same model as all rows, not an error of the search.
    parameters["n_neighbors"] = min(parameters["n_neighbors"], shape.n_rows)
    estimator = KNeighborsRegressor if shape.is_regression else KNeighborsClassifier
    return Pipeline(
        [("prepare", prepare), ("model", estimator(n_jobs=budget.n_jobs, **parameters))]
    )


def _starting_points(_problem: ProblemKind) -> tuple[Configuration, ...]:
    return (
        {"n_neighbors": 5, "weights": "uniform", "metric": "euclidean", "scaling": "standard"},
        {"n_neighbors": 15, "weights": "distance", "metric": "manhattan", "scaling": "quantile"},
        {"n_neighbors": 30, "weights": "distance", "metric": "euclidean", "scaling": "standard"},
    )


FAMILY = Family("knn", "k nearest neighbours", _space, _build, _starting_points, fidelity="rows")
