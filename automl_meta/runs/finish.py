"""After the search: the family defaults on the same folds, the refit, the held-out scores."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from automl_meta._typing import JSON, Configuration
from automl_meta.evaluation import Evaluator, fit_pipeline, score_pipeline
from automl_meta.pipelines import SKLEARN_FAMILIES, Budget, Family, average, join
from automl_meta.runs.ensemble import Ensemble, Selector
from automl_meta.runs.events import Listener, Progress
from automl_meta.tasks.task import Task

#: What a pipeline raises when it cannot be fitted on some data: a default that fails has no score.
_FIT_ERRORS = (ValueError, TypeError, ArithmeticError, MemoryError, RuntimeError, AttributeError)


def held_out_score(task: Task, pipeline: Any) -> tuple[float | None, str | None]:
    """Return the score of a fitted pipeline on the held-out part, or None and why there is none.

    Args:
        task: The task; its metric may be undefined there, such as ROC AUC on rows of one class.
        pipeline: Fitted on the training part.
    """
    try:
        score = score_pipeline(task, task.split.test, pipeline)[task.metric]
    except _FIT_ERRORS as error:
        what = " ".join(str(error).split()) or type(error).__name__
        return None, f"{task.metric} could not be computed on the held-out rows: {what}"
    if not math.isfinite(score):
        return None, f"{task.metric} is undefined on the held-out rows."
    return score, None


def refit(task: Task, family: Family, configuration: Configuration, *, seed: int) -> Any:
    """Fit a configuration on the whole training part.

    One thread, as in the search: a boosting library's threads on busy cores can be ten times slower.

    Args:
        task: The task.
        family: The family.
        configuration: One point of its space.
        seed: Seed of the estimator, as in the search.

    Returns:
        The fitted pipeline.
    """
    return fit_pipeline(task, task.split.train, family, configuration, Budget(seed=seed))


def fitted_score(
    task: Task, family: Family, configuration: Configuration, *, seed: int
) -> float | None:
    """Fit a configuration on the training part and return its score on the held-out part.

    Args:
        task: The task.
        family: The family.
        configuration: One point of its space.
        seed: Seed of the estimator.

    Returns:
        The score under the task's metric, or None where fitting fails or the metric is undefined there.
    """
    try:
        return held_out_score(task, refit(task, family, configuration, seed=seed))[0]
    except _FIT_ERRORS:
        return None


@dataclass(frozen=True)
class Model:
    """What a run ends with.

    Attributes:
        pipeline: The fitted model, or None if nothing could be fitted.
        ensemble: What it consists of.
        single: The best trial alone, fitted, or None if it could not be.
        dropped: ``trial`` and ``reason`` of every trial whose refit failed.
    """

    pipeline: Any
    ensemble: Ensemble
    single: Any
    dropped: list[JSON]


def make_model(
    selector: Selector, chosen: Ensemble, alone: Ensemble, *, seed: int, listener: Listener
) -> Model:
    """Fit the members on the whole training part, one after the other, and put them together.

    A member whose refit fails is left out; if none remains, the best trial alone is the model.

    Args:
        selector: What chose them.
        chosen: The members.
        alone: The best trial; it is fitted in any case, for the comparison.
        seed: Seed of the estimators.
        listener: Hears before each refit.
    """
    task, best = selector.task, alone.members[0]
    wanted = {member.trial: member for member in (*chosen.members, best)}
    fitted: dict[int, Any] = {}
    dropped: list[JSON] = []
    for done, member in enumerate(wanted.values()):
        listener(Progress("refit", done, len(wanted), alone.score))
        try:
            fitted[member.trial] = refit(task, selector.family, member.configuration, seed=seed)
        except _FIT_ERRORS as error:
            line = " ".join(str(error).split())[:300]
            dropped.append({"trial": member.trial, "reason": f"{type(error).__name__}: {line}"})
    if any(member.trial in fitted for member in chosen.members):
        chosen = selector.without(chosen, {record["trial"] for record in dropped})
    else:
        chosen = alone
    model = None
    if fitted:
        model = average(
            [fitted[member.trial] for member in chosen.members],
            [member.weight for member in chosen.members],
            regression=task.kind == "regression",
        )
    return Model(model, chosen, fitted.get(best.trial), dropped)


def default_members(family: Family) -> tuple[Family, ...]:
    """Return the families whose defaults a report compares with: all members of ``auto``, or itself."""
    return SKLEARN_FAMILIES if family.name == "auto" else (family,)


def evaluate_defaults(
    evaluator: Evaluator,
    family: Family,
    trials: Sequence[FrozenTrial],
    *,
    seed: int,
    listener: Listener,
) -> list[JSON]:
    """Score the family defaults by cross-validation and on the held-out part.

    A default that was also a trial of the search is not evaluated twice: the folds are the same.

    Args:
        evaluator: With the folds, seed and limits of the search.
        family: The family that was searched.
        trials: Trials of the search.
        seed: Seed of the estimators.
        listener: Hears after each default.

    Returns:
        The ``defaults`` of ``result.json``. One that failed has the score None; after Ctrl-C the rest
        is left out.
    """
    members, task = default_members(family), evaluator.task
    records: list[JSON] = []
    started = time.monotonic()
    for done, member in enumerate(members):
        left = (time.monotonic() - started) / done * (len(members) - done) if done else None
        listener(Progress("defaults", done, len(members), None, left, member.name))
        configuration = member.default(task.problem)
        own = join(member.name, configuration) if family.name == "auto" else dict(configuration)
        try:
            score = _known_score(own, trials)
            if score is None:
                score = evaluator.evaluate(member, configuration).score
            test = _test_score(task, member, configuration, seed) if score is not None else None
        except KeyboardInterrupt:
            break
        records.append({"family": member.name, "score": score, "test_score": test})
    return records


def best_default(records: Sequence[JSON]) -> JSON | None:
    """Return the default that is best by cross-validation: choosing by test score would flatter it."""
    scored = [r for r in records if r["score"] is not None and r["test_score"] is not None]
    return max(scored, key=lambda r: float(r["score"]), default=None)


def _known_score(configuration: Configuration, trials: Sequence[FrozenTrial]) -> float | None:
    for trial in trials:
        if trial.state == TrialState.COMPLETE and trial.params == configuration:
            return trial.value
    return None


def _test_score(
    task: Task, family: Family, configuration: Configuration, seed: int
) -> float | None:
    try:
        return held_out_score(task, refit(task, family, configuration, seed=seed))[0]
    except _FIT_ERRORS:
        return None
