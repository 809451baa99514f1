"""Support vector machines with a linear, radial or polynomial kernel."""

from typing import Any, Self

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from automl_meta._typing import Configuration, FloatArray, IntArray, ProblemKind
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.preprocessing import dense_preprocessor
from automl_meta.spaces import Condition, SearchSpace

#: A linear kernel with a large C may need millions of steps; this bounds a hopeless fit.
MAX_STEPS = 50_000
CALIBRATION_FOLDS = 3


class RepeatingCalibration(CalibratedClassifierCV):  # type: ignore[misc] # scikit-learn is untyped
    """Calibration where a class may have a single row: such a row is used twice, so that each fold has it.

    The calibration of that class is then too sure of itself; without it there would be no model at all.
    """

    def fit(self, X: FloatArray, y: IntArray) -> Self:
        """Fit as ``CalibratedClassifierCV`` does.

        Args:
            X: Rows, shape [n, d].
            y: Their classes, shape [n].
        """
        _, first, counts = np.unique(y, return_index=True, return_counts=True)
        rows = np.concatenate([np.arange(len(y)), first[counts == 1]])
        super().fit(X[rows], y[rows])
        return self


def _space(problem: ProblemKind) -> SearchSpace:
    distributions: dict[str, Any] = {
        "kernel": CategoricalDistribution(["linear", "rbf", "poly"]),
        "C": FloatDistribution(1e-3, 1e3, log=True),
        "gamma": FloatDistribution(1e-4, 1e1, log=True),
        "degree": IntDistribution(2, 4),
        "coef0": FloatDistribution(0.0, 1.0),
        "scaling": CategoricalDistribution(["standard", "quantile"]),
    }
    if problem == "regression":
        distributions["epsilon"] = FloatDistribution(1e-3, 1.0, log=True)
    conditions = {
        "gamma": Condition("kernel", ("rbf", "poly")),
        "degree": Condition("kernel", ("poly",)),
        "coef0": Condition("kernel", ("poly",)),
    }
    return SearchSpace(f"svm-{problem}", 1, distributions, conditions)


def _build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
    parameters: dict[str, Any] = dict(configuration)
    prepare = dense_preprocessor(shape, str(parameters.pop("scaling")))
    if shape.is_regression:
        machine = SVR(max_iter=MAX_STEPS, **parameters)
        model: Any = TransformedTargetRegressor(machine, transformer=StandardScaler())
    else:
        machine = SVC(max_iter=MAX_STEPS, random_state=budget.seed, **parameters)
        folds = max(2, min(CALIBRATION_FOLDS, shape.smallest_class))
        model = RepeatingCalibration(machine, ensemble=False, cv=folds)
    return Pipeline([("prepare", prepare), ("model", model)])


def _starting_points(problem: ProblemKind) -> tuple[Configuration, ...]:
    extra = {"epsilon": 0.1} if problem == "regression" else {}
    return (
        {"kernel": "rbf", "C": 1.0, "gamma": 0.05, "scaling": "standard", **extra},
        {"kernel": "rbf", "C": 10.0, "gamma": 0.01, "scaling": "standard", **extra},
        {"kernel": "linear", "C": 0.1, "scaling": "standard", **extra},
    )


FAMILY = Family("svm", "support vector machine", _space, _build, _starting_points, fidelity="rows")
