"""What a method of a comparison is, and the plain ones. A new one is one small class.

A method learns from the past tasks of a fold, once for each seed, and then makes searches; every search is driven in the
same way, by ``search.run_search``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from optuna.samplers import BaseSampler

from automl_meta.benchmark.hpo.search import Search
from automl_meta.metadata.past import PastTask
from automl_meta.search import MetaLearner
from automl_meta.spaces import SearchSpace

#: Starting points of ours, before the model speaks, on a table and in an open space. Chosen on inner folds: among given
#: rows the greedy set is hard to beat for five trials, in an open space the model is better from the second on.
START_ON_TABLE, START_IN_SPACE = 5, 1

#: Seed to a search.
Searcher = Callable[[int], Search]


@dataclass(frozen=True, eq=False)
class Past:
    """What a method may learn from.

    Attributes:
        space: The search space.
        tasks: The past tasks of a fold.
        seed: Seed of the learning.
        table: Whether only the rows of a table can be evaluated, on the past tasks and on the new one.
    """

    space: SearchSpace
    tasks: Sequence[PastTask]
    seed: int = 0
    table: bool = False


class Method(Protocol):
    """A way to search."""

    @property
    def name(self) -> str:
        """As reports call it."""
        ...

    @property
    def slow(self) -> bool:
        """Whether it runs with the definition's smaller number of seeds, trials and tasks."""
        ...

    def learn(self, past: Past) -> Searcher:
        """Learn from the past tasks.

        Args:
            past: The past tasks.

        Returns:
            Makes the searches on new tasks.
        """
        ...


@dataclass(frozen=True)
class Cold:
    """An Optuna sampler that knows no past.

    Attributes:
        name: As reports call it.
        sampler: Seed to sampler.
        slow: See ``Method``.
        flat: Whether it is asked for the space without its conditions, where a sampler would draw conditional
            parameters at random.
    """

    name: str
    sampler: Callable[[int], BaseSampler]
    slow: bool = False
    flat: bool = False

    def learn(self, past: Past) -> Searcher:
        """Learn nothing."""
        space = replace(past.space, conditions={}) if self.flat else past.space
        return lambda seed: Search(self.sampler(seed), space)


@dataclass(frozen=True)
class AutoMLMeta:
    """Ours: starting points and sampler of a ``MetaLearner``.

    Attributes:
        name: As reports call it.
        start: Starting points before the model speaks; None for what was chosen on inner folds.
        slow: See ``Method``.
    """

    name: str = "automl-meta"
    start: int | None = None
    slow: bool = False

    def learn(self, past: Past) -> Searcher:
        """Learn a ``Prior``."""
        learner = MetaLearner.from_tasks(
            past.tasks, past.space, refine=not past.table, seed=past.seed
        )
        usual = START_ON_TABLE if past.table else START_IN_SPACE
        start = learner.prior.warm_start(usual if self.start is None else self.start)
        return lambda seed: Search(learner.sampler(seed=seed), past.space, start)
