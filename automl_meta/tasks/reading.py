"""Tables from disk: CSV, TSV, Parquet and ARFF, each optionally gzipped.

ARFF attributes with listed values become pandas ``category`` columns, which declares them categorical.
"""

import csv
import gzip
import io
import re
import zlib
from pathlib import Path
from typing import Any

import arff
import numpy as np
import pandas as pd

from automl_meta.exceptions import InvalidParameterError, TaskError
from automl_meta.tasks.columns import refuse_duplicates

FORMATS = (".csv", ".tsv", ".parquet", ".pq", ".arff")
_MISSING = ["?"]
_DECIMAL_COMMA = re.compile(r"(?:^|;)-?\d+,\d+(?:;|$)", re.MULTILINE)
_ARFF_DATE = re.compile(r"^(\s*@attribute\s+(?:'[^']*'|\"[^\"]*\"|\S+)\s+)date\b.*$", re.I | re.M)
_HEAD = 20_000


def read_table(path: str | Path, *, header: bool = True) -> pd.DataFrame:
    r"""Read a table.

    Args:
        path: A .csv, .tsv, .parquet or .arff file, each optionally with .gz.
        header: False for a CSV or TSV without a line of names; columns are then "0", "1", ...

    Returns:
        The table with text column names; ``?`` and empty cells are missing. Notes on how it was read
        are in ``attrs["notes"]``.

    Raises:
        InvalidParameterError: If the file does not exist or is of another format.
        TaskError: If it cannot be read, holds no rows, repeats a column name or is sparse.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "small.csv"
        >>> _ = file.write_text("a;b\n1,5;x\n2,0;?\n")
        >>> read_table(file)["a"].tolist()
        [1.5, 2.0]
    """
    path = Path(path)
    kind = table_format(path)
    if not path.is_file():
        raise InvalidParameterError.of(
            "task", "fit", "an existing file or openml:ID", str(path), "Check the path."
        )
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise TaskError(_unreadable(path, error)) from error
    if not content.strip():
        msg = f"{path} is empty. Name a file with a header and rows."
        raise TaskError(msg)
    if kind in {".parquet", ".pq"}:
        table = _read_parquet(content, path)
    elif kind == ".arff":
        table = _read_arff(content, path)
    else:
        table = _read_csv(content, path, "\t" if kind == ".tsv" else None, header=header)
    table.columns = pd.Index([str(name) for name in table.columns], dtype=object)
    refuse_duplicates(table.columns)
    if table.empty:
        msg = f"{path} holds no rows."
        raise TaskError(msg)
    return table


def table_format(path: Path) -> str:
    """Return the format of a table by its name, such as ``".csv"`` for ``x.csv.gz``.

    Args:
        path: Name of the file.

    Raises:
        InvalidParameterError: If the name ends otherwise.

    Example:
        >>> table_format(Path("x.arff.gz"))
        '.arff'
    """
    suffixes = [s.lower() for s in path.suffixes]
    kind = (
        suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else (suffixes or [""])[-1]
    )
    if kind in FORMATS:
        return kind
    raise InvalidParameterError.of(
        "task",
        "fit",
        "openml:ID, openml-data:ID or a .csv, .tsv, .parquet or .arff file",
        str(path),
        "Try --task openml:31, or --task table.csv --target COLUMN.",
    )


def _unreadable(path: Path, error: Exception) -> str:
    line = " ".join(str(error).split())[:160]
    return f"{path} cannot be read ({type(error).__name__}: {line}). Check the file."


def _decode(content: bytes) -> tuple[str, list[str]]:
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            return content.decode("utf-16"), ["The file was read as UTF-16."]
        return content.decode("latin-1"), ["The file is not UTF-8 and was read as Latin-1."]


def _read_parquet(content: bytes, path: Path) -> pd.DataFrame:
    import pyarrow as pa

    try:
        table = pd.read_parquet(io.BytesIO(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TaskError(_unreadable(path, error)) from error
    # An index that was written along is a column like any other; the default one is not.
    return table if isinstance(table.index, pd.RangeIndex) else table.reset_index()


def _read_csv(content: bytes, path: Path, delimiter: str | None, *, header: bool) -> pd.DataFrame:
    text, notes = _decode(content)
    first = text.lstrip().splitlines()[0]
    if delimiter is None:
        delimiter = max(",;\t|", key=first.count)
        if delimiter != "," and first.count(delimiter):
            notes.append(f"The cells of the file are separated by {delimiter!r}.")
    decimal = "," if delimiter == ";" and _DECIMAL_COMMA.search(text[:_HEAD]) else "."
    try:
        if header:
            names = next(csv.reader(io.StringIO(text), delimiter=delimiter))
            refuse_duplicates(name for name in names if name)
        table = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            decimal=decimal,
            header=0 if header else None,
            na_values=_MISSING,
            skipinitialspace=True,
            low_memory=False,
            index_col=False,
            on_bad_lines="error",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, ValueError) as error:
        if isinstance(error, TaskError):
            raise
        raise TaskError(_unreadable(path, error)) from error
    table.attrs["notes"] = tuple(notes)
    return table


def _read_arff(content: bytes, path: Path) -> pd.DataFrame:
    text, notes = _decode(content)
    start = re.search(r"^\s*@data\b.*$", text, re.I | re.M)
    if start is None:
        msg = f"{path} has no @DATA line, so it is no ARFF file or only the beginning of one."
        raise TaskError(msg)
    body = text[start.end() :]
    first_row = re.search(r"^\s*([^%\s].*)$", body, re.M)
    if first_row and first_row.group(1).startswith("{"):
        msg = f"{path} is sparse ARFF, which is not supported. Convert it to a dense table."
        raise TaskError(msg)
    # The reader knows no date attributes: as strings they are recognised later like any date.
    head = _ARFF_DATE.sub(r"\1STRING", text[: start.end()])
    try:
        document: dict[str, Any] = arff.loads(head + body)
    except (arff.ArffException, ValueError, StopIteration) as error:
        raise TaskError(_unreadable(path, error)) from error
    names = [name for name, _ in document["attributes"]]
    refuse_duplicates(names)
    rows = document["data"]
    table = pd.DataFrame(
        {
            name: _arff_column([row[i] for row in rows], kind)
            for i, (name, kind) in enumerate(document["attributes"])
        }
    )
    table.attrs["notes"] = tuple(notes)
    return table


def _arff_column(values: list[Any], kind: str | list[str]) -> "pd.Series[Any]":
    if isinstance(kind, list):
        return pd.Series(pd.Categorical(values, categories=list(dict.fromkeys(kind))))
    if kind.upper() in {"NUMERIC", "REAL", "INTEGER"}:
        return pd.Series(np.array(values, dtype=np.float64))
    return pd.Series([np.nan if v is None else v for v in values], dtype=object)
