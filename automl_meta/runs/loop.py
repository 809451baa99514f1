"""The study loop: ask, evaluate fold by fold, tell; one trial at a time or several."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import optuna
from optuna.trial import TrialState

from automl_meta.evaluation import Evaluation, Evaluator, Limits
from automl_meta.pipelines import Family
from automl_meta.runs.events import Listener, Progress
from automl_meta.runs.interrupt import GracefulInterrupt
from automl_meta.runs.predictions import PredictionStore
from automl_meta.runs.study import finished
from automl_meta.search.attributes import INTERRUPTED, ORIGIN
from automl_meta.spaces import SearchSpace

StoppedBy = Literal["trials", "timeout", "interrupt"]
STOPPED = "Ctrl-C was pressed twice during this trial."
OUT_OF_TIME = "The search's timeout ended during this trial."


@dataclass
class SearchLoop:
    """Runs trials until their number, the time or the user ends it.

    Mutable on purpose: it is the one place that counts trials while several threads work.

    Attributes:
        study: Where trials come from and go to.
        space: The search space.
        family: The family that the configurations belong to.
        origin: Study to the origin of a trial that carries none.
        trials: Finished trials to reach in all, earlier ones of a resumed run included.
        limits: Time and memory of one trial.
        timeout: Seconds left for the search, or None.
        listener: Hears after every trial.
        interrupt: Says whether the user wants to stop.
        store: Where the predictions of completed trials are kept, or None.
    """

    study: optuna.Study
    space: SearchSpace
    family: Family
    origin: Callable[[optuna.Study], str]
    trials: int
    limits: Limits
    timeout: float | None
    listener: Listener
    interrupt: GracefulInterrupt
    store: PredictionStore | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _started: float = field(default_factory=time.monotonic)
    _spent_before: float = 0.0
    _running: int = 0
    _done: int = 0
    _aborted: bool = False

    def run(self, evaluators: Sequence[Evaluator]) -> StoppedBy:
        """Run the loop.

        Args:
            evaluators: One for each trial at the same time, at least one; they stay open.

        Returns:
            What ended it.
        """
        self._started = time.monotonic()
        self._spent_before = float(self.study.user_attrs.get("search_seconds", 0.0))
        if self.timeout is not None:
            self.timeout = max(0.0, self.timeout - self._spent_before)
        try:
            if len(evaluators) == 1:
                self._work(evaluators[0])
            else:
                self._work_in_threads(evaluators)
        except KeyboardInterrupt:
            self._aborted = True
        if self.interrupt.requested or self._aborted:
            return "interrupt"
        return "trials" if len(finished(self.study)) >= self.trials else "timeout"

    def _work_in_threads(self, evaluators: Sequence[Evaluator]) -> None:
        with ThreadPoolExecutor(len(evaluators)) as pool:
            futures = [pool.submit(self._work, evaluator) for evaluator in evaluators]
            try:
                # Short waits: a signal is handled only between two of them.
                while wait(futures, timeout=0.2, return_when=FIRST_EXCEPTION).not_done:
                    if any(f.done() and f.exception() for f in futures):
                        break
            except KeyboardInterrupt:
                self._aborted = True
                for evaluator in evaluators:
                    evaluator.close()  # ends the running fits; their threads then return
            finally:
                self._aborted = self._aborted or any(f.done() and f.exception() for f in futures)
        for future in futures:
            future.result()

    def _work(self, evaluator: Evaluator) -> None:
        while self._take():
            try:
                self._trial(evaluator)
            finally:
                with self._lock:
                    self._running -= 1

    def _take(self) -> bool:
        """Claim the right to run one more trial."""
        with self._lock:
            if self.interrupt.requested or self._aborted or self._left() <= 0:
                return False
            if len(finished(self.study)) + self._running >= self.trials:
                return False
            self._running += 1
            return True

    def _left(self) -> float:
        if self.timeout is None:
            return float("inf")
        return self.timeout - (time.monotonic() - self._started)

    def _trial(self, evaluator: Evaluator) -> None:
        with self._lock:  # samplers keep random state: one proposal at a time
            trial = self.study.ask()
            configuration = self.space.suggest(trial)
            if ORIGIN not in trial.user_attrs:
                trial.set_user_attr(ORIGIN, self.origin(self.study))
        limit = min(self.limits.seconds or float("inf"), max(self._left(), 0.01))
        evaluator.limits = Limits(None if limit == float("inf") else limit, self.limits.memory)

        def on_fold(fold: int, score: float) -> bool:
            trial.report(score, fold)
            return bool(trial.should_prune())

        try:
            evaluation = evaluator.evaluate(self.family, configuration, on_fold)
        except KeyboardInterrupt:
            trial.set_user_attr("reason", STOPPED)
            trial.set_user_attr(INTERRUPTED, True)
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        with self._lock:
            self._record(trial, evaluation)

    def _record(self, trial: optuna.Trial, evaluation: Evaluation) -> None:
        """Tell the study how a trial ended, with everything that a report needs."""
        trial.set_user_attr("fold_scores", [float(value) for value in evaluation.values])
        trial.set_user_attr("seconds", float(sum(evaluation.seconds)))
        if evaluation.status == "ok":
            if self.store is not None:  # first: a completed trial should have its predictions
                self.store.save(trial.number, evaluation.predictions)
            self.study.tell(trial, float(np.mean(evaluation.values)))
        else:
            reason = self._reason(evaluation)
            trial.set_user_attr("reason", reason)
            if reason in {STOPPED, OUT_OF_TIME}:  # it says nothing about the configuration
                trial.set_user_attr(INTERRUPTED, True)
            pruned = evaluation.status == "pruned"
            self.study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)
        self._done += 1
        elapsed = time.monotonic() - self._started
        self.study.set_user_attr("search_seconds", self._spent_before + elapsed)
        self.listener(self._progress(trial, evaluation, elapsed))

    def _reason(self, evaluation: Evaluation) -> str:
        if self._aborted:
            return STOPPED
        if evaluation.status == "timeout" and self._left() <= 0.05:
            return OUT_OF_TIME
        return evaluation.reason or evaluation.status

    def _progress(self, trial: optuna.Trial, evaluation: Evaluation, elapsed: float) -> Progress:
        done = finished(self.study)
        scores = [t.value for t in done if t.state == TrialState.COMPLETE and t.value is not None]
        left = elapsed / self._done * max(self.trials - len(done), 0)
        outcome = "" if evaluation.status == "ok" else f" {evaluation.status}"
        return Progress(
            "search",
            len(done),
            self.trials,
            max(scores) if scores else None,
            min(left, self._left()),
            f"trial {trial.number}{outcome}",
        )
