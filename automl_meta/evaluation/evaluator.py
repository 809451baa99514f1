"""(task, configuration) to evaluation: cross-validation under limits, with a failure policy.

Failure policy: a fold that raises, hangs, exceeds its memory or predicts something that is not finite
ends the evaluation with its status and reason. It has no score; it never counts as zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from automl_meta._typing import Configuration, FloatArray
from automl_meta.evaluation.folds import FoldOutcome, Folds, run_fold
from automl_meta.evaluation.record import Evaluation, Status
from automl_meta.evaluation.worker import TimeLimitExceededError, Worker, WorkerDiedError
from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import Budget, Family
from automl_meta.tasks.task import Task


@dataclass(frozen=True)
class Limits:
    """What one evaluation may use.

    Attributes:
        seconds: Wall time for all folds together, > 0; None for no limit.
        memory: Memory in MiB beyond the libraries' own, >= 64; None for no limit.
    """

    seconds: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise InvalidParameterError.of(
                "trial_time_limit",
                "fit",
                "a duration > 0",
                self.seconds,
                "Try --trial-time-limit 60s.",
            )
        if self.memory is not None and self.memory < 64:
            raise InvalidParameterError.of(
                "memory_limit", "fit", "an int >= 64 (MiB)", self.memory, "Try --memory-limit 2048."
            )


class Evaluator:
    """Evaluates configurations on one task, each fold in a worker process.

    Not safe for several threads at once: give every thread its own evaluator.

    Args:
        task: The task; only its training part is used.
        folds: Number of folds, >= 2, or a ready partition.
        seed: Seed of the fold shuffle and of the estimators.
        limits: Time and memory of one evaluation.
        n_jobs: Threads that one fit may use.
        keep: Whether evaluations carry their predictions.
        worker: A process to share among evaluators; by default one is owned.
    """

    def __init__(
        self,
        task: Task,
        folds: int | Folds = 5,
        *,
        seed: int = 0,
        limits: Limits = Limits(),
        n_jobs: int = 1,
        keep: bool = False,
        worker: Worker | None = None,
    ) -> None:
        self.task = task
        self.folds = folds if isinstance(folds, Folds) else Folds.of(task, folds, seed)
        self.limits = limits
        self._keep = keep
        self._budget = Budget(seed=seed, n_jobs=n_jobs)
        self._worker = worker or Worker(limits.memory)
        self._owns_worker = worker is None

    def evaluate(
        self,
        family: Family,
        configuration: Configuration,
        on_fold: Callable[[int, float], bool] | None = None,
    ) -> Evaluation:
        """Evaluate one configuration.

        Args:
            family: The family of the configuration.
            configuration: One point of the family's space.
            on_fold: Called after each fold with its number and its score; True stops the evaluation
                as pruned, but not after the last fold, where nothing is left to save.

        Returns:
            The record, whatever happened.
        """
        scores: list[dict[str, float]] = []
        seconds: list[float] = []
        kept: list[FloatArray] = []
        status: Status = "ok"
        reason: str | None = None
        for number in range(len(self.folds)):
            outcome = self._fold(number, family, configuration, sum(seconds))
            if isinstance(outcome, _Failure):
                status, reason = outcome.status, outcome.reason
                break
            scores.append(outcome.scores)
            seconds.append(outcome.seconds)
            if outcome.predictions is not None:
                kept.append(outcome.predictions)
            last = number == len(self.folds) - 1
            if on_fold and on_fold(number, outcome.scores[self.task.metric]) and not last:
                status, reason = "pruned", f"stopped after fold {number + 1} of {len(self.folds)}"
                break
        return Evaluation(
            self.task.name,
            family.name,
            dict(configuration),
            self.task.metric,
            tuple(scores),
            tuple(seconds),
            status,
            reason,
            tuple(kept) if len(kept) == len(self.folds) and status == "ok" else (),
        )

    def close(self) -> None:
        """End the worker process if this evaluator started it."""
        if self._owns_worker:
            self._worker.close()

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _fold(
        self, number: int, family: Family, configuration: Configuration, spent: float
    ) -> "FoldOutcome | _Failure":
        limit = self.limits.seconds
        left = None if limit is None else limit - spent
        if left is not None and left <= 0:
            return _Failure("timeout", f"over {limit:.0f} s after {number} folds")
        try:
            outcome: FoldOutcome = self._worker.call(
                partial(run_fold, keep=self._keep),
                self.task,
                self.folds.train[number],
                self.folds.test[number],
                family,
                configuration,
                self._budget,
                timeout=left,
            )
        except TimeLimitExceededError:
            return _Failure("timeout", f"over {limit:.0f} s in fold {number + 1}")
        except WorkerDiedError as error:
            return _Failure("failed", str(error))
        except MemoryError:
            return _Failure("memory", f"over {self.limits.memory} MiB in fold {number + 1}")
        except Exception as error:  # noqa: BLE001 - any error of a pipeline is a failed evaluation
            line = " ".join(str(error).split())[:300]
            return _Failure("failed", f"{type(error).__name__}: {line}")
        return outcome


@dataclass(frozen=True)
class _Failure:
    status: Status
    reason: str
