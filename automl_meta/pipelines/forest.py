"""Random forest and extra trees: one search space, two ways to choose a split."""

from collections.abc import Callable
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import Pipeline

from automl_meta._typing import Configuration, ProblemKind
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.preprocessing import tree_preprocessor
from automl_meta.spaces import Condition, SearchSpace

#: More trees never hurt the score, only the clock: the count is the fidelity axis, not searched.
FULL_TREES = 100


def _space(name: str) -> Callable[[ProblemKind], SearchSpace]:
    def space(problem: ProblemKind) -> SearchSpace:
        # Regression keeps squared error: absolute error costs ten times as much.
        criteria = ["gini", "entropy"] if problem == "classification" else ["squared_error"]
        return SearchSpace(
            f"{name}-{problem}",
            1,
            {
                "criterion": CategoricalDistribution(criteria),
                "max_features": FloatDistribution(0.05, 1.0),
                "min_samples_leaf": IntDistribution(1, 20, log=True),
                "min_samples_split": IntDistribution(2, 20, log=True),
                "bootstrap": CategoricalDistribution([True, False]),
                "max_samples": FloatDistribution(0.3, 1.0),
            },
            {"max_samples": Condition("bootstrap", (True,))},
        )

    return space


def _build(
    classifier: Any, regressor: Any
) -> Callable[[Configuration, DataShape, Budget], Pipeline]:
    def build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
        model = (regressor if shape.is_regression else classifier)(
            n_estimators=budget.scale(FULL_TREES),
            n_jobs=budget.n_jobs,
            random_state=budget.seed,
            **configuration,
        )
        return Pipeline([("prepare", tree_preprocessor(shape)), ("model", model)])

    return build


def _starting_points(bootstrap: bool) -> Callable[[ProblemKind], tuple[Configuration, ...]]:
    def points(problem: ProblemKind) -> tuple[Configuration, ...]:
        first, second = (
            ("gini", "entropy") if problem == "classification" else ("squared_error",) * 2
        )
        sampling = {"bootstrap": True, "max_samples": 1.0} if bootstrap else {"bootstrap": False}
        usual = 0.2 if problem == "classification" else 1.0
        return (
            {
                "criterion": first,
                "max_features": usual,
                "min_samples_leaf": 1,
                "min_samples_split": 2,
                **sampling,
            },
            {
                "criterion": second,
                "max_features": 0.5,
                "min_samples_leaf": 1,
                "min_samples_split": 2,
                "bootstrap": False,
            },
            {
                "criterion": second,
                "max_features": 0.3,
                "min_samples_leaf": 3,
                "min_samples_split": 5,
                **sampling,
            },
        )

    return points


RANDOM_FOREST = Family(
    "random_forest",
    "random forest",
    _space("random_forest"),
    _build(RandomForestClassifier, RandomForestRegressor),
    _starting_points(bootstrap=True),
    fidelity="trees",
)

EXTRA_TREES = Family(
    "extra_trees",
    "extra trees",
    _space("extra_trees"),
    _build(ExtraTreesClassifier, ExtraTreesRegressor),
    _starting_points(bootstrap=False),
    fidelity="trees",
)
