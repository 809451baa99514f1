"""CatBoost, from the ``boosting`` extra."""

from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution
from sklearn.pipeline import Pipeline

from automl_meta._typing import Configuration, ProblemKind
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.preprocessing import tree_preprocessor
from automl_meta.spaces import SearchSpace


def _space(problem: ProblemKind) -> SearchSpace:
    return SearchSpace(
        f"catboost-{problem}",
        1,
        {
            "learning_rate": FloatDistribution(0.01, 0.5, log=True),
            "iterations": IntDistribution(20, 500, log=True),
            "depth": IntDistribution(2, 9),
            "l2_leaf_reg": FloatDistribution(0.1, 30.0, log=True),
            "random_strength": FloatDistribution(1e-3, 10.0, log=True),
            "rsm": FloatDistribution(0.2, 1.0),
        },
    )


def _build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
    from catboost import CatBoostClassifier, CatBoostRegressor

    parameters: dict[str, Any] = dict(configuration)
    parameters["iterations"] = budget.scale(parameters["iterations"])
    model = (CatBoostRegressor if shape.is_regression else CatBoostClassifier)(
        thread_count=budget.n_jobs,
        random_seed=budget.seed,
        verbose=False,
        allow_writing_files=False,
        **parameters,
    )
    return Pipeline([("prepare", tree_preprocessor(shape, impute=False)), ("model", model)])


def _starting_points(_problem: ProblemKind) -> tuple[Configuration, ...]:
    default: Configuration = {
        "learning_rate": 0.1,
        "iterations": 300,
        "depth": 6,
        "l2_leaf_reg": 3.0,
        "random_strength": 1.0,
        "rsm": 1.0,
    }
    return (default, {**default, "learning_rate": 0.05, "iterations": 500, "depth": 4})


FAMILY = Family(
    "catboost",
    "CatBoost",
    _space,
    _build,
    _starting_points,
    fidelity="iterations",
    requires="catboost",
)
