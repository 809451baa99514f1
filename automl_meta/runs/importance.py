"""Which hyperparameters mattered in a search, as a rough guide.

Optuna's own evaluators look only at parameters that every trial has; in a conditional space that leaves
the root alone. Here a forest learns the ranks of the scores from configurations, and each hyperparameter
is permuted among the trials where it is active.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import ExtraTreesRegressor

from automl_meta._typing import Configuration, FloatArray
from automl_meta.spaces import Encoder, SearchSpace

#: Fewer completed trials than these say nothing.
MIN_TRIALS = 8
_REPEATS = 10


def importances(
    space: SearchSpace,
    configurations: Sequence[Configuration],
    scores: Sequence[float],
    seed: int = 0,
) -> dict[str, float]:
    """Return the share of the scores' variation that each hyperparameter explains.

    Args:
        space: The search space.
        configurations: Completed trials.
        scores: Their scores, same length.
        seed: Seed of the forest and of the permutations.

    Returns:
        Hyperparameter name to share, greatest first, summing to 1; empty when there are fewer than
        ``MIN_TRIALS`` trials or nothing varies.
    """
    if len(scores) < MIN_TRIALS or np.ptp(scores) == 0:
        return {}
    units = Encoder(space).to_units(configurations)
    active = ~np.isnan(units)
    X: FloatArray = np.nan_to_num(units, nan=0.5)
    y = rankdata(scores)
    # The permutation is judged on the fitted rows: with a few dozen trials there are none to spare.
    forest = ExtraTreesRegressor(200, min_samples_leaf=2, random_state=seed, n_jobs=1).fit(X, y)
    rng = np.random.default_rng(seed)
    base = _error(forest, X, y)
    raw: dict[str, float] = {}
    for column, name in enumerate(space.distributions):
        # Only among trials where it is active: else its parent's effect would be counted as its own.
        rows = np.flatnonzero(active[:, column])
        if len(rows) < 2 or np.ptp(X[rows, column]) == 0:
            continue
        losses = []
        for _ in range(_REPEATS):
            permuted = X.copy()
            permuted[rows, column] = X[rng.permutation(rows), column]
            losses.append(_error(forest, permuted, y) - base)
        raw[name] = max(0.0, float(np.mean(losses)))
    total = sum(raw.values())
    if total <= 0:
        return {}
    ranked = sorted(raw.items(), key=lambda item: -item[1])
    return {name: value / total for name, value in ranked if value > 0}


def _error(forest: ExtraTreesRegressor, X: FloatArray, y: FloatArray) -> float:
    return float(np.mean((forest.predict(X) - y) ** 2))
