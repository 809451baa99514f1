"""A prior over any search space, learned from past searches in it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl_meta._typing import JSON, FloatArray
from automl_meta.exceptions import InvalidParameterError, check_whole
from automl_meta.metadata.past import PastTask
from automl_meta.metalearn import Algorithm, MetaParams, MetaSGD
from automl_meta.prior.conditioning import learn_conditioner
from automl_meta.prior.meta_training import train_surrogate
from automl_meta.prior.past_portfolio import build_portfolio
from automl_meta.prior.prior import Prior
from automl_meta.prior.pruning import learn_pruner
from automl_meta.prior.responses import learn_responses, unwarped_regret
from automl_meta.prior.scores import bounded, normal_scores
from automl_meta.prior.surrogate import SurrogateShape
from automl_meta.spaces import Encoder, SearchSpace
from automl_meta.training import TrainingSettings

_logger = logging.getLogger(__name__)

#: Evaluations a task needs for support and query of an episode.
_EPISODE = 8
#: What errors name: the parameters are those of its constructors.
_WHERE = "MetaLearner"
#: PyTorch's generators take no seed from here on.
_SEEDS = 2**63


@dataclass(frozen=True, eq=False)
class _Table:
    """A past task as the deep kernel's training reads it."""

    encodings: FloatArray
    scores: FloatArray


def learn_past(
    tasks: Sequence[PastTask],
    space: SearchSpace,
    *,
    algorithm: Algorithm | None = None,
    n_start: int = 5,
    refine: bool = True,
    seed: int = 0,
) -> Prior:
    """Learn from past searches.

    Args:
        tasks: Their evaluations in the common space. Tasks that say nothing (no finished evaluation, or
            the same score everywhere) are left out, unless all are of that kind.
        space: The common space.
        algorithm: How the deep-kernel surrogate adapts; Meta-SGD by default.
        n_start: Size of the warm-start set where none is asked for, >= 1.
        refine: Whether starting points may be configurations that no past task evaluated, found by local search
            on the learned responses; False for searches among given configurations: where the past tasks share
            theirs, proposals are then among them.
        seed: Seed of weights and batches, >= 0.

    Raises:
        InvalidParameterError: If there is no finished evaluation at all, or an option is of another kind.
    """
    _check_algorithm(algorithm)
    n_start = check_whole(n_start, "warm_start", _WHERE, 1, remedy="Try warm_start=5.")
    seed = check_whole(seed, "seed", _WHERE, 0, _SEEDS - 1)
    n_outside, n_inside = sum(t.n_outside for t in tasks), sum(len(t.scores) for t in tasks)
    if n_outside > n_inside:
        _logger.warning(
            "%d of %d past evaluations lie outside the space or share no parameter with it, and are left out.",
            n_outside,
            n_outside + n_inside,
        )
    known = [task for task in tasks if np.isfinite(task.scores).any()]
    if not known:
        # Studies, a storage, a frame or tasks: what the caller gave has no one name.
        msg = (
            "The past of a MetaLearner must hold a finished evaluation within the space. "
            f"Got {len(tasks)} tasks with {n_inside} evaluations within it, none of a finite value, and {n_outside} "
            "outside instead. Check the values, and the parameters' names, types and ranges."
        )
        raise InvalidParameterError(msg)
    telling = [task for task in known if np.nanmax(task.scores) > np.nanmin(task.scores)] or known
    encoder = Encoder(space)
    encodings = [encoder.expand(encoder.normalise_known(task.units)) for task in telling]
    # As ``fit`` learns from collected evaluations: else a few awful trials of a task make all its good ones alike.
    raw = [bounded(task.scores) for task in telling]
    responses, weights = learn_responses(encodings, raw, seed=seed)
    conditioner = learn_conditioner([t.features for t in telling], responses, weights, encodings)
    chosen = MetaSGD(initial_rate=0.01, steps=1) if algorithm is None else algorithm
    meta = _learn_surrogate(telling, encodings, chosen, seed)
    pruner = learn_pruner([task.folds for task in telling], seed)

    def predicted(units: FloatArray) -> FloatArray:
        """Return every task's regret at configurations, [T, m]."""
        features = responses.features(encoder.expand(units))
        return unwarped_regret(weights["gap"] @ features.T, responses.warps["gap"])

    portfolio, closed = build_portfolio(telling, encoder, predicted, refine=refine)
    facts: JSON = {
        "n_tasks": len(telling),
        "n_evaluations": int(sum(len(task.scores) for task in telling)),
        "left_out": [task.name for task in tasks if not any(task is t for t in telling)],
        "n_outside": n_outside,
        "n_pruner_tasks": pruner.n_tasks,
        "seed": seed,
    }
    return Prior(
        space,
        responses,
        portfolio,
        chosen,
        meta,
        conditioner,
        pruner,
        n_start=n_start,
        closed=closed,
        facts=facts,
    )


def _check_algorithm(algorithm: object) -> None:
    # A class has the methods too, but cannot be asked.
    if algorithm is not None and (
        isinstance(algorithm, type) or not isinstance(algorithm, Algorithm)
    ):
        rule, remedy = "an algorithm of automl_meta.metalearn, or None", "Try MetaSGD()."
        raise InvalidParameterError.of("algorithm", _WHERE, rule, algorithm, remedy)


def _learn_surrogate(
    tasks: Sequence[PastTask], encodings: Sequence[FloatArray], algorithm: Algorithm, seed: int
) -> MetaParams | None:
    tables = [
        _Table(x, normal_scores(task.scores))
        for x, task in zip(encodings, tasks, strict=True)
        if len(x) >= _EPISODE
    ]
    if not tables:
        return None
    shape = SurrogateShape(encodings[0].shape[1])
    settings = TrainingSettings(steps=400, learning_rate=3e-3, schedule="cosine", clip_norm=5.0)
    return train_surrogate(tables, shape, algorithm, settings, seed)
