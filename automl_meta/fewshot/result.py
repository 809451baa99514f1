"""The record of a few-shot run: ``result.json``."""

import json
import math
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.fewshot.evaluate import Evaluation
from automl_meta.fewshot.settings import FewShotSettings

SCHEMA = "automl-meta/fewshot/1"
RESULT, WEIGHTS, TRAINING = "result.json", "meta.safetensors", "training"
_PACKAGES = ("automl-meta", "torch", "numpy")


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


def machine_record() -> JSON:
    """Return what the run was made on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": _cpu_name(), "cores": cores or 1}


def versions_record() -> dict[str, str]:
    """Return the versions that decide a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


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
    stored = read_result(folder) if (folder / RESULT).is_file() else None
    if not resume and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidParameterError.of(
            "output",
            "fewshot",
            "a new or empty folder",
            str(folder),
            "Add --resume to continue the run in it, or name another folder.",
        )
    if stored is not None:
        wanted, found = settings_record(settings), stored["settings"]
        differing = sorted(name for name in wanted if found.get(name) != wanted[name])
        if differing:
            msg = (
                f"The run in {folder} was made with other {', '.join(differing)}. "
                "Use the same ones, or name another folder."
            )
            raise StoreError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"The folder {folder} cannot be created ({error.strerror}). Name another one."
        raise StoreError(msg) from error
    return stored


def write_result(folder: Path, document: JSON) -> None:
    """Write ``result.json`` so that a reader never sees half of it.

    Args:
        folder: An existing folder.
        document: JSON-ready; a NaN raises ValueError, because JSON has none.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    beside = folder / f".{RESULT}.part"
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(folder / RESULT)


def read_result(folder: Path) -> JSON:
    """Read ``result.json`` of a run.

    Args:
        folder: Folder of the run.

    Raises:
        StoreError: If there is none, or it is damaged or of another schema.
    """
    path = folder / RESULT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"No {RESULT} in {folder}. Name the folder that automl-meta fewshot wrote."
        raise StoreError(msg) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"{path} is damaged ({error}). Delete it and run automl-meta fewshot --resume again."
        raise StoreError(msg) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        msg = f"{path} is no result of automl-meta fewshot of schema {SCHEMA}. Name another folder."
        raise StoreError(msg)
    return document


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.processor() or platform.machine() or "unknown"
