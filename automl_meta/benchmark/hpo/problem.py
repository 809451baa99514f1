"""A benchmark problem: tasks with recorded evaluations, and what a search on one of them sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from automl_meta._typing import Configuration, FloatArray, IntArray
from automl_meta.benchmark.hpo.definition import Definition
from automl_meta.metadata.past import PastTask
from automl_meta.spaces import Encoder, SearchSpace

#: (task number, configurations) to scores, greater is better.
Function = Callable[[int, Sequence[Configuration]], FloatArray]


class Objective(Protocol):
    """What a search evaluates; made anew for every search."""

    def evaluate(self, configuration: Configuration) -> tuple[Configuration, float]:
        """Return the configuration that was really evaluated and its score.

        Args:
            configuration: The proposal.
        """
        ...


@dataclass(frozen=True, eq=False)
class Problem:
    """Tasks of one search space.

    Attributes:
        definition: Where it comes from.
        space: The search space.
        names: Task names, unique.
        rows: Recorded configurations of each task as a unit matrix [n_t, p]; tasks may share one.
        scores: Their scores, [n_t], greater is better; NaN for failed ones.
        groups: Group of near duplicates of each task, [T].
        function: Evaluates any configuration; None where only the rows can be evaluated.
        features: Numbers that describe each task, by name; may be empty.
    """

    definition: Definition
    space: SearchSpace
    names: tuple[str, ...]
    rows: tuple[FloatArray, ...]
    scores: tuple[FloatArray, ...]
    groups: IntArray
    function: Function | None = None
    features: tuple[Mapping[str, float], ...] = field(default=())

    def part(self, tasks: IntArray) -> "Problem":
        """Return the problem with some of its tasks, numbered anew from 0.

        Args:
            tasks: Their numbers here.

        Example:
            Folds within training tasks: ``problem.part(np.flatnonzero(folds != 0))``.
        """
        tasks = np.asarray(tasks, dtype=np.int64)
        return replace(
            self,
            names=tuple(self.names[t] for t in tasks),
            rows=tuple(self.rows[t] for t in tasks),
            scores=tuple(self.scores[t] for t in tasks),
            groups=self.groups[tasks],
            function=None if self.function is None else _renumbered(self.function, tasks),
            features=tuple(self.features[t] for t in tasks) if self.features else (),
        )

    def past(self, task: int) -> PastTask:
        """Return what methods may learn of a task.

        Args:
            task: Its number.
        """
        n = self.definition.past
        described = self.features[task] if self.features else {}
        return PastTask(self.names[task], self.rows[task][:n], self.scores[task][:n], described)

    def objective(self, task: int) -> Objective:
        """Return a fresh objective.

        Args:
            task: Number of the task.
        """
        if self.definition.table or self.function is None:
            return TableObjective(self.space, self.rows[task], self.scores[task])
        return FunctionObjective(self.function, task)

    def scale(self, task: int) -> tuple[float, float]:
        """Return the recorded scores of a task that stand for regret 1 and 0.

        Args:
            task: Its number.
        """
        worst = np.nanquantile(self.scores[task], self.definition.worst)
        return float(worst), float(np.nanmax(self.scores[task]))


def _renumbered(function: Function, tasks: IntArray) -> Function:
    """Return the function of some tasks, numbered from 0."""
    return lambda task, configurations: function(int(tasks[task]), configurations)


class TableObjective:
    """Evaluates the nearest row that was not evaluated before, in the encoding of the space.

    Args:
        space: The space.
        rows: Unit matrix of the table, shape [n, p].
        scores: Shape [n].
    """

    def __init__(self, space: SearchSpace, rows: FloatArray, scores: FloatArray) -> None:
        self._encoder = Encoder(space)
        self._rows, self._scores = rows, scores
        self._encodings = self._encoder.expand(rows)
        self._taken = np.zeros(len(rows), dtype=bool)

    def evaluate(self, configuration: Configuration) -> tuple[Configuration, float]:
        """Return the nearest open row and its score.

        Args:
            configuration: The proposal.
        """
        distance = np.sum((self._encodings - self._encoder.encode([configuration])) ** 2, axis=1)
        distance[self._taken] = np.inf
        row = int(np.argmin(distance))
        self._taken[row] = True
        return self._encoder.from_units(self._rows[row]), float(self._scores[row])


class FunctionObjective:
    """Evaluates the proposal itself.

    Args:
        function: The problem's function.
        task: Number of the task.
    """

    def __init__(self, function: Function, task: int) -> None:
        self._function, self._task = function, task

    def evaluate(self, configuration: Configuration) -> tuple[Configuration, float]:
        """Return the proposal and its score.

        Args:
            configuration: The proposal.
        """
        return configuration, float(self._function(self._task, [configuration])[0])
