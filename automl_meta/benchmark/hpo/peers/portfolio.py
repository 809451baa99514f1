"""The greedy portfolio, as a peer has it: no learned surrogate where the past tasks share their settings."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from optuna.samplers import BaseSampler, RandomSampler
from sklearn.ensemble import ExtraTreesRegressor

from automl_meta._typing import Configuration, FloatArray
from automl_meta.benchmark.hpo.methods import Past, Searcher
from automl_meta.benchmark.hpo.search import Search
from automl_meta.prior.warm_start import greedy_set
from automl_meta.spaces import Encoder

#: Best settings that each past task lends where settings differ between tasks.
_LENT = 10
#: Starting points before a cold sampler goes on: as many as these samplers draw at random before their
#: model speaks, so that no random trial follows the portfolio.
START = 10


@dataclass(frozen=True)
class PortfolioThen:
    """A greedy portfolio, then a cold sampler on the space without its conditions.

    Attributes:
        name: As reports call it.
        sampler: Seed to sampler; None to go on with the portfolio.
        slow: See ``Method``.
    """

    name: str
    sampler: Callable[[int], BaseSampler] | None = None
    slow: bool = False

    def learn(self, past: Past) -> Searcher:
        """Choose the portfolio.

        Args:
            past: The past tasks.
        """
        portfolio = learn_portfolio(past)
        if self.sampler is None:
            return lambda seed: Search(RandomSampler(seed=seed), past.space, portfolio)
        make, flat = self.sampler, replace(past.space, conditions={})
        return lambda seed: Search(make(seed), flat, portfolio[:START])


def learn_portfolio(past: Past, n: int = 100) -> list[Configuration]:
    """Return n configurations, each chosen so that the best of them has the least mean regret.

    Where the past tasks have settings of their own, each lends its best ones, and forests fitted to the
    tasks tell how they would have done elsewhere.

    Args:
        past: The past tasks.
        n: How many, at most.

    Reference:
        Wistuba, Schilling and Schmidt-Thieme (2015), Sequential Model-free Hyperparameter Tuning, section IV.
    """
    encoder = Encoder(past.space)
    rows, regrets = shared_regrets(past) or _judged_regrets(past, encoder)
    return [encoder.from_units(rows[i]) for i in greedy_set(regrets, n)]


def shared_regrets(past: Past) -> tuple[FloatArray, FloatArray] | None:
    """Return common settings [C, p] and regrets [T, C] where all past tasks have the same ones, or None.

    Args:
        past: The past tasks.
    """
    first = past.tasks[0].units
    if any(
        t.units.shape != first.shape or not np.array_equal(t.units, first, equal_nan=True)
        for t in past.tasks
    ):
        return None
    return first, np.stack([task.regrets(task.filled_scores) for task in past.tasks])


def _judged_regrets(past: Past, encoder: Encoder) -> tuple[FloatArray, FloatArray]:
    rows = np.concatenate([task.best_units(_LENT) for task in past.tasks])
    x = encoder.expand(rows)
    regrets = []
    for task in past.tasks:
        known = np.isfinite(task.scores)
        forest = ExtraTreesRegressor(100, min_samples_leaf=2, random_state=past.seed)
        forest.fit(encoder.expand(task.units[known]), task.scores[known])
        regrets.append(task.regrets(forest.predict(x)))
    return rows, np.stack(regrets)
