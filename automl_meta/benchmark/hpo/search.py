"""One search: an Optuna sampler on one objective, told what was really evaluated."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from automl_meta._typing import Configuration, ParamValue
from automl_meta.benchmark.hpo.problem import Objective
from automl_meta.spaces import SearchSpace


@dataclass(frozen=True)
class Search:
    """What proposes.

    Attributes:
        sampler: Proposes after the starting points.
        space: What it is asked for: the problem's space, or that space without its conditions.
        start: Configurations to evaluate first, valid in the problem's space.
    """

    sampler: BaseSampler
    space: SearchSpace
    start: Sequence[Configuration] = field(default=())


@dataclass(frozen=True)
class Trace:
    """What a search did.

    Attributes:
        scores: Score of each trial in order; NaN for a failed one.
        seconds: Time that each proposal took; 0 for a starting point.
    """

    scores: list[float]
    seconds: list[float]


def run_search(
    search: Search, objective: Objective, space: SearchSpace, n_trials: int, *, workers: int = 1
) -> Trace:
    """Run a search.

    Where the objective evaluates another configuration than the proposed one (the nearest row of a
    table), the sampler is told of the evaluated one, as if it had proposed that.

    Args:
        search: The method's part.
        objective: What is maximised.
        space: The problem's space.
        n_trials: Trials.
        workers: Trials that run at once: a result arrives after ``workers - 1`` further proposals.
    """
    driver = _Driver(search)
    trace = Trace([], [])
    running: list[float] = []
    for number in range(n_trials):
        if number < len(search.start):
            asked, spent = driver.queued(search.start[number]), 0.0
        else:
            begin = time.perf_counter()
            asked = driver.ask()
            spent = time.perf_counter() - begin
        proposal = space.clip(asked)
        evaluated, score = objective.evaluate(proposal)
        if evaluated != proposal:
            driver.correct({**asked, **evaluated}, space)
        trace.scores.append(score)
        trace.seconds.append(spent)
        running.append(score)
        while len(running) >= workers:
            driver.tell(number - len(running) + 1, running.pop(0))
    return trace


class _Driver:
    """A study whose trials may be corrected after the proposal."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._study = optuna.create_study(direction="maximize", sampler=search.sampler)

    def ask(self) -> dict[str, ParamValue]:
        """Return the next proposal."""
        return dict(self._search.space.suggest(self._study.ask()))

    def queued(self, start: Configuration) -> dict[str, ParamValue]:
        """Start a trial at a given point; what the point leaves open is the middle of the range."""
        self._study.enqueue_trial(self._search.space.clip(start))
        return self.ask()

    def correct(self, params: Configuration, space: SearchSpace) -> None:
        """Make the last trial one of other parameters.

        Without a copy Optuna hands out the trials that its in-memory storage holds, so that a change here is a
        change there. Moving all trials to a new study instead takes ten times TPE's own time.
        """
        last = self._study.get_trials(deepcopy=False)[-1]
        # A space without conditions keeps the proposed values of what the evaluated row leaves open.
        known = self._search.space
        names = known.active(params) if known == space else tuple(known.distributions)
        last.params = {name: params[name] for name in names}
        last.distributions = {name: known.distributions[name] for name in names}

    def tell(self, number: int, score: float) -> None:
        """Finish a trial."""
        if np.isfinite(score):
            self._study.tell(number, score)
        else:
            self._study.tell(number, state=TrialState.FAIL)
