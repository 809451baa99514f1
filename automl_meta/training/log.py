"""The log of a training run: one JSON object a line."""

import json
from pathlib import Path

from automl_meta._typing import JSON

LOG_FILE = "log.jsonl"


def append_line(folder: Path, line: JSON) -> None:
    """Append one line to the log of a folder, which is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def cut_log(folder: Path, step: int) -> None:
    """Drop what was logged after the checkpoint: those steps will be done and logged again.

    Args:
        folder: Where the log may be.
        step: The checkpoint's.
    """
    path = folder / LOG_FILE
    if not path.is_file():
        return
    kept = [json.dumps(line) + "\n" for line in read_log(folder) if line["step"] <= step]
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(kept), encoding="utf-8")
    partial.replace(path)


def read_log(folder: Path) -> list[JSON]:
    """Read the log of a folder.

    Args:
        folder: Where ``train`` wrote.

    Returns:
        Its lines, in order; empty where there is none. Of a killed run the last line may be half written:
        it is left out.

    Example:
        >>> read_log(Path("no such folder"))
        []
    """
    path = folder / LOG_FILE
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines
