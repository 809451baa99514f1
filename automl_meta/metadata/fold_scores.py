"""Which past trials reported one score a fold; learning curves, of which most reports are made, are told from them.

A trial reported folds if its reports stand at consecutive steps, the first of which is 0 or 1, and its value is
their mean. The value of a learning curve is its last or best report, and so is that of a trial that reported the
running mean of its folds.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from automl_meta._typing import FloatArray
from automl_meta.metadata.past import within_reach

#: Folds that a trial needs to tell of them: a pruner waits for three, and one must be left to save.
LEAST_FOLDS = 4
#: How far a value may be from the mean of its reports, as a share of the largest: single precision and some more.
_ROUNDING = 1e-6
#: Reports that differ by less than so many times the rounding fit a mean and a last report alike.
_FLAT = 100


def reports_of(trial: FrozenTrial) -> tuple[int, list[float]]:
    """Return a trial's first step and its reports in order; without any where a step is missing.

    Args:
        trial: A trial in any state.

    Example:
        >>> import optuna
        >>> made = optuna.trial.create_trial
        >>> reports_of(made(value=0.5, intermediate_values={1: 0.4, 2: 0.6}))
        (1, [0.4, 0.6])
        >>> reports_of(made(value=0.5, intermediate_values={0: 0.4, 2: 0.6}))
        (0, [])
    """
    steps = sorted(trial.intermediate_values)
    if not steps or steps[0] not in {0, 1} or steps[-1] - steps[0] >= len(steps):
        return 0, []
    return steps[0], [trial.intermediate_values[step] for step in steps]


def fold_scores(trials: Sequence[FrozenTrial], sign: float) -> FloatArray:
    """Return the fold scores of a study's complete trials.

    The study tells of folds if more than half of its complete trials do, with one number of folds. Trials whose
    reports are all the same have no say in that: they would fit a learning curve too.

    Args:
        trials: The trials of one study, in any state.
        sign: What makes their values greater-is-better, 1 or -1.

    Returns:
        Shape [n, K], greater is better; without rows where the study does not tell of folds.

    Example:
        >>> import optuna
        >>> def trial(value, *reports):
        ...     return optuna.trial.create_trial(value=value, intermediate_values=dict(enumerate(reports)))
        >>> fold_scores([trial(0.5, 0.4, 0.6, 0.5, 0.5)], -1.0).tolist()
        [[-0.4, -0.6, -0.5, -0.5]]
        >>> fold_scores([trial(0.9, 0.4, 0.6, 0.8, 0.9)], 1.0).shape
        (0, 0)
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    read = [(trial.values[0], reports_of(trial)[1]) for trial in complete]
    lengths = Counter(len(reports) for _, reports in read if len(reports) >= LEAST_FOLDS)
    if not lengths:
        return np.empty((0, 0))
    n_folds = lengths.most_common(1)[0][0]
    values = np.array([value for value, reports in read if len(reports) == n_folds])
    rows = within_reach(np.array([reports for _, reports in read if len(reports) == n_folds]))
    rounding = _ROUNDING * np.abs(rows).max(axis=1)
    fits = np.abs(rows.mean(axis=1) - values) <= rounding
    flat = np.ptp(rows, axis=1) <= _FLAT * rounding
    n_asked = len(complete) - np.sum(fits & flat)
    if 2 * np.sum(fits & ~flat) <= n_asked:
        return np.empty((0, 0))
    found: FloatArray = sign * rows[fits]
    return found
