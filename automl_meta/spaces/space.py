"""A search space: named Optuna distributions, some of them active only under a condition."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from automl_meta._typing import JSON, Configuration, ParamValue
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.spaces import units

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class Condition:
    """A parameter is active only while its parent is active and holds one of these values.

    Attributes:
        parent: Name of a categorical parameter, or of a whole number on a linear scale, that comes earlier in the space.
        values: Values of the parent under which the child is active; not empty.
    """

    parent: str
    values: tuple[ParamValue, ...]


@dataclass(frozen=True)
class SearchSpace:
    """Named Optuna distributions with conditions.

    Attributes:
        name: Identifies the space in files and messages, such as ``"svm-classification"``.
        version: Schema version, >= 1; raised whenever a distribution or a condition changes.
        distributions: Parameter name to Optuna distribution, parents before their children.
        conditions: Child name to its condition; parameters without one are always active.

    Raises:
        InvalidParameterError: If a condition names an unknown or later parent, one of which no value can be named, or a
            value that the parent does not have.

    Example:
        >>> from optuna.distributions import CategoricalDistribution, FloatDistribution
        >>> space = SearchSpace(
        ...     "toy",
        ...     1,
        ...     {
        ...         "kernel": CategoricalDistribution(["linear", "rbf"]),
        ...         "gamma": FloatDistribution(1e-3, 1e1, log=True),
        ...     },
        ...     {"gamma": Condition("kernel", ("rbf",))},
        ... )
        >>> space.active({"kernel": "linear"})
        ('kernel',)
        >>> space.clip({"kernel": "rbf", "gamma": 99.0, "typo": 1})
        {'kernel': 'rbf', 'gamma': 10.0}
    """

    name: str
    version: int
    distributions: Mapping[str, BaseDistribution]
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.distributions:
            raise InvalidParameterError.of(
                "distributions",
                "SearchSpace",
                "a mapping with at least one parameter",
                {},
                "Add one.",
            )
        seen: dict[str, BaseDistribution] = {}
        for name, distribution in self.distributions.items():
            if name in self.conditions:
                _check_condition(name, self.conditions[name], seen)
            seen[name] = distribution
        unknown = sorted(set(self.conditions) - set(seen))
        if unknown:
            raise InvalidParameterError.of(
                "conditions",
                "SearchSpace",
                "a mapping over the space's parameters",
                unknown,
                "Remove these names.",
            )

    @property
    def schema_hash(self) -> str:
        """Sixteen hex digits that change with any distribution, condition or the version."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def active(self, configuration: Configuration) -> tuple[str, ...]:
        """Return the names of the parameters that are active in a configuration, in space order.

        Args:
            configuration: Values for at least the parents that decide activity.
        """
        names: list[str] = []
        for name in self.distributions:
            condition = self.conditions.get(name)
            if condition is None or (
                condition.parent in names
                and self._holds(condition, configuration.get(condition.parent, _MISSING))
            ):
                names.append(name)
        return tuple(names)

    def validate(self, configuration: Configuration) -> dict[str, ParamValue]:
        """Check a configuration and return its active parameters in space order.

        Args:
            configuration: Parameter values; inactive parameters are dropped.

        Returns:
            The active parameters as built-in scalars.

        Raises:
            InvalidParameterError: If a parameter is unknown, missing or outside its distribution.
        """
        unknown = sorted(set(configuration) - set(self.distributions))
        if unknown:
            raise InvalidParameterError.of(
                unknown[0],
                f"space {self.name}",
                f"one of {', '.join(self.distributions)}",
                configuration[unknown[0]],
                "Remove it.",
            )
        result: dict[str, ParamValue] = {}
        for name in self.active(configuration):
            distribution = self.distributions[name]
            if name not in configuration or not units.contains(distribution, configuration[name]):
                raise InvalidParameterError.of(
                    name,
                    f"space {self.name}",
                    f"within {distribution}",
                    configuration.get(name),
                    "Give a value inside it.",
                )
            result[name] = units.builtin(distribution, configuration[name])
        return result

    def clip(self, configuration: Configuration) -> dict[str, ParamValue]:
        """Return the nearest valid configuration.

        Unknown and inactive parameters are dropped, numbers are moved to the nearest allowed value,
        unknown categories and missing parameters get the first category or the middle of the range.

        Args:
            configuration: Any values, from another version of the space for instance.
        """
        result: dict[str, ParamValue] = {}
        for name, distribution in self.distributions.items():
            condition = self.conditions.get(name)
            if condition is not None and not self._holds(
                condition, result.get(condition.parent, _MISSING)
            ):
                continue
            result[name] = units.nearest(distribution, configuration.get(name, _MISSING))
        return result

    def fits(self, configuration: Configuration) -> bool:
        """Tell whether the space has all the categories that a configuration names.

        A number out of range can be moved to the nearest one that is in it; a category has no neighbour.

        Args:
            configuration: A configuration of another space; parameters that this one lacks do not count.

        Example:
            >>> space = SearchSpace("toy", 1, {"kind": CategoricalDistribution(["a", "b"])})
            >>> space.fits({"kind": "a", "x": 1.0}), space.fits({"kind": "c"})
            (True, False)
        """
        return all(
            units.contains(distribution, configuration[name])
            for name, distribution in self.distributions.items()
            if name in configuration and isinstance(distribution, CategoricalDistribution)
        )

    def sample(self, rng: np.random.Generator, n: int) -> list[dict[str, ParamValue]]:
        """Draw configurations, each parameter uniformly on its (log) scale.

        Args:
            rng: Source of randomness.
            n: How many, >= 0.
        """
        return [self.from_units(row) for row in rng.uniform(size=(n, len(self.distributions)))]

    def from_units(self, row: Sequence[float] | np.ndarray) -> dict[str, ParamValue]:
        """Map a point of the unit cube (one coordinate a parameter, space order) to a configuration.

        Coordinates of inactive parameters are ignored, so every point of the cube is valid: this is
        how a Sobol sequence becomes configurations.

        Args:
            row: Shape [n_parameters], values in [0, 1].
        """
        result: dict[str, ParamValue] = {}
        for (name, distribution), value in zip(self.distributions.items(), row, strict=True):
            condition = self.conditions.get(name)
            if condition is None or self._holds(condition, result.get(condition.parent, _MISSING)):
                result[name] = units.from_unit(distribution, float(value))
        return result

    def suggest(self, trial: "BaseTrial") -> dict[str, ParamValue]:
        """Ask an Optuna trial for a configuration, parents first, active parameters only.

        Args:
            trial: A live or fixed trial.
        """
        result: dict[str, ParamValue] = {}
        for name, distribution in self.distributions.items():
            condition = self.conditions.get(name)
            if condition is not None and not self._holds(
                condition, result.get(condition.parent, _MISSING)
            ):
                continue
            result[name] = _suggest(trial, name, distribution)
        return result

    def _holds(self, condition: Condition, value: object) -> bool:
        """Tell whether a value of the parent is one of the condition's; 3.0 and NumPy's 3 are the whole number 3."""
        parent = self.distributions[condition.parent]
        if isinstance(parent, IntDistribution) and units.contains(parent, value):
            value = units.builtin(parent, value)
        return any(units.same_value(value, known) for known in condition.values)

    def narrow(self, **distributions: BaseDistribution) -> "SearchSpace":
        """Return a copy with some distributions replaced; names with a dot go in by ``**{...}``.

        Args:
            **distributions: Parameter name to its new distribution.

        Raises:
            InvalidParameterError: If a name is not in the space.
        """
        unknown = sorted(set(distributions) - set(self.distributions))
        if unknown:
            raise InvalidParameterError.of(
                unknown[0],
                "SearchSpace.narrow",
                f"one of {', '.join(self.distributions)}",
                str(distributions[unknown[0]]),
                "Check the spelling.",
            )
        merged = {name: distributions.get(name, old) for name, old in self.distributions.items()}
        conditions: dict[str, Condition] = {}
        for child in [name for name in merged if name in self.conditions]:
            condition = self.conditions[child]
            parent = merged.get(condition.parent)
            kept = tuple(v for v in condition.values if parent and units.contains(parent, v))
            if kept:
                conditions[child] = Condition(condition.parent, kept)
            else:  # no remaining value of the parent activates it
                del merged[child]
        return replace(self, distributions=merged, conditions=conditions)

    def to_json(self) -> JSON:
        """Return a JSON-ready description; ``from_json`` is its inverse."""
        return {
            "name": self.name,
            "version": self.version,
            "distributions": {
                name: json.loads(distribution_to_json(d)) for name, d in self.distributions.items()
            },
            "conditions": {
                name: {"parent": c.parent, "values": list(c.values)}
                for name, c in self.conditions.items()
            },
        }

    @classmethod
    def from_json(cls, document: JSON) -> "SearchSpace":
        """Rebuild a space from ``to_json``.

        Args:
            document: The parsed JSON.

        Raises:
            StoreError: If the document is not a space.
        """
        try:
            return cls(
                document["name"],
                int(document["version"]),
                {
                    name: json_to_distribution(json.dumps(d))
                    for name, d in document["distributions"].items()
                },
                {
                    name: Condition(c["parent"], tuple(c["values"]))
                    for name, c in document["conditions"].items()
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            msg = f"Not a search space: {error!r} in {str(document)[:80]}. Make the file again."
            raise StoreError(msg) from error


class _Missing:
    """Marks an absent value; None is a legal category."""


_MISSING = _Missing()


def _check_condition(name: str, condition: Condition, seen: Mapping[str, BaseDistribution]) -> None:
    parent = seen.get(condition.parent)
    if parent is None or not condition.values:
        rule = f"a parent listed before '{name}' and at least one value"
        raise _bad_condition(rule, condition, "Reorder the parameters.")
    if not units.is_countable(parent):
        rule = "on a categorical parent, or a whole number on a linear scale"
        raise _bad_condition(rule, condition, "Leave the condition out.")
    for value in condition.values:
        exact = type(value) is int or not isinstance(parent, IntDistribution)
        if not exact or not units.contains(parent, value):
            rule = f"values of '{condition.parent}', which is {parent}"
            raise _bad_condition(rule, value, "Correct the value.")


def _bad_condition(rule: str, value: object, remedy: str) -> InvalidParameterError:
    return InvalidParameterError.of("conditions", "SearchSpace", rule, value, remedy)


def _suggest(trial: "BaseTrial", name: str, distribution: BaseDistribution) -> ParamValue:
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, log=distribution.log, step=distribution.step
        )
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, log=distribution.log, step=distribution.step
        )
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(name, distribution.choices)
