"""The family ``auto``: the seven scikit-learn families as one conditional space."""

from collections.abc import Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution
from sklearn.pipeline import Pipeline

from automl_meta._typing import Configuration, ParamValue, ProblemKind
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.spaces import Condition, SearchSpace

#: Name of the root parameter that chooses the family.
ROOT = "family"


def join(family: str, configuration: Configuration) -> dict[str, ParamValue]:
    """Turn a family's configuration into one of ``auto``.

    Example:
        >>> join("knn", {"n_neighbors": 5})
        {'family': 'knn', 'knn.n_neighbors': 5}
    """
    return {ROOT: family, **{f"{family}.{name}": value for name, value in configuration.items()}}


def split(configuration: Configuration) -> tuple[str, dict[str, ParamValue]]:
    """Turn a configuration of ``auto`` into the family's name and its own configuration.

    Example:
        >>> split({"family": "knn", "knn.n_neighbors": 5})
        ('knn', {'n_neighbors': 5})
    """
    family = str(configuration[ROOT])
    prefix = f"{family}."
    return family, {
        name.removeprefix(prefix): value
        for name, value in configuration.items()
        if name.startswith(prefix)
    }


def combine(families: Sequence[Family]) -> Family:
    """Make one family of several, with a root parameter that chooses among them.

    Args:
        families: The members, at least one; the first one's default becomes the default.
    """
    members = {family.name: family for family in families}

    def space(problem: ProblemKind) -> SearchSpace:
        distributions: dict[str, Any] = {ROOT: CategoricalDistribution(list(members))}
        conditions = {}
        for name, family in members.items():
            own = family.space(problem)
            for parameter, distribution in own.distributions.items():
                full = f"{name}.{parameter}"
                distributions[full] = distribution
                condition = own.conditions.get(parameter)
                conditions[full] = (
                    Condition(ROOT, (name,))
                    if condition is None
                    else Condition(f"{name}.{condition.parent}", condition.values)
                )
        version = sum(family.space(problem).version for family in families)
        return SearchSpace(f"auto-{problem}", version, distributions, conditions)

    def build(configuration: Configuration, shape: DataShape, budget: Budget) -> Pipeline:
        name, own = split(configuration)
        return members[name].build(own, shape, budget)

    def starting_points(problem: ProblemKind) -> tuple[Configuration, ...]:
        return tuple(join(name, family.default(problem)) for name, family in members.items())

    return Family(
        "auto",
        "all scikit-learn families",
        space,
        build,
        starting_points,
        fidelity="member",
        member_of=lambda configuration: members[split(configuration)[0]],
    )
