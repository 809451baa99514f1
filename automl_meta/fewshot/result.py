"""The record of a few-shot run: ``result.json``."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from automl_meta._typing import JSON
from automl_meta.fewshot.evaluate import Evaluation
from automl_meta.fewshot.settings import FewShotSettings
from automl_meta.training.folder import RESULT, TRAINING, WEIGHTS, ResultFolder

__all__ = [
    "RESULT",
    "SCHEMA",
    "TRAINING",
    "WEIGHTS",
    "FewShotResult",
    "evaluation_record",
    "prepare_folder",
    "read_result",
    "settings_record",
    "write_result",
]

SCHEMA = "automl-meta/fewshot/1"
_FORMAT = ResultFolder("fewshot", SCHEMA)


@dataclass(frozen=True)
class FewShotResult:
    """A run and where it lies.

    Attributes:
        path: Its folder: ``result.json``, ``meta.safetensors`` and ``training/`` with log and checkpoint.
        document: The content of ``result.json``.
    """

    path: Path
    document: JSON

    @property
    def finished(self) -> bool:
        """Whether training ended by itself and the test is done."""
        return bool(self.document["status"] == "finished")


def settings_record(settings: FewShotSettings) -> JSON:
    """Return settings as they are stored: JSON-ready and flat but for ``training`` and ``options``."""
    record: JSON = json.loads(json.dumps(asdict(settings)))
    return record


def evaluation_record(evaluation: Evaluation, shots: int, steps: int | None) -> JSON:
    """Return one entry of ``tests``; a number that is not finite, of an inner loop that diverges, is null.

    Args:
        evaluation: The scores.
        shots: Support items of a class, or points of a function.
        steps: Inner steps; None for methods without any.
    """
    numbers = {
        "mean": evaluation.mean,
        "interval95": evaluation.interval95,
        "median": evaluation.median,
        "worst": (min if evaluation.metric == "accuracy" else max)(evaluation.scores),
    }
    return {
        "metric": evaluation.metric,
        "shots": shots,
        "steps": steps,
        "episodes": len(evaluation.scores),
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
    }


def prepare_folder(folder: Path, settings: FewShotSettings, *, resume: bool) -> JSON | None:
    """Make the folder of a run, or check the one to be resumed.

    Args:
        folder: The folder.
        settings: Of the run.
        resume: Whether to go on with what is there; a missing or empty folder is fine then too.

    Returns:
        The stored result of a run to be resumed, or None for a new one.

    Raises:
        InvalidParameterError: If something is there and ``resume`` is False.
        StoreError: If what is there was made with other settings, or the folder cannot be made.
    """
    return _FORMAT.prepare(folder, settings_record(settings), resume=resume)


def write_result(folder: Path, document: JSON) -> None:
    """Write ``result.json`` so that a reader never sees half of it.

    Args:
        folder: An existing folder.
        document: JSON-ready; a NaN raises ValueError, because JSON has none.
    """
    _FORMAT.write(folder, document)


def read_result(folder: Path) -> JSON:
    """Read ``result.json`` of a run.

    Args:
        folder: Folder of the run.

    Raises:
        StoreError: If there is none, or it is damaged or of another schema.
    """
    return _FORMAT.read(folder)
