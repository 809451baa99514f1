"""LightGBM, from the ``boosting`` extra."""

from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution
from sklearn.pipeline import Pipeline

from automl_meta._typing import Configuration, ProblemKind
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.preprocessing import tree_preprocessor
from automl_meta.spaces import SearchSpace


def _space(problem: ProblemKind) -> SearchSpace:
    return SearchSpace(
        f"lightgbm-{problem}",
        1,
        {
            "learning_rate": FloatDistribution(0.01, 0.5, log=True),
            "n_estimators": IntDistribution(20, 500, log=True),
            "num_leaves": IntDistribution(3, 128, log=True),
            "min_child_samples": IntDistribution(2, 100, log=True),
            "subsample": FloatDistribution(0.4, 1.0),
            "colsample_bytree": FloatDistribution(0.2, 1.0),
            "reg_alpha": FloatDistribution(1e-6, 10.0, log=True),
            "reg_lambda": FloatDistribution(1e-6, 10.0, log=True),
        },
    )


def _build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
    from lightgbm import LGBMClassifier, LGBMRegressor

    parameters: dict[str, Any] = dict(configuration)
    parameters["n_estimators"] = budget.scale(parameters["n_estimators"])
    model = (LGBMRegressor if shape.is_regression else LGBMClassifier)(
        subsample_freq=1, n_jobs=budget.n_jobs, random_state=budget.seed, verbose=-1, **parameters
    )
    prepare = tree_preprocessor(shape, impute=False)
    return Pipeline([("prepare", prepare), ("model", model)])


def _starting_points(_problem: ProblemKind) -> tuple[Configuration, ...]:
    default: Configuration = {
        "learning_rate": 0.1,
        "n_estimators": 100,
        "num_leaves": 31,
        "min_child_samples": 20,
        "subsample": 1.0,
        "colsample_bytree": 1.0,
        "reg_alpha": 1e-6,
        "reg_lambda": 1e-6,
    }
    slow = {
        **default,
        "learning_rate": 0.03,
        "n_estimators": 400,
        "num_leaves": 15,
        "colsample_bytree": 0.6,
    }
    return (default, slow)


FAMILY = Family(
    "lightgbm",
    "LightGBM",
    _space,
    _build,
    _starting_points,
    fidelity="iterations",
    requires="lightgbm",
)
