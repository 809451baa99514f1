"""The loop itself: draw, differentiate, clip, update, validate, log, checkpoint.

Everything random comes from one generator whose state is part of the checkpoint, so a run that was
killed and resumed ends with the same numbers as one that was not.
"""

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.training.adam import adam_init, adam_update, clip_by_norm, global_norm
from automl_meta.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from automl_meta.training.settings import TrainingSettings

#: ``(params, generator) -> (scalar loss, gradients of params' names)``; draws its batch from the generator.
GradientFunction: TypeAlias = Callable[
    [dict[str, Tensor], torch.Generator], tuple[Tensor, dict[str, Tensor]]
]
#: ``params -> validation loss``, smaller is better; draws nothing from the training generator.
ValidationFunction: TypeAlias = Callable[[dict[str, Tensor]], float]

LOG_FILE = "log.jsonl"
_MOST_BAD_STEPS = 20
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """What a run ended with.

    Attributes:
        params: Parameters of the best validation, or the last ones without validation.
        steps: Steps done.
        best_step: Step of ``params``.
        best_validation: Its validation loss, or None without validation.
        stopped_early: Whether the patience ran out before the steps did.
    """

    params: dict[str, Tensor]
    steps: int
    best_step: int
    best_validation: float | None
    stopped_early: bool


@dataclass(frozen=True)
class _Counters:
    best_step: int = 0
    best_validation: float | None = None
    stale: int = 0  # validations since the best one
    bad_steps: int = 0  # consecutive steps without a finite gradient

    def stopped(self, patience: int | None) -> bool:
        return patience is not None and self.stale >= patience


def train(
    params: Mapping[str, Tensor],
    gradient: GradientFunction,
    *,
    settings: TrainingSettings,
    generator: torch.Generator,
    validate: ValidationFunction | None = None,
    folder: Path | None = None,
    resume: bool = False,
) -> TrainingResult:
    """Minimise a stochastic loss with Adam.

    A step whose loss or gradient is not finite is skipped and logged; 20 in a row end the run with an error.

    Args:
        params: Start, leaves of any shape.
        gradient: Draws a batch and returns loss and gradients.
        settings: Steps, rate, clipping, validation and intervals.
        generator: The only source of randomness of ``gradient``; changed by the run.
        validate: Judges parameters; None for no validation, no early stop and the last parameters.
        folder: Where checkpoints and ``log.jsonl`` go; None writes nothing.
        resume: Go on from the folder's checkpoint where there is one. Without it an existing checkpoint
            is overwritten.

    Returns:
        Parameters, detached, and how the run ended.

    Raises:
        InvalidParameterError: If ``resume`` comes without ``folder``, the gradients do not fit the
            parameters, or the loss stays non-finite.
        StoreError: If the checkpoint is damaged or was made with other settings or parameters.

    Example:
        >>> def gradient(params, generator):
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
    state, counters = _start(params, settings, generator, folder if resume else None)
    if folder is not None:
        _cut_log(folder, state.step)
    while state.step < settings.steps and not counters.stopped(settings.patience):
        state, counters, line = _one_step(state, counters, gradient, settings, generator)
        last = state.step == settings.steps
        if validate is not None and (last or state.step % settings.validate_every == 0):
            state, counters, loss = _validated(state, counters, validate)
            line |= {"validation": loss if math.isfinite(loss) else None}
        stopping = last or counters.stopped(settings.patience)
        if folder is not None:
            if stopping or "validation" in line or state.step % settings.log_every == 0:
                _append(folder, line)
            if stopping or state.step % settings.checkpoint_every == 0:
                _save(folder, state, counters, generator)
    chosen = state.params if counters.best_validation is None else state.best_params
    return TrainingResult(
        params=chosen,
        steps=state.step,
        best_step=state.step if counters.best_validation is None else counters.best_step,
        best_validation=counters.best_validation,
        stopped_early=state.step < settings.steps,
    )


def _start(
    params: Mapping[str, Tensor],
    settings: TrainingSettings,
    generator: torch.Generator,
    folder: Path | None,
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
        empty = generator.get_state()
        return Checkpoint(0, copies, adam_init(copies), copies, empty, settings=wanted), _Counters()
    shapes = {name: tuple(leaf.shape) for name, leaf in copies.items()}
    stored = {name: tuple(leaf.shape) for name, leaf in found.params.items()}
    if found.settings != wanted or stored != shapes:
        differing = sorted(k for k in wanted if found.settings.get(k) != wanted[k]) or [
            "parameters"
        ]
        msg = (
            f"The checkpoint in {folder} was made with other {', '.join(differing)}. "
            "Use the same ones, or train without resume."
        )
        raise StoreError(msg)
    try:
        counters = _Counters(**found.counters)
        generator.set_state(found.generator)
    except (TypeError, RuntimeError) as error:  # other counters, or another kind of generator
        msg = f"The checkpoint in {folder} does not fit this run: {error}. Train without resume."
        raise StoreError(msg) from error
    _logger.info("resumed at step %d from %s", found.step, folder)
    return found, counters


def _one_step(
    state: Checkpoint,
    counters: _Counters,
    gradient: GradientFunction,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> tuple[Checkpoint, _Counters, JSON]:
    rate = settings.rate_at(state.step)
    loss, grads = gradient(state.params, generator)
    _check_gradients(state.params, grads)
    norm = global_norm(grads)
    finite = bool(torch.isfinite(norm)) and bool(torch.isfinite(loss))
    line: JSON = {
        "step": state.step + 1,
        "loss": float(loss) if finite else None,
        "gradient_norm": float(norm) if finite else None,
        "learning_rate": rate,
    }
    if not finite:
        bad = counters.bad_steps + 1
        _logger.warning("step %d skipped: loss or gradient is not finite", state.step + 1)
        if bad >= _MOST_BAD_STEPS:
            raise InvalidParameterError.of(
                "learning_rate",
                "train",
                f"small enough that no {bad} steps in a row lack a finite gradient",
                settings.learning_rate,
                "Lower it, or set clip_norm.",
            )
        return replace(state, step=state.step + 1), replace(counters, bad_steps=bad), line
    if settings.clip_norm is not None:
        grads = clip_by_norm(grads, norm, settings.clip_norm)
    params, adam = adam_update(state.params, grads, state.adam, rate)
    done = replace(state, step=state.step + 1, params=params, adam=adam)
    return done, replace(counters, bad_steps=0), line


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
    state: Checkpoint, counters: _Counters, validate: ValidationFunction
) -> tuple[Checkpoint, _Counters, float]:
    loss = float(validate(state.params))
    best = counters.best_validation
    # NaN compares as False, so an undefined validation counts as one without improvement.
    if loss < (math.inf if best is None else best):
        better = replace(counters, best_step=state.step, best_validation=loss, stale=0)
        return replace(state, best_params=state.params), better, loss
    return state, replace(counters, stale=counters.stale + 1), loss


def _save(folder: Path, state: Checkpoint, counters: _Counters, generator: torch.Generator) -> None:
    complete = replace(state, generator=generator.get_state(), counters=asdict(counters))
    save_checkpoint(folder, complete)


def _append(folder: Path, line: JSON) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _cut_log(folder: Path, step: int) -> None:
    """Drop what was logged after the checkpoint: those steps will be done and logged again."""
    path = folder / LOG_FILE
    if not path.is_file():
        return
    kept = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # the last line of a killed run may be half written
            continue
        if line["step"] <= step:
            kept.append(text + "\n")
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(kept), encoding="utf-8")
    partial.replace(path)
