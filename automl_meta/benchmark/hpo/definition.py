"""Definitions of benchmark problems, written as TOML in ``tasks/hpo/``."""

import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from automl_meta._resources import tasks_folder
from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError
from automl_meta.spaces import Condition, SearchSpace

_FOLDER = "hpo"
_REQUIRED = {"title": str, "source": str, "score": str, "table": bool, "trials": int}
_OPTIONAL = {
    "folds": 5,
    "past": 2000,
    "slow_seeds": 3,
    "slow_trials": 50,
    "slow_tasks": 0,
    "worst": 0.0,
}
#: Least and greatest value of numbers.
_RANGES = {
    "trials": (1, math.inf),
    "folds": (2, math.inf),
    "past": (1, math.inf),
    "slow_seeds": (1, math.inf),
    "slow_trials": (1, math.inf),
    "slow_tasks": (0, math.inf),
    "worst": (0, 0.99),
}
_PARAMETER_KEYS = {"name", "low", "high", "log", "integer", "choices", "parent", "values"}


@dataclass(frozen=True)
class Definition:
    """What a benchmark problem is.

    Attributes:
        name: Short name, that of its file.
        title: One line for reports.
        source: Which reader makes the problem: ``yahpo``, ``oboe``, ``openml100`` or ``evaluations``.
        score: What is maximised, for reports.
        table: Whether a search chooses among the rows of a table; otherwise the whole space is open.
        trials: Trials of a search.
        folds: Folds over the groups of tasks.
        past: Evaluations of each past task that a method may learn from.
        slow_seeds: Seeds of methods that take a tenth of a second and more a proposal.
        slow_trials: Their trials.
        slow_tasks: Their tasks, an evenly spaced subset, and those of every method beside them; 0 for all.
        worst: Quantile of a task's recorded scores that counts as regret 1, from 0 to .99; 0 for the lowest score.
        options: What the reader needs.
        space: The search space where the definition writes it down.
    """

    name: str
    title: str
    source: str
    score: str
    table: bool
    trials: int
    folds: int = 5
    past: int = 2000
    slow_seeds: int = 3
    slow_trials: int = 50
    slow_tasks: int = 0
    worst: float = 0.0
    options: JSON = field(default_factory=dict)
    space: SearchSpace | None = None

    def option(self, name: str) -> Any:
        """Return an option that the reader cannot do without.

        Args:
            name: Its name below ``[options]``.

        Raises:
            InvalidParameterError: If the definition does not give it.
        """
        if name in self.options:
            return self.options[name]
        given = ", ".join(self.options) or "none"
        rule, remedy = "given below [options]", f"Add {name} = ... there."
        raise InvalidParameterError.of(
            name, f"problem {self.name}", rule, f"the options {given}", remedy
        )


def definition_names() -> tuple[str, ...]:
    """Return the names of the definitions that ship.

    Example:
        >>> "lcbench" in definition_names()
        True
    """
    return tuple(sorted(path.stem for path in (tasks_folder() / _FOLDER).glob("*.toml")))


def load_definition(name: str | Path) -> Definition:
    """Read a definition.

    Args:
        name: Path of a TOML file, or the name of one that ships, such as ``"lcbench"``.

    Raises:
        InvalidParameterError: If there is no such file or it breaks the format.

    Example:
        >>> load_definition("lcbench").space.name
        'lcbench'
    """
    path = Path(name)
    if not path.is_file():
        path = tasks_folder() / _FOLDER / f"{name}.toml"
    if not path.is_file():
        raise InvalidParameterError.of(
            "problem",
            "compare",
            f"a TOML file or one of {', '.join(definition_names())}",
            str(name),
            "Choose one of them.",
        )
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is no valid TOML: {error}. Correct the file."
        raise InvalidParameterError(msg) from error
    if "like" in document:
        document = _inherited(path, document)
    return _definition(path, document)


def _inherited(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Return a definition with what it does not say itself from another one beside it."""
    other = path.with_name(f"{document.pop('like')}.toml")
    if not other.is_file():
        raise InvalidParameterError.of(
            "like", path.name, "a definition beside it", other.name, "Check the name."
        )
    base = tomllib.loads(other.read_text(encoding="utf-8"))
    options = {**base.get("options", {}), **document.get("options", {})}
    return {**base, **document, "options": options}


def _definition(path: Path, document: dict[str, Any]) -> Definition:
    known = {*_REQUIRED, *_OPTIONAL, "options", "parameter"}
    for key in document:
        if key not in known:
            raise InvalidParameterError.of(
                key, path.name, f"one of {', '.join(sorted(known))}", key, "Remove or rename it."
            )
    optional = {key: type(value) for key, value in _OPTIONAL.items()}
    for key, kind in {**_REQUIRED, **optional}.items():
        value = document.get(key, _OPTIONAL.get(key))
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InvalidParameterError.of(
                key, path.name, f"a {kind.__name__}", value, "Correct it."
            )
        low, high = _RANGES.get(key, (-math.inf, math.inf))
        if isinstance(value, int | float) and not low <= value <= high:
            rule = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            raise InvalidParameterError.of(key, path.name, rule, value, "Correct it.")
    if not isinstance(document.get("options", {}), dict):
        rule, remedy = "a table", "Begin it with a line [options]."
        raise InvalidParameterError.of("options", path.name, rule, document["options"], remedy)
    parameters = document.get("parameter")
    values: dict[str, Any] = {**_OPTIONAL, **document}
    return Definition(
        name=path.stem,
        **{key: values[key] for key in (*_REQUIRED, *_OPTIONAL)},
        options=document.get("options", {}),
        space=None if parameters is None else _space(path, parameters),
    )


def _space(path: Path, parameters: list[dict[str, Any]]) -> SearchSpace:
    distributions: dict[str, BaseDistribution] = {}
    conditions: dict[str, Condition] = {}
    for number, entry in enumerate(parameters, start=1):
        where = f"parameter {number} of {path.name}"
        unknown = set(entry) - _PARAMETER_KEYS
        if unknown or "name" not in entry:
            raise InvalidParameterError.of(
                ", ".join(sorted(unknown)) or "name",
                where,
                f"made of {', '.join(sorted(_PARAMETER_KEYS))}, name being given",
                entry,
                "Correct it.",
            )
        try:
            distributions[entry["name"]] = _distribution(entry)
        except (KeyError, TypeError, ValueError) as error:
            msg = f"The {where} is no search range: {error}. Give low and high, or choices."
            raise InvalidParameterError(msg) from error
        told = isinstance(entry.get("parent"), str) and isinstance(entry.get("values"), list)
        if ("parent" in entry or "values" in entry) and not told:
            rule, remedy = "given together, a name and a list", "Correct it."
            raise InvalidParameterError.of("parent, values", where, rule, entry, remedy)
        if "parent" in entry:
            conditions[entry["name"]] = Condition(entry["parent"], tuple(entry["values"]))
    return SearchSpace(path.stem, 1, distributions, conditions)


def _distribution(entry: dict[str, Any]) -> BaseDistribution:
    if "choices" in entry:
        return CategoricalDistribution(entry["choices"])
    log = bool(entry.get("log", False))
    if entry.get("integer", False):
        return IntDistribution(int(entry["low"]), int(entry["high"]), log=log)
    return FloatDistribution(float(entry["low"]), float(entry["high"]), log=log)
