"""Syne Tune's own transfer methods, from its package, where that is installed (the ``benchmark`` extra)."""

import contextlib
import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from automl_meta._typing import Configuration
from automl_meta.benchmark.hpo.methods import Past, Searcher
from automl_meta.benchmark.hpo.peers.portfolio import shared_regrets
from automl_meta.benchmark.hpo.search import Search
from automl_meta.exceptions import MissingExtraError
from automl_meta.metadata.past import PastTask
from automl_meta.spaces import Encoder, SearchSpace

_METRIC = "score"
#: Proposals made in advance: Syne Tune's transfer methods do not look at the new task's scores.
_TRIALS = 100
#: Best configurations of each past task that the bounding box encloses; Syne Tune's default.
_BOXED = 1


@dataclass(frozen=True)
class SyneTune:
    """One of ``zero-shot``, ``bounding-box`` (then random search) and ``quantile``.

    None of them reads the new task's scores, so a search is a list of proposals.

    Attributes:
        name: As reports call it.
        kind: Which.
        slow: See ``Method``.
    """

    name: str
    kind: str
    slow: bool = False

    def learn(self, past: Past) -> Searcher:
        """Hand the past tasks to Syne Tune.

        Args:
            past: The past tasks.

        Raises:
            MissingExtraError: If Syne Tune is not installed.
        """
        try:
            from syne_tune import config_space
            from syne_tune.optimizer.schedulers.transfer_learning import (
                transfer_learning_task_evaluation as transfer_learning,
            )
        except ImportError as error:
            msg = "This method needs Syne Tune. Install it: pip install 'automl-meta[benchmark]'."
            raise MissingExtraError(msg) from error
        flat = replace(past.space, conditions={})
        space = {name: _domain(config_space, d) for name, d in flat.distributions.items()}
        evaluations = {
            task.name: transfer_learning.TransferLearningTaskEvaluations(
                configuration_space=space,
                hyperparameters=_frame(task, past.space),
                objectives_names=[_METRIC],
                objectives_evaluations=-task.filled_scores[:, None, None, None],
            )
            for task in past.tasks
        }
        makers: Mapping[str, Callable[[int], Callable[[], Mapping[str, Any]]]] = {
            "zero-shot": lambda seed: _zero_shot(space, evaluations, shared_regrets(past), seed),
            "bounding-box": lambda seed: _bounding_box(space, evaluations, seed),
            "quantile": lambda seed: _quantile(space, evaluations, seed),
        }
        kept: dict[int, list[Configuration]] = {}

        def search(seed: int) -> Search:
            if seed not in kept:
                with _quiet():
                    suggest = makers[self.kind](seed)
                    kept[seed] = [past.space.clip(_plain(suggest(), flat)) for _ in range(_TRIALS)]
            return Search(RandomSampler(seed=seed), past.space, kept[seed])

        return search


def _zero_shot(
    space: Mapping[str, Any], evaluations: Mapping[str, Any], shared: object, seed: int
) -> Callable[[], Mapping[str, Any]]:
    from syne_tune.optimizer.schedulers.transfer_learning.zero_shot import ZeroShotTransfer

    # Version 0.16 reads its random state before it sets it; a class attribute is there in time.
    repaired: Any = type(
        "Repaired", (ZeroShotTransfer,), {"random_state": np.random.RandomState(seed)}
    )
    method = repaired(
        config_space=dict(space),
        metric=_METRIC,
        transfer_learning_evaluations=dict(evaluations),
        sort_transfer_learning_evaluations=False,
        use_surrogates=shared is None,
        random_seed=seed,
    )
    return lambda: dict(method.get_config() or {})


def _bounding_box(
    space: Mapping[str, Any], evaluations: Mapping[str, Any], seed: int
) -> Callable[[], Mapping[str, Any]]:
    from syne_tune.optimizer.baselines import RandomSearch
    from syne_tune.optimizer.schedulers.transfer_learning.bounding_box import BoundingBox

    def inner(boxed: dict[str, Any], metric: str, minimize: bool, random_seed: int) -> Any:
        return RandomSearch(boxed, [metric], do_minimize=minimize, random_seed=random_seed)

    method = BoundingBox(
        scheduler_fun=inner,
        config_space=dict(space),
        metric=_METRIC,
        transfer_learning_evaluations=dict(evaluations),
        num_hyperparameters_per_task=_BOXED,
        random_seed=seed,
    )
    return lambda: dict(method.suggest().config)


def _quantile(
    space: Mapping[str, Any], evaluations: Mapping[str, Any], seed: int
) -> Callable[[], Mapping[str, Any]]:
    from syne_tune.optimizer.schedulers.transfer_learning.quantile_based import (
        quantile_based_searcher,
    )

    method = quantile_based_searcher.QuantileBasedSurrogateSearcher(
        config_space=dict(space),
        transfer_learning_evaluations=dict(evaluations),
        random_seed=seed,
    )
    return lambda: dict(method.suggest() or {})


def _domain(module: Any, distribution: object) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return module.choice([str(c) for c in distribution.choices])
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    kind = "int" if isinstance(distribution, IntDistribution) else "float"
    make = {
        ("int", False): module.randint,
        ("int", True): module.lograndint,
        ("float", False): module.uniform,
        ("float", True): module.loguniform,
    }[kind, distribution.log]
    return make(distribution.low, distribution.high)


def _frame(task: PastTask, space: SearchSpace) -> pd.DataFrame:
    """Return a task's configurations; what is inactive is the middle of its range, categories are text."""
    encoder, flat = Encoder(space), replace(space, conditions={})
    rows = [flat.clip(encoder.from_units(row)) for row in task.units]
    return pd.DataFrame(
        {
            name: [
                str(r[name]) if isinstance(d, CategoricalDistribution) else r[name] for r in rows
            ]
            for name, d in flat.distributions.items()
        }
    )


def _plain(config: Mapping[str, Any], flat: SearchSpace) -> Configuration:
    """Return categories as what they were before they became text."""
    result: dict[str, Any] = {}
    for name, value in config.items():
        distribution = flat.distributions[name]
        if isinstance(distribution, CategoricalDistribution):
            result[name] = next(c for c in distribution.choices if str(c) == value)
        else:
            result[name] = value.item() if isinstance(value, np.generic) else value
    return result


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep Syne Tune from printing."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
