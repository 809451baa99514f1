"""One run: train a learner on episodes, stop at its best validation, test it, write everything down.

A killed run goes on from its last checkpoint; a finished one is not repeated.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from automl_meta._machine import machine_record, versions_record
from automl_meta._typing import JSON
from automl_meta.fewshot.appearances import Follower, appearances_record, evaluate_appearances
from automl_meta.fewshot.building import make_learner
from automl_meta.fewshot.capture import Captured
from automl_meta.fewshot.evaluate import ACCURACY, Evaluation, evaluate
from automl_meta.fewshot.examples import make_examples, save_examples
from automl_meta.fewshot.learners import Learner
from automl_meta.fewshot.result import (
    SCHEMA,
    TRAINING,
    WEIGHTS,
    FewShotResult,
    evaluation_record,
    prepare_folder,
    settings_record,
    write_result,
)
from automl_meta.fewshot.settings import WITHOUT_STEPS, FewShotSettings
from automl_meta.fewshot.setup import Sources, make_sources
from automl_meta.metalearn import MetaParams
from automl_meta.training import Ranks, Step, TrainingResult, train
from automl_meta.training.device import Place, computing_on
from automl_meta.training.ranks import joined

#: Validation and test episodes are the same for every learner and every seed of a run.
VALIDATION_SEED, TEST_SEED = 1_000_001, 1_000_002
#: Training episodes of seed s and process r are drawn from seed ``_STRIDE * s + r``.
_STRIDE = 1000
#: Inner steps of the test of a regression.
REGRESSION_STEPS = (0, 1, 5)
#: Test episodes that a report shows.
_N_EXAMPLES = 4


@dataclass(frozen=True)
class _Run:
    settings: FewShotSettings
    place: Place
    ranks: Ranks
    sources: Sources
    learner: Learner


def run_fewshot(
    settings: FewShotSettings,
    folder: Path,
    *,
    resume: bool = False,
    on_step: Callable[[Step], bool | None] | None = None,
    on_test: Callable[[int, int], None] | None = None,
    command: str | None = None,
) -> FewShotResult:
    """Train and test a learner.

    Under ``torchrun`` the gradients of all processes are averaged, and the first one writes.

    Args:
        settings: Of the run, from ``recipe``.
        folder: New or empty; or that of a run with the same settings, to resume.
        resume: Go on with the run in ``folder``, even a killed or interrupted one; start it if there is none.
        on_step: Told of each training step; a true answer ends the training, and what there is is tested.
        on_test: Told the test episodes done and the number of all.
        command: What the user ran, for the record.

    Returns:
        The result, which also lies in ``folder``.

    Raises:
        InvalidParameterError: If settings do not fit the data, or the folder is not empty.
        StoreError: If data are missing, or the folder holds another run.
    """
    with (
        computing_on(
            settings.device, settings.precision, settings.threads, where="fewshot"
        ) as place,
        joined(place.device) as ranks,
    ):
        stored = None
        if ranks.is_first:
            stored = prepare_folder(folder, settings, resume=resume)
        (finished,) = ranks.agreed(float(stored is not None and stored["status"] == "finished"))
        if finished:
            return FewShotResult(folder, stored or {"status": "finished"})
        sources = make_sources(settings, place.device)
        run = _Run(
            settings, place, ranks, sources, make_learner(settings, sources.channels, place.device)
        )
        document = _first_record(run, command, stored)
        if ranks.is_first:
            write_result(folder, document)
        trained = _train(run, folder, on_step)
        if not ranks.is_first:
            return FewShotResult(folder, {"status": "finished"})
        weights = {name: leaf.cpu().contiguous() for name, leaf in trained.params.items()}
        (folder / WEIGHTS).write_bytes(save(weights))
        document |= {"status": "testing", "training": _training_record(trained, run)}
        write_result(folder, document)
        _save_examples(run, trained.params, folder)
        ended = "interrupted" if trained.stopped_by == "interrupt" else "finished"
        document |= {"tests": _tests(run, trained.params, on_test)}
        document |= {**_appearances(run, trained.params), "status": ended}
        write_result(folder, document)
        return FewShotResult(folder, document)


def _train(
    run: _Run, folder: Path, on_step: Callable[[Step], bool | None] | None
) -> TrainingResult:
    settings, learner, device = run.settings, run.learner, run.place.device
    start = learner.init(torch.Generator().manual_seed(settings.seed))

    captured = Captured(lambda meta, episodes: learner.meta_gradients(meta, episodes, 0.0))

    def gradient(
        meta: dict[str, Tensor], generator: torch.Generator, progress: float
    ) -> tuple[Tensor, MetaParams]:
        episodes = run.sources.train.sample(settings.meta_batch, generator)
        with run.place.autocast():
            if learner.is_steady:
                return captured(meta, episodes)
            return learner.meta_gradients(meta, episodes, progress)

    # Drawn on the GPU, episodes cost no transfer; for those that must be equal on all devices see _judge.
    generator = torch.Generator(device).manual_seed(_STRIDE * settings.seed + run.ranks.rank)
    return train(
        {name: leaf.to(device) for name, leaf in start.items()},
        gradient,
        settings=settings.training,
        generator=generator,
        validate=lambda meta: _as_loss(_judge(run, meta)),
        folder=folder / TRAINING,
        # A folder without a checkpoint starts afresh, so that a run killed early can be resumed as well.
        resume=True,
        on_step=on_step,
        ranks=run.ranks,
    )


def _judge(run: _Run, meta: dict[str, Tensor]) -> Evaluation:
    """Evaluate on the fixed validation episodes; a CPU generator draws the same ones on every device."""
    with run.place.autocast():
        return evaluate(
            run.learner,
            meta,
            run.sources.validation,
            episodes=run.settings.validation_episodes,
            generator=torch.Generator().manual_seed(VALIDATION_SEED),
            batch=_batch(run),
        )


def _as_loss(evaluation: Evaluation) -> float:
    return 1 - evaluation.mean if evaluation.metric == ACCURACY else evaluation.mean


def _tests(
    run: _Run, meta: dict[str, Tensor], on_test: Callable[[int, int], None] | None
) -> list[JSON]:
    """Test once; for regression with several numbers of points and inner steps."""
    settings = run.settings
    steps: tuple[int | None, ...] = REGRESSION_STEPS if settings.is_regression else (None,)
    cases = [(shots, n) for shots in run.sources.test for n in steps]
    records = []
    for i, (shots, n_steps) in enumerate(cases):
        done, total = i * settings.test_episodes, len(cases) * settings.test_episodes
        with run.place.autocast():
            evaluation = evaluate(
                run.learner,
                meta,
                run.sources.test[shots],
                episodes=settings.test_episodes,
                generator=torch.Generator().manual_seed(TEST_SEED),
                batch=_batch(run),
                steps=n_steps,
                on_batch=_shifted(on_test, done, total),
            )
        records.append(evaluation_record(evaluation, shots, _steps_of(settings, n_steps)))
    return records


def _appearances(run: _Run, meta: dict[str, Tensor]) -> JSON:
    """Test a learner that follows sequences on those, too."""
    source = run.sources.sequences
    if source is None or not isinstance(run.learner, Follower):
        return {}
    with run.place.autocast():
        found = evaluate_appearances(
            run.learner,
            meta,
            source,
            episodes=run.settings.test_episodes,
            generator=torch.Generator().manual_seed(TEST_SEED),
            batch=_batch(run),
        )
    return {"appearances": appearances_record(found)}


def _save_examples(run: _Run, meta: dict[str, Tensor], folder: Path) -> None:
    settings, source = run.settings, run.sources.test[run.settings.shots]
    steps: tuple[int | None, ...] = (_steps_of(settings, None),)
    if settings.is_regression:
        steps = REGRESSION_STEPS
    generator = torch.Generator().manual_seed(TEST_SEED)
    with run.place.autocast():
        drawn = source.sample(_N_EXAMPLES, generator)
        save_examples(make_examples(run.learner, meta, drawn, steps), folder)


def _shifted(
    on_test: Callable[[int, int], None] | None, done: int, total: int
) -> Callable[[int], None] | None:
    return None if on_test is None else lambda n: on_test(done + n, total)


def _steps_of(settings: FewShotSettings, steps: int | None) -> int | None:
    if settings.learner in WITHOUT_STEPS:
        return None
    return next(n for n in (steps, settings.test_steps, settings.inner_steps) if n is not None)


def _batch(run: _Run) -> int:
    """Episodes evaluated at once: few on a CPU, whose caches are small."""
    if run.settings.chunk is not None:
        return run.settings.chunk
    return 200 if run.place.device.type == "cuda" else 20


def _first_record(run: _Run, command: str | None, stored: JSON | None) -> JSON:
    settings = run.settings
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "schema": SCHEMA,
        "status": "training",
        "started": stored["started"] if stored else started,
        "command": command,
        "settings": settings_record(settings),
        "learner": run.learner.describe(),
        "transductive": settings.transductive,
        "data": run.sources.facts,
        "seeds": {
            "weights": settings.seed,
            "training": [_STRIDE * settings.seed + rank for rank in range(run.ranks.count)],
            "validation": VALIDATION_SEED,
            "test": TEST_SEED,
            "split": settings.split_seed,
        },
        "device": run.place.name,
        "precision": run.place.precision,
        "threads": run.place.threads,
        "processes": run.ranks.count,
        "notes": list(run.place.notes),
        "machine": machine_record(),
        "versions": versions_record("automl-meta", "torch", "numpy"),
        "training": None,
        "tests": [],
    }


def _training_record(trained: TrainingResult, run: _Run) -> JSON:
    best = trained.best_validation
    if best is not None and not run.settings.is_regression:
        best = 1 - best
    return {
        "steps": trained.steps,
        "best_step": trained.best_step,
        "best_validation": best if best is None or math.isfinite(best) else None,
        "stopped_by": trained.stopped_by,
        "seconds": round(trained.seconds, 2),
        "cpu_seconds": round(trained.cpu_seconds, 2),
        "thread_seconds": round(trained.seconds * run.place.threads * run.ranks.count, 2),
    }
