"""Starting points for searches in a space that past tasks searched: recorded configurations and improved ones."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from automl_meta._typing import FloatArray
from automl_meta.metadata.past import PastTask
from automl_meta.prior.acquisition import neighbours, row_keys
from automl_meta.prior.portfolio import Portfolio
from automl_meta.prior.scores import bounded, trimmed
from automl_meta.prior.warm_start import greedy_set
from automl_meta.spaces import Encoder

#: Good configurations that each past task lends, how many are judged on all tasks, and how many are kept.
LENT = 50
MOST_JUDGED = 2000
MOST_KEPT = 100
#: Starting points that local search improves: its rounds, and neighbours in each.
REFINED = 10
_REFINEMENTS, _NEAR = 12, 60


def build_portfolio(
    tasks: Sequence[PastTask],
    encoder: Encoder,
    predicted: Callable[[FloatArray], FloatArray],
    *,
    refine: bool,
) -> tuple[Portfolio, bool]:
    """Choose configurations that are good together on the past tasks.

    A task's regret at a configuration is the measured one where it was evaluated there, else the model's. Awful scores
    are cut off, so that they do not set the scale.

    Args:
        tasks: The past tasks.
        encoder: Of their space.
        predicted: Unit rows [m, p] to the model's regrets [T, m]; below 0 where it expects more than a task's best
            evaluation.
        refine: Whether configurations may be new ones, found by local search.

    Returns:
        The portfolio, best first, and whether it is all that there is to choose among: that is so without
        ``refine`` where the tasks share their configurations.
    """
    shared = None if refine else _shared(tasks, encoder)
    closed = shared is not None
    rows = _lent(tasks, encoder) if shared is None else shared
    better = _refined(rows, predicted, encoder, REFINED if refine else 0)
    regrets = np.clip(predicted(rows), 0.0, 1.0)
    # The model's regrets are on the scale of ``bounded``. Where nearly all regrets are measured ones, the milder cut
    # tells apart the tasks on which a poor choice costs much.
    cut = trimmed if closed else bounded
    for of_task, task in zip(regrets, tasks, strict=True):
        _overlay(of_task, rows, replace(task, scores=cut(task.scores)), encoder)
    rows = np.concatenate([rows, better])
    # A promise beyond the best evaluation is worth no more than that evaluation.
    regrets = np.concatenate([regrets, np.clip(predicted(better), 0.0, 1.0)], axis=1)
    kept = greedy_set(regrets, len(rows) if closed else MOST_KEPT)
    rows, regrets = rows[kept], regrets[:, kept]
    names = sorted({name for task in tasks for name in task.features})
    features = np.array([[task.features.get(n, np.nan) for n in names] for task in tasks])
    portfolio = Portfolio(
        tuple(encoder.from_units(row) for row in rows),
        regrets,
        features.reshape(len(tasks), len(names)),
        tuple(names),
    )
    return portfolio, closed


def coverage(
    regrets: FloatArray, proven: FloatArray, tried: FloatArray, raw: FloatArray, rows: FloatArray
) -> FloatArray:
    r"""Return by how much rows would lower the past tasks' regrets below those of the tried rows, shape [m].

    A past task counts by how its scores agree with the trials', :math:`e^{r \sqrt{n} / 2}` with r their correlation.

    Args:
        regrets: Of the past tasks at the proven rows, shape [T, C].
        proven: Unit rows, shape [C, p].
        tried: Unit rows of the trials, shape [n, p].
        raw: Their scores, shape [n]; NaN for failed ones, which say nothing.
        rows: Unit rows to judge, shape [m, p]; one that is not proven gains nothing.
    """
    place = {key: column for column, key in enumerate(row_keys(proven))}
    of_tried = np.array([place.get(key, -1) for key in row_keys(tried)], dtype=np.int64)
    known = regrets[:, of_tried[of_tried >= 0]]
    told = (of_tried >= 0) & np.isfinite(raw)
    agreement = _standard(-regrets[:, of_tried[told]]) @ _standard(raw[told])
    weight = np.exp(0.5 * agreement / np.sqrt(max(told.sum(), 1)))
    left = known.min(axis=1, initial=1.0)
    gains = weight @ np.maximum(left[:, None] - regrets, 0.0)
    return np.array([gains[place[key]] if key in place else 0.0 for key in row_keys(rows)])


def _standard(scores: FloatArray) -> FloatArray:
    """Return scores of mean 0 and standard deviation 1 along the last axis, 0 where they do not differ."""
    if not scores.shape[-1]:
        return scores
    centred = scores - scores.mean(axis=-1, keepdims=True)
    return np.asarray(centred / (scores.std(axis=-1, keepdims=True) + 1e-9), dtype=np.float64)


def _lent(tasks: Sequence[PastTask], encoder: Encoder) -> FloatArray:
    """Return the best configurations of each task, in turns, distinct."""
    lent = [task.best_units(LENT) for task in tasks]
    in_turns = [of_task[i : i + 1] for i in range(LENT) for of_task in lent]
    rows = encoder.normalise(np.concatenate(in_turns)[:MOST_JUDGED])
    _, first = np.unique(np.nan_to_num(rows.round(6), nan=-1.0), axis=0, return_index=True)
    return np.asarray(rows[np.sort(first)], dtype=np.float64)


def _shared(tasks: Sequence[PastTask], encoder: Encoder) -> FloatArray | None:
    """Return the configurations of at least half of the tasks, where they are most of what was evaluated."""
    rows = [encoder.normalise(task.units) for task in tasks]
    keys = [row_keys(of_task) for of_task in rows]
    count = Counter(key for of_task in keys for key in set(of_task))
    first = {
        key: row
        for of_keys, of_task in zip(keys, rows, strict=True)
        for key, row in zip(of_keys, of_task, strict=True)
        if count[key] >= max(2, len(tasks) / 2)
    }
    if len(first) < 0.5 * float(np.median([len(of_task) for of_task in rows])):
        return None
    return np.array(list(first.values())[:MOST_JUDGED], dtype=np.float64)


def _refined(
    rows: FloatArray,
    predicted: Callable[[FloatArray], FloatArray],
    encoder: Encoder,
    n: int,
) -> FloatArray:
    """Return a greedy set of n configurations, each improved by local search before the next, shape [n, p]."""
    rng = np.random.default_rng(0)
    regrets = predicted(rows)
    covered = np.ones(len(regrets))
    found = np.empty((n, rows.shape[1]))

    def mean_regret(of_rows: FloatArray) -> FloatArray:
        return np.asarray(np.minimum(covered[:, None], of_rows).mean(axis=0))

    for place in range(n):
        value = mean_regret(regrets)
        best, least = rows[int(np.argmin(value))], float(value.min())
        for _ in range(_REFINEMENTS):
            near = neighbours(encoder, best[None], _NEAR, rng)
            value = mean_regret(predicted(near))
            if value.min() < least:
                best, least = near[int(np.argmin(value))], float(value.min())
        found[place] = best
        covered = np.minimum(covered, predicted(best[None])[:, 0])
    return found


def _overlay(regrets: FloatArray, rows: FloatArray, task: PastTask, encoder: Encoder) -> None:
    """Put a task's own regrets, shape [C], in the place of predicted ones where it evaluated a row."""
    own = task.regrets(task.filled_scores)
    measured = dict(zip(row_keys(encoder.normalise(task.units)), own, strict=True))
    for column, key in enumerate(row_keys(rows)):
        if key in measured:
            regrets[column] = measured[key]
