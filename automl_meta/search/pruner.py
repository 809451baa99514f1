"""The Optuna pruner over fold scores."""

import math

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from automl_meta.exceptions import check_int
from automl_meta.metadata.fold_scores import reports_of
from automl_meta.prior.pruning import FIRST_STEP
from automl_meta.search.history import sign_of
from automl_meta.search.interface import PruningModel


class MetaPruner(BasePruner):
    """Prunes a trial whose remaining folds a learned model expects to be wasted.

    A trial reports one score per fold, not their running mean: ``trial.report(score, fold)`` with folds
    ``0..n_folds - 1``, or ``1..n_folds`` in all trials. It is never pruned before its third score, after its last, on
    an undefined or missing score, or before two trials have finished with ``n_folds`` reports to compare with.

    Args:
        model: The learned judgement, ``prior.pruner``.
        n_folds: Folds of a complete trial, >= 2.

    Raises:
        InvalidParameterError: If ``n_folds`` is no int >= 2.

    Example:
        >>> import optuna
        >>> class BelowAll:
        ...     def should_prune(self, fold_scores, n_folds, finished):
        ...         return max(fold_scores) < min(min(scores) for scores in finished)
        >>> def objective(trial):
        ...     x = trial.suggest_float("x", 0, 1)
        ...     for fold in range(5):
        ...         trial.report(x, fold)
        ...         if trial.should_prune():
        ...             raise optuna.TrialPruned
        ...     return x
        >>> study = optuna.create_study(direction="maximize", pruner=MetaPruner(BelowAll(), n_folds=5))
        >>> study.enqueue_trial({"x": 0.9})
        >>> study.enqueue_trial({"x": 0.1})
        >>> study.optimize(objective, n_trials=2)
        >>> [(trial.state.name, trial.last_step) for trial in study.trials]
        [('COMPLETE', 4), ('PRUNED', 2)]
    """

    def __init__(self, model: PruningModel, *, n_folds: int) -> None:
        self._model = model
        self._n_folds = check_int(n_folds, "n_folds", "MetaPruner", 2, remedy="Try n_folds=5.")

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Tell whether a trial should stop now.

        Args:
            study: The study.
            trial: The trial, with its reported scores.

        Raises:
            InvalidParameterError: If the study has several objectives.
        """
        sign = sign_of(study, "MetaPruner")
        first, reports = reports_of(trial)
        scores = [sign * value for value in reports]
        if not FIRST_STEP <= len(scores) < self._n_folds or not _all_finite(scores):
            return False
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        # Trials are paired by fold: with another first step it would be the wrong one.
        others = [other for start, other in map(reports_of, complete) if start == first]
        finished = [
            [sign * value for value in other]
            for other in others
            if len(other) == self._n_folds and _all_finite(other)
        ]
        if not finished:
            return False
        # The model may answer with NumPy's bool, which Optuna's storages and callers do not expect.
        return bool(self._model.should_prune(scores, self._n_folds, finished))


def _all_finite(scores: list[float]) -> bool:
    return all(math.isfinite(score) for score in scores)
