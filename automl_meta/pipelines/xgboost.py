"""XGBoost, from the ``boosting`` extra."""

from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution
from sklearn.pipeline import Pipeline

from automl_meta._typing import Configuration, ProblemKind
from automl_meta.pipelines.coded import CodedClassifier
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.preprocessing import tree_preprocessor
from automl_meta.spaces import SearchSpace


def _space(problem: ProblemKind) -> SearchSpace:
    return SearchSpace(
        f"xgboost-{problem}",
        1,
        {
            "learning_rate": FloatDistribution(0.01, 0.5, log=True),
            "n_estimators": IntDistribution(20, 500, log=True),
            "max_depth": IntDistribution(2, 12),
            "min_child_weight": FloatDistribution(0.1, 50.0, log=True),
            "gamma": FloatDistribution(1e-6, 5.0, log=True),
            "subsample": FloatDistribution(0.4, 1.0),
            "colsample_bytree": FloatDistribution(0.2, 1.0),
            "reg_alpha": FloatDistribution(1e-6, 10.0, log=True),
            "reg_lambda": FloatDistribution(1e-6, 10.0, log=True),
        },
    )


def _build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
    from xgboost import XGBClassifier, XGBRegressor

    parameters: dict[str, Any] = dict(configuration)
    parameters["n_estimators"] = budget.scale(parameters["n_estimators"])
    model: Any = (XGBRegressor if shape.is_regression else XGBClassifier)(
        tree_method="hist",
        n_jobs=budget.n_jobs,
        random_state=budget.seed,
        verbosity=0,
        **parameters,
    )
    if not shape.is_regression:
        model = CodedClassifier(model)
    prepare = tree_preprocessor(shape, impute=False)
    return Pipeline([("prepare", prepare), ("model", model)])


def _starting_points(_problem: ProblemKind) -> tuple[Configuration, ...]:
    default: Configuration = {
        "learning_rate": 0.3,
        "n_estimators": 100,
        "max_depth": 6,
        "min_child_weight": 1.0,
        "gamma": 1e-6,
        "subsample": 1.0,
        "colsample_bytree": 1.0,
        "reg_alpha": 1e-6,
        "reg_lambda": 1.0,
    }
    slow = {
        **default,
        "learning_rate": 0.05,
        "n_estimators": 300,
        "max_depth": 4,
        "subsample": 0.8,
        "colsample_bytree": 0.6,
    }
    return (default, slow)


FAMILY = Family(
    "xgboost",
    "XGBoost",
    _space,
    _build,
    _starting_points,
    fidelity="iterations",
    requires="xgboost",
)
