"""How much each method of a comparison runs on a problem."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl_meta.benchmark.hpo.methods import Method
from automl_meta.benchmark.hpo.problem import Problem
from automl_meta.exceptions import check_least


@dataclass(frozen=True)
class HpoSettings:
    """How much is run.

    Attributes:
        seeds: Searches a task of fast methods, with seeds 0, 1, ...; slow ones run what the problem's
            definition allows, at most.
        trials: Trials of a search, at most the definition's; None for these.
        workers: Trials of a search that run at once.
        jobs: Processes.
    """

    seeds: int = 5
    trials: int | None = None
    workers: int = 1
    jobs: int = 1

    def __post_init__(self) -> None:
        check_least(self, "compare", {"seeds": 1, "workers": 1, "jobs": 1})
        if self.trials is not None:
            check_least(self, "compare", {"trials": 1})


@dataclass(frozen=True)
class Plan:
    """What one method runs on one problem.

    Attributes:
        tasks: Numbers of the tasks.
        seeds: How many searches a task.
        trials: Trials of a search.
    """

    tasks: tuple[int, ...]
    seeds: int
    trials: int


def plans_of(problem: Problem, methods: Sequence[Method], settings: HpoSettings) -> dict[str, Plan]:
    """Return what each method runs on a problem, by its name.

    Args:
        problem: The problem.
        methods: All methods of the comparison: beside a slow one all run on its tasks only, for they are compared on
            the tasks that all ran.
        settings: How much is asked for.
    """
    definition = problem.definition
    trials = min(settings.trials or definition.trials, definition.trials)
    n = len(problem.names)
    tasks = tuple(range(n))
    if any(m.slow for m in methods) and 0 < definition.slow_tasks < n:
        spaced = np.linspace(0, n - 1, definition.slow_tasks).round().astype(int)
        tasks = tuple(dict.fromkeys(spaced.tolist()))
    fast = Plan(tasks, settings.seeds, trials)
    slow = Plan(
        tasks, min(settings.seeds, definition.slow_seeds), min(trials, definition.slow_trials)
    )
    return {method.name: slow if method.slow else fast for method in methods}
