import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution

from automl_meta.runs.importance import MIN_TRIALS, importances
from automl_meta.spaces import Condition, SearchSpace

SPACE = SearchSpace(
    "toy",
    1,
    {
        "kind": CategoricalDistribution(["a", "b"]),
        "depth": FloatDistribution(0.0, 1.0),
        "noise": FloatDistribution(0.0, 1.0),
    },
    {"depth": Condition("kind", ("b",))},
)


def test_what_decides_the_score_comes_first_and_shares_sum_to_one() -> None:
    points = SPACE.sample(np.random.default_rng(0), 40)
    by_kind = importances(SPACE, points, [float(p["kind"] == "a") for p in points])
    assert next(iter(by_kind)) == "kind"
    assert by_kind["kind"] > 0.8
    assert sum(by_kind.values()) == 1.0 or abs(sum(by_kind.values()) - 1.0) < 1e-9


def test_a_conditional_parameter_is_credited_only_with_its_own_effect() -> None:
    points = SPACE.sample(np.random.default_rng(1), 60)
    scores = [float(p.get("depth", 0.5)) for p in points]
    found = importances(SPACE, points, scores)
    assert found["depth"] > 0.7
    only_kind = importances(SPACE, points, [float(p["kind"] == "b") for p in points])
    assert only_kind.get("depth", 0.0) < 0.15


def test_too_few_trials_or_equal_scores_say_nothing() -> None:
    points = SPACE.sample(np.random.default_rng(0), MIN_TRIALS)
    assert importances(SPACE, points[:-1], list(range(MIN_TRIALS - 1))) == {}
    assert importances(SPACE, points, [1.0] * MIN_TRIALS) == {}
