"""Regularised linear models: logistic regression; ridge and elastic net."""

from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from automl_meta._typing import Configuration, ProblemKind
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.preprocessing import dense_preprocessor
from automl_meta.spaces import Condition, SearchSpace


def _space(problem: ProblemKind) -> SearchSpace:
    strength = (
        {"C": FloatDistribution(1e-4, 1e3, log=True)}
        if problem == "classification"
        else {"alpha": FloatDistribution(1e-4, 1e3, log=True)}
    )
    return SearchSpace(
        f"linear-{problem}",
        1,
        {
            "penalty": CategoricalDistribution(["l2", "elasticnet"]),
            **strength,
            "l1_ratio": FloatDistribution(0.05, 1.0),
            "scaling": CategoricalDistribution(["standard", "quantile"]),
        },
        {"l1_ratio": Condition("penalty", ("elasticnet",))},
    )


def _build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
    parameters: dict[str, Any] = dict(configuration)
    prepare = dense_preprocessor(shape, str(parameters.pop("scaling")))
    sparse = parameters.pop("penalty") == "elasticnet"
    if not shape.is_regression:
        solver = "saga" if sparse else "lbfgs"
        steps = 200 if sparse else 1000
        model = LogisticRegression(
            solver=solver, max_iter=steps, random_state=budget.seed, **parameters
        )
    elif sparse:
        model = ElasticNet(random_state=budget.seed, max_iter=2000, **parameters)
    else:
        model = Ridge(random_state=budget.seed, **parameters)
    return Pipeline([("prepare", prepare), ("model", model)])


def _starting_points(problem: ProblemKind) -> tuple[Configuration, ...]:
    name = "C" if problem == "classification" else "alpha"
    return (
        {"penalty": "l2", name: 1.0, "scaling": "standard"},
        {"penalty": "l2", name: 0.05 if name == "C" else 30.0, "scaling": "quantile"},
        {
            "penalty": "elasticnet",
            name: 0.3 if name == "C" else 0.05,
            "l1_ratio": 0.5,
            "scaling": "standard",
        },
    )


FAMILY = Family(
    "linear", "regularised linear model", _space, _build, _starting_points, fidelity="rows"
)
