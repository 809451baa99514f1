"""The best configurations of the past task that ranks the trials most alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from automl_meta._typing import Configuration, FloatArray, IntArray
from automl_meta.benchmark.hpo.methods import Past, Searcher
from automl_meta.benchmark.hpo.peers.portfolio import learn_portfolio
from automl_meta.benchmark.hpo.peers.proposer import Proposer
from automl_meta.benchmark.hpo.search import Search
from automl_meta.metadata.past import PastTask
from automl_meta.prior import Observation
from automl_meta.prior.observations import scores_of
from automl_meta.search.sampler import MetaSampler
from automl_meta.spaces import Encoder, SearchSpace

_START = 3


@dataclass(frozen=True)
class NearestTask:
    """Three portfolio points tell which past task is nearest; its best configurations follow, best first.

    Attributes:
        name: As reports call it.
        slow: See ``Method``.
    """

    name: str = "nearest task"
    slow: bool = False

    def learn(self, past: Past) -> Searcher:
        """Keep the past tasks.

        Args:
            past: The past tasks.
        """
        proposer = Proposer(past.space, Memory(past.space, past.tasks).choose)
        start = learn_portfolio(past, _START)
        return lambda seed: Search(MetaSampler(proposer, seed=seed), past.space, start)


class Memory:
    """Past tasks and their encodings.

    Args:
        space: The space.
        tasks: The past tasks.
    """

    def __init__(self, space: SearchSpace, tasks: Sequence[PastTask]) -> None:
        self._encoder = Encoder(space)
        self._tasks = tasks
        self._encodings = [
            self._encoder.expand(self._encoder.normalise_known(t.units)) for t in tasks
        ]
        self._scores = [task.filled_scores for task in tasks]
        # A trial's nearest rows, one a task: they do not change while the search goes on.
        self._rows: dict[bytes, IntArray] = {}

    def choose(self, observed: Sequence[Observation], rng: np.random.Generator) -> Configuration:
        """Return the best configuration of the nearest task that was not tried.

        Args:
            observed: Finished trials.
            rng: Decides between tasks that are equally near.
        """
        if not observed:  # several trials at once, none finished: any task is as near as the others
            place = int(rng.integers(len(self._tasks)))
            best = int(np.argmax(self._scores[place]))
            return self._encoder.from_units(self._tasks[place].units[best])
        x = self._encoder.encode([o.configuration for o in observed])
        scores = np.nan_to_num(scores_of(observed), nan=-np.inf)
        rows = np.array([self._nearest_rows(trial) for trial in x])  # [n, tasks]
        past = np.column_stack([own[rows[:, place]] for place, own in enumerate(self._scores)])
        alike = _agreement(past, scores)
        nearest = int(np.argmax(alike + 1e-9 * rng.uniform(size=len(alike))))
        order = np.argsort(-self._scores[nearest], kind="stable")
        tried = _distances(x, self._encodings[nearest][order]).min(axis=0) < 1e-9
        row = order[int(np.argmin(tried))]
        return self._encoder.from_units(self._tasks[nearest].units[row])

    def _nearest_rows(self, trial: FloatArray) -> IntArray:
        """Return the row of each task that is nearest to an encoded trial."""
        key = trial.tobytes()
        if key not in self._rows:
            found = [int(np.argmin(_distances(trial[None], past))) for past in self._encodings]
            self._rows[key] = np.array(found)
        return self._rows[key]


def _distances(a: FloatArray, b: FloatArray) -> FloatArray:
    squared = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2.0 * a @ b.T
    return np.asarray(np.maximum(squared, 0.0))


def _agreement(past: FloatArray, own: FloatArray) -> FloatArray:
    """Return the rank correlation of trials' scores [n] with those of their nearest rows [n, tasks]; 0 where all are equal."""
    a, b = rankdata(past, axis=0), rankdata(own)
    a, b = a - a.mean(axis=0), b - b.mean()
    size = np.sqrt(np.sum(a**2, axis=0) * np.sum(b**2))
    return np.asarray(np.divide(b @ a, size, out=np.zeros(len(size)), where=size > 0))
