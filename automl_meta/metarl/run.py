"""One run: train a policy on trials, stop at its best validation, test it beside the rules, write it down.

A killed run goes on from its last checkpoint; a finished one is not repeated.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from safetensors.torch import save

from automl_meta._machine import machine_record, versions_record
from automl_meta._typing import JSON
from automl_meta.metarl.adaptation_run import AdaptationRun
from automl_meta.metarl.evaluate import (
    PLAYER_SEED,
    TEST_SEED,
    VALIDATION_SEED,
)
from automl_meta.metarl.published import published
from automl_meta.metarl.result import (
    FOLDER,
    SCHEMA,
    MetaRLResult,
    settings_record,
)
from automl_meta.metarl.settings import MetaRLSettings
from automl_meta.metarl.trial_run import TrialRun
from automl_meta.training import Step, TrainingResult
from automl_meta.training.device import Place, computing_on
from automl_meta.training.folder import WEIGHTS


class _Run(Protocol):
    """What differs between the kinds of learners."""

    @property
    def settings(self) -> MetaRLSettings: ...

    @property
    def place(self) -> Place: ...

    def train(
        self, folder: Path, on_step: Callable[[Step], bool | None] | None
    ) -> dict[str, TrainingResult]:
        """Train the learner, which comes first, and what is trained beside it."""
        ...

    def tests(
        self,
        trained: Mapping[str, TrainingResult],
        on_test: Callable[[int, int], None] | None,
    ) -> list[JSON]:
        """Test all of it; the learner comes first."""
        ...

    def describe(self) -> JSON: ...

    def trials(self, steps: int) -> int:
        """Return the trials of so many outer steps."""
        ...


def run_metarl(
    settings: MetaRLSettings,
    folder: Path,
    *,
    resume: bool = False,
    on_step: Callable[[Step], bool | None] | None = None,
    on_test: Callable[[int, int], None] | None = None,
    command: str | None = None,
) -> MetaRLResult:
    """Train and test a learner.

    Args:
        settings: Of the run, from ``recipe``.
        folder: New or empty; or that of a run with the same settings, to resume.
        resume: Go on with the run in ``folder``, even a killed or interrupted one; start it if there is none.
        on_step: Told of each training step; a true answer ends the training, and what there is is tested.
        on_test: Told the methods tested and the number of all.
        command: What the user ran, for the record.

    Returns:
        The result, which also lies in ``folder``.

    Raises:
        InvalidParameterError: If the folder is not empty.
        StoreError: If the folder holds another run.
    """
    with computing_on(
        settings.device, settings.precision, settings.threads, where="metarl"
    ) as place:
        stored = FOLDER.prepare(folder, settings_record(settings), resume=resume)
        if stored is not None and stored["status"] == "finished":
            return MetaRLResult(folder, stored)
        run = _prepared(settings, place)
        document = _first_record(run, command, stored)
        FOLDER.write(folder, document)
        trained = run.train(folder, on_step)
        for rank, (name, found) in enumerate(trained.items()):
            weights = {key: leaf.cpu().contiguous() for key, leaf in found.params.items()}
            (folder / (f"{name}.safetensors" if rank else WEIGHTS)).write_bytes(save(weights))
            key = f"{name}_training" if rank else "training"
            document |= {"status": "testing", key: _training_record(found, run)}
        FOLDER.write(folder, document)
        interrupted = any(found.stopped_by == "interrupt" for found in trained.values())
        document |= {"methods": run.tests(trained, on_test)}
        document |= {"status": "interrupted" if interrupted else "finished"}
        FOLDER.write(folder, document)
        return MetaRLResult(folder, document)


def _prepared(settings: MetaRLSettings, place: Place) -> _Run:
    if settings.adaptation is not None:
        return AdaptationRun.of(settings, place)
    return TrialRun.of(settings, place)


def _first_record(run: _Run, command: str | None, stored: JSON | None) -> JSON:
    settings, place = run.settings, run.place
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "schema": SCHEMA,
        "status": "training",
        "started": stored["started"] if stored else started,
        "command": command,
        "settings": settings_record(settings),
        "learner": {"learner": settings.learner, **run.describe()},
        "published": published(settings),
        "seeds": {
            "weights": settings.seed,
            "training": settings.training_seed,
            "validation": VALIDATION_SEED,
            "test": TEST_SEED,
            "players": PLAYER_SEED,
        },
        "device": place.name,
        "precision": place.precision,
        "threads": place.threads,
        "notes": list(place.notes),
        "machine": machine_record(),
        "versions": versions_record("automl-meta", "torch", "numpy", "gymnasium"),
        "training": None,
        "methods": [],
    }


def _training_record(trained: TrainingResult, run: _Run) -> JSON:
    best = trained.best_validation
    return {
        "steps": trained.steps,
        "trials": run.trials(trained.steps),
        "best_step": trained.best_step,
        "best_validation": None if best is None else -best,
        "stopped_by": trained.stopped_by,
        "seconds": round(trained.seconds, 2),
        "cpu_seconds": round(trained.cpu_seconds, 2),
    }
