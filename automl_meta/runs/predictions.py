"""Out-of-fold predictions of completed trials, kept in the run's folder for the ensemble.

One ``.npz`` file for each trial, written as a whole or not at all, opened without pickle. A file that is
missing or damaged costs its trial the place among the candidates, nothing else.
"""

import logging
import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from automl_meta._typing import FloatArray

FOLDER = "predictions"
_LOG = logging.getLogger(__name__)


class PredictionStore:
    """The predictions of one run's trials.

    Probabilities are kept as float32 and regression values as float64; what is read back is what the
    ensemble is selected on, whether the run was resumed or not.

    Args:
        folder: Folder of the run.
        n_classes: Number of classes, 0 for regression.
        n_rows: Number of training rows: the folds' test rows together.
    """

    def __init__(self, folder: Path, n_classes: int, n_rows: int) -> None:
        self._folder = folder / FOLDER
        self._n_classes = n_classes
        self._n_rows = n_rows

    def save(self, trial: int, predictions: Sequence[FloatArray]) -> None:
        """Keep the predictions of a trial; a disk that is full costs only the candidate.

        Args:
            trial: Its number.
            predictions: One array [n, n_classes] or [n, 1] for each fold; nothing is written if empty.
        """
        if not predictions:
            return
        values = np.concatenate(list(predictions))
        if self._n_classes:
            values = values.astype(np.float32)
        path = self._path(trial)
        beside = path.with_name(f".{path.name}.part")
        try:
            self._folder.mkdir(exist_ok=True)
            with beside.open("wb") as handle:
                np.savez_compressed(handle, predictions=values)
            os.replace(beside, path)  # noqa: PTH105 - as save_model, atomic on every system
        except OSError as error:
            _LOG.warning("The predictions of trial %d could not be kept: %s", trial, error)
            with suppress(OSError):
                beside.unlink(missing_ok=True)

    def load(self, trial: int) -> FloatArray | None:
        """Return the predictions of a trial.

        Args:
            trial: Its number.

        Returns:
            Float64 array [n, n_classes] (rows sum to 1) or [n, 1], the folds one after the other; None if
            there are no usable ones.
        """
        try:
            # Opened here: NumPy leaves a damaged file open.
            with self._path(trial).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                values = np.asarray(stored["predictions"], dtype=np.float64)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            _LOG.info("Trial %d has no usable predictions: %s", trial, error)
            return None
        if values.shape != (self._n_rows, self._n_classes or 1):
            return None
        if not np.isfinite(values).all():
            return None
        if self._n_classes:
            values /= values.sum(axis=1, keepdims=True)
        return values

    def _path(self, trial: int) -> Path:
        return self._folder / f"trial-{trial:05d}.npz"
