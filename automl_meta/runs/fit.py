"""One run from a task to a folder: search, refit, defaults, ``result.json``."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from automl_meta import __version__
from automl_meta._typing import JSON, Configuration
from automl_meta.evaluation import Evaluator, Folds, Limits
from automl_meta.exceptions import AutomlMetaError
from automl_meta.metadata.studies import TASK_FEATURES
from automl_meta.pipelines import Family, get_family
from automl_meta.runs.ensemble import Selector
from automl_meta.runs.events import Listener, Progress, ignore
from automl_meta.runs.finish import (
    best_default,
    default_members,
    evaluate_defaults,
    held_out_score,
    make_model,
)
from automl_meta.runs.folder import JOURNAL, MODEL, RESULT, exclusive, prepare_folder, write_json
from automl_meta.runs.importance import importances
from automl_meta.runs.interrupt import GracefulInterrupt
from automl_meta.runs.loop import SearchLoop, StoppedBy
from automl_meta.runs.model import save_model
from automl_meta.runs.predictions import PredictionStore
from automl_meta.runs.result import (
    SCHEMA,
    machine_record,
    search_record,
    task_record,
    trial_record,
    versions_record,
)
from automl_meta.runs.searcher import Searcher, SearchRequest, make_searcher
from automl_meta.runs.settings import FitSettings
from automl_meta.runs.study import (
    FINISHED,
    check_same_task,
    finished,
    n_trials,
    open_storage,
    open_study,
    stored_identity,
    sweep_stale,
)
from automl_meta.search.warm_start import fitted, warm_start
from automl_meta.spaces import SearchSpace
from automl_meta.tasks.fingerprint import fingerprint
from automl_meta.tasks.task import Task

NO_MODEL = "Ctrl-C was pressed during the refit, so there is no model yet: --resume fits it."


@dataclass(frozen=True)
class RunRequest:
    """What a run is asked to do.

    Attributes:
        task: The task.
        settings: The settings.
        folder: Where everything is written.
        resume: Continue the run in ``folder``.
        command: The exact command, for the report.
        space: A search space that replaces the family's own, or None.
        starting_points: Configurations to be tried first.
    """

    task: Task
    settings: FitSettings
    folder: Path
    resume: bool = False
    command: str = ""
    space: SearchSpace | None = None
    starting_points: tuple[Configuration, ...] = ()


def run_fit(request: RunRequest, listener: Listener = ignore) -> JSON:
    """Run a search and write ``model.skops``, ``result.json`` and ``study.log``.

    Args:
        request: What to do.
        listener: Hears about progress.

    Returns:
        The ``result.json`` document. Its ``search.best_trial`` is None when no trial was completed;
        then there is no model.

    Raises:
        InvalidParameterError: If the folder, the family or the settings do not fit.
        StoreError: If the folder cannot be written or is in use.
        MissingExtraError: If the family needs a package that is not installed.
    """
    family = get_family(request.settings.family)
    folds = Folds.of(request.task, request.settings.folds, request.settings.seed)
    folder = prepare_folder(request.folder, resume=request.resume)
    with exclusive(folder):
        return _Run(request, family, folds, listener).run()


class _Run:
    """The steps of one run, sharing what they all need."""

    def __init__(
        self, request: RunRequest, family: Family, folds: Folds, listener: Listener
    ) -> None:
        self.request, self.family, self.folds, self.listener = request, family, folds, listener
        self.task, self.settings = request.task, request.settings
        self.space = request.space or family.space(request.task.problem)
        self.store = PredictionStore(
            request.folder, len(self.task.classes), len(self.task.split.train)
        )
        self.points = fitted(request.starting_points, self.space, exact=True)
        self.started = datetime.now(UTC)
        self.clock = time.monotonic()

    def run(self) -> JSON:
        """Search, refit, compare, write."""
        study, searcher = self._open()
        limits = Limits(self.settings.trial_time_limit, self.settings.memory_limit)
        with ExitStack() as stack:
            evaluators = [
                stack.enter_context(
                    Evaluator(
                        self.task,
                        self.folds,
                        seed=self.settings.seed,
                        limits=limits,
                        keep=self.settings.ensemble > 1,
                    )
                )
                for _ in range(min(self.settings.jobs, self.settings.trials))
            ]
            stopped = self._search(study, searcher, evaluators)
            trials = study.get_trials(deepcopy=False, states=FINISHED)
            with GracefulInterrupt(lambda: None) as interrupt:
                result = self._result(trials, searcher, stopped)
                self._write(result)  # whatever happens from here on, the search is not lost
            if interrupt.requested:
                result["search"]["stopped_by"] = "interrupt"
            if result["search"]["best_trial"] is not None:
                evaluators[0].limits = limits  # the last trial's may have been cut by the timeout
                try:
                    self._finish(result, trials, evaluators[0])
                except KeyboardInterrupt:
                    result["search"]["stopped_by"] = "interrupt"
        self._write(result)
        self.listener(Progress("done", len(trials), len(trials), result["search"]["best_score"]))
        return result

    def _write(self, result: JSON) -> None:
        result["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        result["seconds"] = round(time.monotonic() - self.clock, 3)
        write_json(self.request.folder / RESULT, result)

    def _identity(self) -> JSON:
        return {
            "task": self.task.name,
            "metric": self.task.metric,
            "data": fingerprint(self.task).digest,
            "space": self.space.schema_hash,
            "starting_points": self.points or None,
            "settings": self.settings.to_json(),
        }

    def _open(self) -> tuple[optuna.Study, Searcher]:
        """Create the study, or check and reopen it."""
        journal = self.request.folder / JOURNAL
        if self.request.resume:
            return self._reopen(open_storage(journal, resume=True))
        request = self._search_request(0)
        searcher = make_searcher(request)
        try:
            storage = open_storage(journal, resume=False)
            study = open_study(storage, searcher, self._identity())
            self._begin(study, searcher, request)
        except AutomlMetaError:
            journal.unlink(missing_ok=True)  # nothing was searched: the folder stays usable
            raise
        return study, searcher

    def _reopen(self, storage: JournalStorage) -> tuple[optuna.Study, Searcher]:
        identity, stored, earlier = self._identity(), stored_identity(storage), 0
        if stored:
            self.settings.check_resumes(stored["settings"])
            check_same_task(stored, identity)
            earlier = n_trials(storage)
        request = self._search_request(earlier)
        searcher = make_searcher(request)
        study = open_study(storage, searcher, identity)
        sweep_stale(study)
        if not study.user_attrs.get("warm_started"):
            self._begin(study, searcher, request)
        return study, searcher

    def _search_request(self, earlier: int) -> SearchRequest:
        return SearchRequest(
            prior=self.settings.prior,
            task=self.task,
            family=self.family,
            space=self.space,
            seed=self.settings.seed,
            trials=self.settings.trials,
            folds=self.settings.folds,
            earlier=earlier,
        )

    def _begin(self, study: optuna.Study, searcher: Searcher, request: SearchRequest) -> None:
        """Describe the task for those who learn from the run, and queue the first trials."""
        study.set_user_attr(TASK_FEATURES, request.features)
        warm_start(study, self.points, self.space, origin="user")
        warm_start(study, searcher.warm_start[: self.settings.trials], self.space)
        study.set_user_attr("warm_started", True)

    def _search(
        self, study: optuna.Study, searcher: Searcher, evaluators: Sequence[Evaluator]
    ) -> StoppedBy:
        done = len(finished(study))
        self.listener(Progress("search", done, self.settings.trials))
        with GracefulInterrupt(lambda: self.listener(Progress("stopping"))) as interrupt:
            loop = SearchLoop(
                study=study,
                space=self.space,
                family=self.family,
                origin=searcher.origin,
                trials=self.settings.trials,
                limits=Limits(self.settings.trial_time_limit, self.settings.memory_limit),
                timeout=self.settings.timeout,
                listener=self.listener,
                interrupt=interrupt,
                store=self.store if self.settings.ensemble > 1 else None,
            )
            return loop.run(evaluators)

    def _result(
        self, trials: Sequence[FrozenTrial], searcher: Searcher, stopped: StoppedBy
    ) -> JSON:
        complete = [t for t in trials if t.state == TrialState.COMPLETE]
        return {
            "schema": SCHEMA,
            "automl_meta_version": __version__,
            "command": self.request.command,
            "started": self.started.isoformat(timespec="seconds"),
            "finished": "",
            "seconds": 0.0,
            "task": task_record(self.task),
            "settings": self.settings.to_json(),
            "prior": searcher.prior.to_json(),
            "search": search_record(trials, stopped),
            "ensemble": None,
            "trials": [trial_record(trial, self.family) for trial in trials],
            "defaults": [],
            "test": None,
            "importances": importances(
                self.space,
                [t.params for t in complete],
                [float(t.value) for t in complete if t.value is not None],
                self.settings.seed,
            ),
            "versions": versions_record(),
            "machine": machine_record(),
        }

    def _finish(self, result: JSON, trials: Sequence[FrozenTrial], evaluator: Evaluator) -> None:
        """Choose, refit and store the model; score it and the defaults on the held-out part."""
        search = result["search"]
        test: dict[str, Any] = {
            "metric": self.task.metric,
            "score": None,
            "reason": NO_MODEL,
            "n_rows": len(self.task.split.test),
            "best_default": None,
            "single_best": None,
        }
        result["test"] = test
        selector = Selector(self.task, self.folds, self.family, self.store)
        chosen, alone = selector.choose(trials, self.settings.ensemble), selector.best(trials)
        result["ensemble"] = chosen.to_json()
        model = make_model(selector, chosen, alone, seed=self.settings.seed, listener=self.listener)
        result["ensemble"] = model.ensemble.to_json(model.dropped)
        if model.pipeline is None:
            test["reason"] = f"The model could not be fitted: {model.dropped[0]['reason']}"
        else:
            save_model(self.request.folder / MODEL, self.task, model.pipeline)
            test["reason"] = "Ctrl-C was pressed before the model was scored on the held-out rows."
            test["score"], test["reason"] = held_out_score(self.task, model.pipeline)
        if model.single is not None:
            best = held_out_score(self.task, model.single)[0]
            test["single_best"] = {"trial": search["best_trial"], "score": best}
        result["defaults"] = evaluate_defaults(
            evaluator, self.family, trials, seed=self.settings.seed, listener=self.listener
        )
        test["best_default"] = best_default(result["defaults"])
        if len(result["defaults"]) < len(default_members(self.family)):  # Ctrl-C left some out
            search["stopped_by"] = "interrupt"
