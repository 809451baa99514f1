"""Multi-layer perceptron trained with Adam."""

from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from automl_meta._typing import Configuration, ProblemKind
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.preprocessing import dense_preprocessor
from automl_meta.spaces import SearchSpace

FULL_EPOCHS = 100


def _space(problem: ProblemKind) -> SearchSpace:
    return SearchSpace(
        f"mlp-{problem}",
        1,
        {
            "n_layers": IntDistribution(1, 3),
            "width": IntDistribution(8, 128, log=True),
            "activation": CategoricalDistribution(["relu", "tanh"]),
            "alpha": FloatDistribution(1e-6, 1e1, log=True),
            "learning_rate_init": FloatDistribution(1e-4, 1e-1, log=True),
            "early_stopping": CategoricalDistribution([False, True]),
            "scaling": CategoricalDistribution(["standard", "quantile"]),
        },
    )


def _build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
    parameters: dict[str, Any] = dict(configuration)
    prepare = dense_preprocessor(shape, parameters.pop("scaling"))
    layers = (parameters.pop("width"),) * parameters.pop("n_layers")
    common = {
        "hidden_layer_sizes": layers,
        "max_iter": budget.scale(FULL_EPOCHS),
        "random_state": budget.seed,
        **parameters,
    }
    if shape.is_regression:
        model: Any = TransformedTargetRegressor(
            MLPRegressor(**common), transformer=StandardScaler()
        )
    else:
        if shape.smallest_class < 2:
            common["early_stopping"] = (
                False  # its stratified validation part needs two rows a class
            )
        model = MLPClassifier(**common)
    return Pipeline([("prepare", prepare), ("model", model)])


def _point(layers: int, width: int, alpha: float, rate: float, scaling: str) -> Configuration:
    return {
        "n_layers": layers,
        "width": width,
        "activation": "relu",
        "alpha": alpha,
        "learning_rate_init": rate,
        "early_stopping": False,
        "scaling": scaling,
    }


def _starting_points(_problem: ProblemKind) -> tuple[Configuration, ...]:
    return (
        _point(1, 100, 1e-4, 1e-3, "standard"),
        _point(2, 64, 1e-1, 3e-3, "quantile"),
        _point(1, 32, 1.0, 1e-2, "standard"),
    )


FAMILY = Family(
    "mlp", "multi-layer perceptron", _space, _build, _starting_points, fidelity="epochs"
)
