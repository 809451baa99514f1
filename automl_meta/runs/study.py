"""The Optuna study of a run: made or reopened from its journal."""

import json
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.runs.folder import repair_journal
from automl_meta.runs.searcher import Searcher
from automl_meta.search.attributes import INTERRUPTED, ORIGIN, QUEUED

NAME = "fit"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
KILLED = "The run was killed during this trial."


def open_storage(path: Path, *, resume: bool) -> JournalStorage:
    """Open the journal of a run.

    Args:
        path: The journal file; its folder is held by this process.
        resume: Whether it exists and may have been left by a killed process.

    Raises:
        StoreError: If the journal cannot be read.
    """
    if resume:
        repair_journal(path)
    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except (ValueError, KeyError) as error:
        msg = f"The journal {path} is damaged ({error}). Start a new run in another --output."
        raise StoreError(msg) from error


def stored_identity(storage: JournalStorage) -> JSON | None:
    """Return what the run in a journal was started with, or None if it never came that far."""
    if NAME not in [study.study_name for study in storage.get_all_studies()]:
        return None
    study = optuna.load_study(study_name=NAME, storage=storage)
    identity = study.user_attrs.get("identity")
    return identity if isinstance(identity, dict) else None


def n_trials(storage: JournalStorage) -> int:
    """Return how many trials the run in a journal has begun."""
    study = optuna.load_study(study_name=NAME, storage=storage)
    return len(study.get_trials(deepcopy=False))


def check_same_task(stored: JSON, identity: JSON) -> None:
    """Check that a resumed run is given the task and the space it was started with.

    Args:
        stored: The identity in the journal.
        identity: The identity of this call.

    Raises:
        InvalidParameterError: If one of them differs.
    """
    remedies = {
        "task": "Give the same --task",
        "metric": "Give the same --metric",
        "data": "The table has changed since: restore it",
        "space": "Use the same search space",
        "starting_points": "Give the same starting points",
    }
    for name, remedy in remedies.items():
        if stored.get(name) != identity[name]:
            raise InvalidParameterError.of(
                name,
                "fit with resume",
                f"{stored.get(name)!r}, as the run was started",
                identity[name],
                f"{remedy}, or start a new run in another --output.",
            )


def sweep_stale(study: optuna.Study) -> int:
    """Mark trials that a killed process left running as failed, and queue interrupted starts again.

    The journal has no heartbeat, so nobody else does it. The caller holds the folder, therefore no
    living process owns these trials. A starting point whose trial was ended by Ctrl-C or the timeout is
    queued again too.

    Args:
        study: The reopened study.

    Returns:
        How many trials were swept.
    """
    stale = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in stale:
        for key, value in (("reason", KILLED), (INTERRUPTED, True)):
            # Optuna offers no public way to annotate a trial of a dead process.
            study._storage.set_trial_user_attr(trial._trial_id, key, value)  # noqa: SLF001
        study.tell(trial.number, state=TrialState.FAIL)
    _queue_again(study)
    return len(stale)


def _queue_again(study: optuna.Study) -> None:
    """Queue the starting points whose last trial was interrupted."""
    last: dict[str, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        if QUEUED in trial.user_attrs:
            last[json.dumps(trial.user_attrs[QUEUED], sort_keys=True)] = trial
    for trial in last.values():
        if trial.user_attrs.get(INTERRUPTED) is True:
            queued, origin = trial.user_attrs[QUEUED], trial.user_attrs.get(ORIGIN)
            study.enqueue_trial(dict(queued), user_attrs={ORIGIN: origin, QUEUED: queued})


def open_study(storage: JournalStorage, searcher: Searcher, identity: JSON) -> optuna.Study:
    """Create the study of a run, or reopen it.

    Args:
        storage: The run's journal.
        searcher: What drives the study.
        identity: What the run was started with; kept in the journal.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=NAME,
        direction="maximize",
        sampler=searcher.sampler,
        pruner=searcher.pruner,
        load_if_exists=True,
    )
    if "identity" not in study.user_attrs:
        study.set_user_attr("identity", identity)
    return study


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that count: finished, and not interrupted by a kill, Ctrl-C or the timeout."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False, states=FINISHED)
        if trial.user_attrs.get(INTERRUPTED) is not True
    ]
