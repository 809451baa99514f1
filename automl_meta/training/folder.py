"""The folder of a run that trains and tests: ``result.json``, weights, log and checkpoints."""

import json
from dataclasses import dataclass
from pathlib import Path

from automl_meta._folders import made_folder
from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, StoreError

RESULT, WEIGHTS, TRAINING = "result.json", "meta.safetensors", "training"


@dataclass(frozen=True)
class ResultFolder:
    """How the folders of one command are prepared, written and read.

    Attributes:
        command: Name of the command, for errors.
        schema: Of its ``result.json``.

    Example:
        >>> ResultFolder("fewshot", "automl-meta/fewshot/1").schema
        'automl-meta/fewshot/1'
    """

    command: str
    schema: str

    def prepare(self, folder: Path, settings: JSON, *, resume: bool) -> JSON | None:
        """Make the folder of a run, or check the one to be resumed.

        Args:
            folder: The folder.
            settings: Of the run, as they are stored under ``settings``.
            resume: Whether to go on with what is there; a missing or empty folder is fine then too.

        Returns:
            The stored result of a run to be resumed, or None for a new one.

        Raises:
            InvalidParameterError: If something is there and ``resume`` is False.
            StoreError: If what is there was made with other settings, or the folder cannot be made.
        """
        stored = self.read(folder) if (folder / RESULT).is_file() else None
        if not resume and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InvalidParameterError.of(
                "output",
                self.command,
                "a new or empty folder",
                str(folder),
                "Add --resume to continue the run in it, or name another folder.",
            )
        if stored is not None:
            found = stored["settings"]
            differing = sorted(name for name in settings if found.get(name) != settings[name])
            if differing:
                msg = (
                    f"The run in {folder} was made with other {', '.join(differing)}. "
                    "Use the same ones, or name another folder."
                )
                raise StoreError(msg)
        made_folder(folder)
        return stored

    def write(self, folder: Path, document: JSON) -> None:
        """Write ``result.json`` so that a reader never sees half of it.

        Args:
            folder: An existing folder.
            document: JSON-ready; a NaN raises ValueError, because JSON has none.
        """
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        beside = folder / f".{RESULT}.part"
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(folder / RESULT)

    def read(self, folder: Path) -> JSON:
        """Read ``result.json`` of a run.

        Args:
            folder: Folder of the run.

        Raises:
            StoreError: If there is none, or it is damaged or of another schema.
        """
        path, command = folder / RESULT, f"automl-meta {self.command}"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            msg = f"No {RESULT} in {folder}. Name the folder that {command} wrote."
            raise StoreError(msg) from error
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            msg = f"{path} is damaged ({error}). Delete it and run {command} --resume again."
            raise StoreError(msg) from error
        if not isinstance(document, dict) or document.get("schema") != self.schema:
            msg = f"{path} is no result of {command} of schema {self.schema}. Name another folder."
            raise StoreError(msg)
        return document
