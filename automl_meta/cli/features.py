"""A file of numbers that describe past tasks, for ``automl-meta train``."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from automl_meta.exceptions import InvalidParameterError

_FIRST = "study"


def read_features(path: Path, studies: Sequence[str]) -> dict[str, dict[str, float]]:
    """Read task features from a CSV: a first column ``study``, then a numeric column a feature.

    Args:
        path: The file; an empty cell is a number that is not known.
        studies: Names of the studies that are learned from.

    Returns:
        Study to names and numbers; those that are not known are left out.

    Raises:
        InvalidParameterError: If it cannot be read, has other columns, a study twice or one that is not learned from, or a
            cell that is no number.
    """
    try:
        # Spreadsheets begin their files with a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _refused(f"{path} ({error})", "Check the path and the encoding.") from error
    rows = [(line, row) for line, row in lines if any(row)]  # spreadsheets end in empty cells
    if not rows:
        raise _refused(f"{path}, which is empty", f"Begin it with a line {_FIRST},NAME,...")
    header = rows[0][1]
    if header[0] != _FIRST or len(header) == 1 or "" in header or len(set(header)) < len(header):
        remedy = f"Begin it with a line {_FIRST},NAME,..., each name once."
        raise _refused(f"the columns {', '.join(map(repr, header))}", remedy)
    return _described(header, rows[1:], path, studies)


def _described(
    header: Sequence[str], rows: Sequence[tuple[int, list[str]]], path: Path, studies: Sequence[str]
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for line, row in rows:
        if len(row) != len(header) or row[0] in found:
            shown = f"line {line} of {path}: {','.join(row)}"
            raise _refused(shown, f"Give each study one line of {len(header)} cells.")
        if row[0] not in studies:
            remedy = f"Describe studies that are learned from: {', '.join(studies)}."
            raise _refused(f"the study {row[0]!r} in line {line} of {path}", remedy)
        found[row[0]] = _numbers(header, row, f"line {line} of {path}")
    return found


def _numbers(header: Sequence[str], row: Sequence[str], place: str) -> dict[str, float]:
    known: dict[str, float] = {}
    for name, cell in zip(header[1:], row[1:], strict=True):
        if not cell:
            continue
        try:
            known[name] = float(cell)
        except ValueError:
            known[name] = math.nan
        if not math.isfinite(known[name]):
            raise _refused(f"{cell!r} for {name!r} in {place}", "Leave unknown cells empty.")
    return known


def _refused(found: str, remedy: str) -> InvalidParameterError:
    rule = f"a CSV with a first column {_FIRST!r} and one column of finite numbers a feature"
    return InvalidParameterError.of("features", "train", rule, found, remedy)
