"""The loop itself: draw, differentiate, clip, update, validate, log, checkpoint.

Everything random comes from one generator whose state is part of the checkpoint, so a run that was
killed and resumed ends with the same numbers as one that was not.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from automl_meta.training.log import append_line, cut_log
from automl_meta.training.optimizer import (
    clip_by_norm,
    global_norm,
    optimizer_init,
    optimizer_update,
)
from automl_meta.training.ranks import ALONE, Ranks
from automl_meta.training.settings import TrainingSettings

#: ``(params, generator, progress) -> (scalar loss, gradients of params' names)``; draws its batch from the
#: generator. ``progress`` is the share of the budget that is used up, in [0, 1).
GradientFunction: TypeAlias = Callable[
    [dict[str, Tensor], torch.Generator, float], tuple[Tensor, dict[str, Tensor]]
]
#: ``params -> validation loss``, smaller is better; draws nothing from the training generator.
ValidationFunction: TypeAlias = Callable[[dict[str, Tensor]], float]
StoppedBy = Literal["steps", "seconds", "patience", "interrupt"]

_MOST_BAD_STEPS = 20
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """What is known after a step.

    Attributes:
        number: Steps done.
        progress: Share of the budget that is used up, in (0, 1].
        loss: Of the step's batch, before the update; None if it was not finite.
        validation: Validation loss, in steps that validated.
        seconds: Wall time of training so far, without validations, over all resumes.
        part: What is trained, in runs that train more than one thing.
    """

    number: int
    progress: float
    loss: float | None
    validation: float | None
    seconds: float
    part: str = ""


#: Called after each step; a true answer ends the training there.
StepFunction: TypeAlias = Callable[[Step], bool | None]


@dataclass(frozen=True)
class TrainingResult:
    """What a run ended with.

    Attributes:
        params: Parameters of the best validation, or the last ones without validation.
        steps: Steps done.
        best_step: Step of ``params``.
        best_validation: Its validation loss, or None without validation.
        stopped_by: What ended it: its steps, its time, its patience, or ``on_step``.
        seconds: Wall time of training, without validations, over all resumes.
        cpu_seconds: The same in processor time of this process, all threads together.
    """

    params: dict[str, Tensor]
    steps: int
    best_step: int
    best_validation: float | None
    stopped_by: StoppedBy
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class _Counters:
    best_step: int = 0
    best_validation: float | None = None
    stale: int = 0  # validations since the best one
    bad_steps: int = 0  # consecutive steps without a finite gradient
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def train(  # noqa: PLR0913 - all but two are keyword-only with defaults
    params: Mapping[str, Tensor],
    gradient: GradientFunction,
    *,
    settings: TrainingSettings,
    generator: torch.Generator,
    validate: ValidationFunction | None = None,
    folder: Path | None = None,
    resume: bool = False,
    on_step: StepFunction | None = None,
    ranks: Ranks = ALONE,
) -> TrainingResult:
    """Minimise a stochastic loss.

    A step whose loss or gradient is not finite is skipped and logged; 20 in a row end the run with an error.

    Args:
        params: Start, leaves of any shape.
        gradient: Draws a batch and returns loss and gradients.
        settings: Budget, optimiser, rate, clipping, validation and intervals.
        generator: The only source of randomness of ``gradient``; changed by the run.
        validate: Judges parameters; None for no validation, no early stop and the last parameters.
        folder: Where checkpoints and ``log.jsonl`` go; None writes nothing.
        resume: Go on from the folder's checkpoint where there is one. Without it an existing checkpoint
            is overwritten.
        on_step: Told of each step. When it ends the training, the checkpoint is such that a resume goes on
            as if nothing had happened; the result holds the best parameters of the validations so far.
        ranks: Processes that train together, each with its own generator; all are given the same folder.

    Returns:
        Parameters, detached, and how the run ended.

    Raises:
        InvalidParameterError: If ``resume`` comes without ``folder``, the gradients do not fit the
            parameters, or the loss stays non-finite.
        StoreError: If the checkpoint is damaged or was made with other settings, parameters or processes.

    Example:
        >>> def gradient(params, generator, progress):
        ...     return params["w"].square(), {"w": 2 * params["w"]}
        >>> result = train(
        ...     {"w": torch.tensor(1.0)}, gradient,
        ...     settings=TrainingSettings(steps=200, learning_rate=0.05), generator=torch.Generator(),
        ... )
        >>> abs(result.params["w"].item()) < 0.01
        True
    """
    if resume and folder is None:
        raise InvalidParameterError.of(
            "resume", "train", "False without a folder", resume, "Give folder=..."
        )
    ranks.agreed(
        0.0
    )  # waits for the first process, which may still be writing the checkpoint to read
    state, counters = _start(params, settings, generator, folder if resume else None, ranks)
    if folder is not None and ranks.is_first:
        cut_log(folder, state.step)
    (progress,) = ranks.agreed(settings.progress_at(state.step, counters.seconds))
    stopped_by = _ended(progress, state, counters, settings)
    while stopped_by is None:
        state, counters, line = _one_step(
            state, counters, gradient, settings, generator, progress, ranks
        )
        (progress,) = ranks.agreed(settings.progress_at(state.step, counters.seconds))
        if validate is not None and (progress >= 1 or state.step % settings.validate_every == 0):
            state, counters, line["validation"] = _validated(state, counters, validate, ranks)
        stopped_by = _ended(progress, state, counters, settings)
        if _interrupted(on_step, line, progress, ranks) and stopped_by is None:
            stopped_by = "interrupt"
        if folder is not None:
            _write(folder, state, counters, line, generator, settings, ranks, bool(stopped_by))
    judged = counters.best_validation is not None
    return TrainingResult(
        params=state.best_params if judged else state.params,
        steps=state.step,
        best_step=counters.best_step if judged else state.step,
        best_validation=counters.best_validation,
        stopped_by=stopped_by,
        seconds=counters.seconds,
        cpu_seconds=counters.cpu_seconds,
    )


def _start(
    params: Mapping[str, Tensor],
    settings: TrainingSettings,
    generator: torch.Generator,
    folder: Path | None,
    ranks: Ranks,
) -> tuple[Checkpoint, _Counters]:
    copies = {name: leaf.detach().clone() for name, leaf in params.items()}
    if not copies:
        raise InvalidParameterError.of(
            "params", "train", "a non-empty mapping", {}, "Give the initial parameters."
        )
    wanted: JSON = asdict(settings)
    device = next(iter(copies.values())).device
    found = load_checkpoint(folder, device) if folder is not None else None
    if found is None:
        empty = optimizer_init(copies, settings)
        return Checkpoint(0, copies, empty, copies, (), settings=wanted), _Counters()
    shapes = {name: tuple(leaf.shape) for name, leaf in copies.items()}
    stored = {name: tuple(leaf.shape) for name, leaf in found.params.items()}
    differing = sorted(k for k in wanted if found.settings.get(k) != wanted[k])
    differing += ["parameters"] if stored != shapes else []
    differing += ["number of processes"] if len(found.generators) != ranks.count else []
    if differing:
        msg = (
            f"The checkpoint in {folder} was made with other {', '.join(differing)}. "
            "Use the same ones, or train without resume."
        )
        raise StoreError(msg)
    try:
        counters = _Counters(**found.counters)
        generator.set_state(found.generators[ranks.rank])
    except (TypeError, RuntimeError) as error:  # other counters, or another kind of generator
        msg = f"The checkpoint in {folder} does not fit this run: {error}. Train without resume."
        raise StoreError(msg) from error
    _logger.info("resumed at step %d from %s", found.step, folder)
    # A file's order is another one than the run's, in which norms are summed up and noise may be drawn.
    ordered = {name: found.params[name] for name in copies}
    best = {name: found.best_params[name] for name in copies}
    return replace(found, params=ordered, best_params=best), counters


def _ended(
    progress: float, state: Checkpoint, counters: _Counters, settings: TrainingSettings
) -> StoppedBy | None:
    if settings.patience is not None and counters.stale >= settings.patience:
        return "patience"
    if progress < 1:
        return None
    return "steps" if state.step == settings.steps else "seconds"


def _one_step(
    state: Checkpoint,
    counters: _Counters,
    gradient: GradientFunction,
    settings: TrainingSettings,
    generator: torch.Generator,
    progress: float,
    ranks: Ranks,
) -> tuple[Checkpoint, _Counters, JSON]:
    wall, cpu = time.perf_counter(), time.process_time()
    rate = settings.rate_at(progress)
    loss, grads = gradient(state.params, generator, progress)
    _check_gradients(state.params, grads)
    loss, grads = ranks.mean(loss, grads)
    norm = global_norm(grads)
    # One look at both numbers, because each makes the processor wait for a GPU.
    numbers = torch.stack([loss.detach(), norm]).tolist()
    finite = all(math.isfinite(number) for number in numbers)
    done = replace(state, step=state.step + 1)
    if finite:
        if settings.clip_norm is not None:
            grads = clip_by_norm(grads, norm, settings.clip_norm)
        params, memory = optimizer_update(state.params, grads, state.optimizer, rate, settings)
        done = replace(done, params=params, optimizer=memory)
    counters = replace(
        counters,
        bad_steps=0 if finite else _one_more_bad(counters.bad_steps, done.step, settings),
        seconds=counters.seconds + time.perf_counter() - wall,
        cpu_seconds=counters.cpu_seconds + time.process_time() - cpu,
    )
    line: JSON = {
        "step": done.step,
        "loss": numbers[0] if finite else None,
        "gradient_norm": numbers[1] if finite else None,
        "learning_rate": rate,
        "seconds": round(counters.seconds, 3),
        "cpu_seconds": round(counters.cpu_seconds, 3),
    }
    return done, counters, line


def _one_more_bad(bad_steps: int, step: int, settings: TrainingSettings) -> int:
    _logger.warning("step %d skipped: loss or gradient is not finite", step)
    if bad_steps + 1 >= _MOST_BAD_STEPS:
        raise InvalidParameterError.of(
            "learning_rate",
            "train",
            f"small enough that no {_MOST_BAD_STEPS} steps in a row lack a finite gradient",
            settings.learning_rate,
            "Lower it, or set clip_norm.",
        )
    return bad_steps + 1


def _check_gradients(params: Mapping[str, Tensor], grads: Mapping[str, Tensor]) -> None:
    shapes = {name: tuple(leaf.shape) for name, leaf in params.items()}
    received = {name: tuple(leaf.shape) for name, leaf in grads.items()}
    if received != shapes:
        raise InvalidParameterError.of(
            "gradient",
            "train",
            f"a function that returns gradients of the parameters' shapes {shapes}",
            received,
            "Return one gradient per parameter.",
        )


def _validated(
    state: Checkpoint, counters: _Counters, validate: ValidationFunction, ranks: Ranks
) -> tuple[Checkpoint, _Counters, float | None]:
    (loss,) = ranks.agreed(float(validate(state.params)) if ranks.is_first else 0.0)
    shown = loss if math.isfinite(loss) else None
    best = counters.best_validation
    # NaN compares as False, so an undefined validation counts as one without improvement.
    if loss < (math.inf if best is None else best):
        better = replace(counters, best_step=state.step, best_validation=loss, stale=0)
        return replace(state, best_params=state.params), better, shown
    return state, replace(counters, stale=counters.stale + 1), shown


def _interrupted(on_step: StepFunction | None, line: JSON, progress: float, ranks: Ranks) -> bool:
    wanted = on_step is not None and on_step(
        Step(line["step"], progress, line["loss"], line.get("validation"), line["seconds"])
    )
    return bool(ranks.agreed(float(bool(wanted)))[0])


def _write(
    folder: Path,
    state: Checkpoint,
    counters: _Counters,
    line: JSON,
    generator: torch.Generator,
    settings: TrainingSettings,
    ranks: Ranks,
    stopping: bool,
) -> None:
    """Log and save where it is time to; every process takes part, because the generators are gathered."""
    if ranks.is_first and (
        stopping or "validation" in line or state.step % settings.log_every == 0
    ):
        append_line(folder, line)
    if stopping or state.step % settings.checkpoint_every == 0:
        states = ranks.gathered(generator.get_state())
        if ranks.is_first:
            save_checkpoint(folder, replace(state, generators=states, counters=asdict(counters)))
