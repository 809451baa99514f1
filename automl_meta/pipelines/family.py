"""What a family is: one kind of model pipeline with its search space, starting points and fidelity."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_meta._typing import Configuration, ProblemKind, TaskKind
from automl_meta.exceptions import InvalidParameterError, MissingExtraError
from automl_meta.spaces import SearchSpace

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from automl_meta.tasks.task import ColumnKind, Task


@dataclass(frozen=True)
class DataShape:
    """The facts about the training rows that a pipeline needs before it sees them.

    Attributes:
        columns: Column name to ``"numeric"`` or ``"categorical"``, in order.
        kind: ``"binary"``, ``"multiclass"`` or ``"regression"``.
        n_rows: Number of training rows, >= 1.
        smallest_class: Rows of the rarest class; equal to ``n_rows`` for regression.
    """

    columns: Mapping[str, "ColumnKind"]
    kind: TaskKind
    n_rows: int
    smallest_class: int

    @classmethod
    def of(cls, task: "Task", target: Any) -> "DataShape":
        """Describe some training rows of a task.

        Args:
            task: The task that the rows belong to.
            target: Their targets, shape [n_rows].
        """
        rows = len(target)
        counts = (
            rows
            if task.kind == "regression"
            else int(np.unique(target, return_counts=True)[1].min())
        )
        return cls(task.columns, task.kind, rows, counts)

    @property
    def is_regression(self) -> bool:
        """Whether the target is a number."""
        return self.kind == "regression"

    def names(self, kind: "ColumnKind") -> list[str]:
        """Return the names of the columns of one kind, in order."""
        return [name for name, k in self.columns.items() if k == kind]


@dataclass(frozen=True)
class Budget:
    """How much a pipeline may spend.

    Attributes:
        seed: Seed of the estimator.
        n_jobs: Threads it may use, >= 1.
        fidelity: Share of the full number of trees, iterations or epochs, in (0, 1].
    """

    seed: int = 0
    n_jobs: int = 1
    fidelity: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.fidelity <= 1.0:
            raise InvalidParameterError.of(
                "fidelity",
                "Budget",
                "a number in (0, 1]",
                self.fidelity,
                "Use 1 for the full model.",
            )

    def scale(self, full: int) -> int:
        """Return the share of a count that the fidelity allows, at least 1."""
        return max(1, round(full * self.fidelity))


@dataclass(frozen=True)
class Family:
    """One kind of model pipeline.

    Attributes:
        name: Identifier used at the command line and in files.
        title: Readable name.
        space_of: Problem kind to search space.
        build: ``(configuration, shape, budget)`` to an unfitted scikit-learn pipeline.
        starting_points_of: Problem kind to good configurations known beforehand; the first is the
            default that reports compare with.
        fidelity: What ``Budget.fidelity`` scales: ``"iterations"``, ``"trees"``, ``"epochs"``,
            ``"rows"`` (then the evaluation takes a share of the training rows instead) or ``"member"``
            (whatever the member that the configuration chooses scales).
        requires: Module of the ``boosting`` extra that it needs, or None.
        member_of: For a family of families, the member that a configuration chooses.
    """

    name: str
    title: str
    space_of: Callable[[ProblemKind], SearchSpace]
    build: "Callable[[Configuration, DataShape, Budget], Pipeline]"
    starting_points_of: Callable[[ProblemKind], tuple[Configuration, ...]]
    fidelity: str
    requires: str | None = None
    member_of: "Callable[[Configuration], Family] | None" = None

    def space(self, problem: ProblemKind) -> SearchSpace:
        """Return the search space for a problem kind."""
        return self.space_of(problem)

    def default(self, problem: ProblemKind) -> Configuration:
        """Return the default configuration for a problem kind."""
        return self.starting_points_of(problem)[0]

    def starting_points(self, problem: ProblemKind) -> tuple[Configuration, ...]:
        """Return the default and other configurations known to be good."""
        return self.starting_points_of(problem)

    def fidelity_of(self, configuration: Configuration) -> str:
        """Return what the fidelity scales for a configuration."""
        return self.member_of(configuration).fidelity if self.member_of else self.fidelity

    def member_name(self, configuration: Configuration) -> str:
        """Return the name of the family that a configuration belongs to: a member's, or its own."""
        return self.member_of(configuration).name if self.member_of else self.name

    @property
    def is_installed(self) -> bool:
        """Whether the module that the family needs can be imported."""
        return self.requires is None or find_spec(self.requires) is not None

    def check_installed(self) -> None:
        """Raise MissingExtraError, with the command to run, if a needed module is absent."""
        if not self.is_installed:
            msg = f"Family {self.name} needs {self.requires}. Run: pip install 'automl-meta[boosting]'."
            raise MissingExtraError(msg)
