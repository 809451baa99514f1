"""The space that a study in fact searches: its objective decides ranges and choices, and its trials show them."""

import math
from collections.abc import Collection, Sequence

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from automl_meta.spaces import SearchSpace, units

#: Trials that are looked at for a parameter, and how many that agree say that its distribution is fixed.
_LOOK_BACK, _AGREEING = 20, 3
#: Share of a searched range outside the learned one from which the outside is worth a search of its own.
_SHARE_BEYOND = 0.05
_NUMERIC = (FloatDistribution, IntDistribution)


def searched_space(
    trials: Sequence[FrozenTrial], space: SearchSpace, known: Collection[str]
) -> SearchSpace:
    """Return a space with the ranges and choices that a study's latest trials were asked for.

    Where they changed lately, or depend on another parameter, all that the latest trials had counts.

    Args:
        trials: Of the study, oldest first.
        space: What is believed to be searched; returned as it is where no trial shows otherwise.
        known: Names of its parameters that matter.

    Example:
        >>> import optuna
        >>> study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        >>> study.optimize(lambda trial: trial.suggest_float("x", 2.0, 3.0), n_trials=1)
        >>> learned = SearchSpace("toy", 1, {"x": FloatDistribution(0.0, 9.0)})
        >>> searched_space(study.trials, learned, {"x"}).distributions["x"].high
        3.0
    """
    latest: dict[str, list[BaseDistribution]] = {name: [] for name in known}
    asking = [trial for trial in trials if trial.distributions][-_LOOK_BACK:]
    for trial in reversed(asking):
        for name, distribution in trial.distributions.items():
            if name in latest:
                latest[name].append(distribution)
    shown = {name: _seen_in(found) for name, found in latest.items() if found}
    other = {
        name: distribution
        for name, distribution in shown.items()
        if distribution != space.distributions[name]
        and meet(distribution, space.distributions[name])
    }
    return space.narrow(**other) if other else space


def _seen_in(found: Sequence[BaseDistribution]) -> BaseDistribution:
    """Return the distribution that latest trials, the last one first, agree on, or one that covers all of them."""
    last = found[0]
    if all(distribution == last for distribution in found[:_AGREEING]):
        return last
    covering = last
    for distribution in found:
        covering = units.united(covering, distribution) or covering
    return covering


def meet(a: BaseDistribution, b: BaseDistribution) -> bool:
    """Tell whether two distributions share more than an end of their ranges, or a choice.

    Args:
        a: A distribution.
        b: Another one.

    Example:
        >>> meet(IntDistribution(1, 10), IntDistribution(10, 20)), meet(IntDistribution(1, 10), FloatDistribution(9, 20))
        (False, True)
    """
    if isinstance(a, CategoricalDistribution) and isinstance(b, CategoricalDistribution):
        return any(units.index_of(a, choice) is not None for choice in b.choices)
    if not isinstance(a, _NUMERIC) or not isinstance(b, _NUMERIC):
        return False
    low, high = max(a.low, b.low), min(a.high, b.high)
    return low < high or (low == high and (a.single() or b.single()))


def reaches_beyond(searched: SearchSpace, learned: SearchSpace) -> list[str]:
    """Return the parameters of which a search has values that a learner has not.

    Args:
        searched: The space that is searched.
        learned: The space of the learner.

    Example:
        >>> learned = SearchSpace("toy", 1, {"x": FloatDistribution(0.0, 1.0)})
        >>> reaches_beyond(learned.narrow(x=FloatDistribution(0.5, 9.0)), learned)
        ['x']
    """
    return [
        name
        for name, distribution in searched.distributions.items()
        if name in learned.distributions and _beyond(distribution, learned.distributions[name])
    ]


def _beyond(searched: BaseDistribution, learned: BaseDistribution) -> bool:
    if isinstance(searched, CategoricalDistribution):
        return isinstance(learned, CategoricalDistribution) and any(
            units.index_of(learned, choice) is None for choice in searched.choices
        )
    if not isinstance(searched, _NUMERIC) or not isinstance(learned, _NUMERIC):
        return False
    low, high, inner_low, inner_high = (
        math.log(value) if searched.log and value > 0 else float(value)
        for value in (searched.low, searched.high, learned.low, learned.high)
    )
    if searched.log and learned.low <= 0:
        inner_low = low
    inside = min(high, inner_high) - max(low, inner_low)
    return inside < (1.0 - _SHARE_BEYOND) * (high - low)
