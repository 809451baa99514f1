"""A task from a table of one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from automl_meta.exceptions import InvalidParameterError, TaskError
from automl_meta.tasks.assemble import ProblemWish, RawTask, assemble, require_columns
from automl_meta.tasks.columns import label_text
from automl_meta.tasks.reading import read_table
from automl_meta.tasks.task import Task


def table_task(  # noqa: PLR0913 - the options of a table, one to one
    path: str | Path,
    target: str | None,
    *,
    kind: ProblemWish | None = None,
    metric: str | None = None,
    ignore: Sequence[str] = (),
    test_file: str | Path | None = None,
    seed: int = 0,
    name: str | None = None,
    title: str | None = None,
    max_rows: int | None = None,
    header: bool = True,
) -> Task:
    r"""Load a task from a CSV, TSV, Parquet or ARFF file.

    Args:
        path: The file, optionally gzipped.
        target: Name of the target column; None means the last column of a file without names.
        kind: ``"classification"``, ``"regression"``, ``"binary"``, ``"multiclass"``, or None to decide by
            the metric and the target's values.
        metric: A scikit-learn scorer name, or None for the kind's default.
        ignore: Columns that are no features.
        test_file: A table with the same columns whose rows are the held-out part.
        seed: Seed of the generated split and of the sample.
        name: The task's name; by default the path as given.
        title: A readable name; by default the file's stem.
        max_rows: Keep a seeded, for classes stratified, sample of at most about this many rows.
        header: False for a CSV or TSV without a line of names.

    Returns:
        The task.

    Raises:
        InvalidParameterError: If the file, a column or the metric does not exist or fit.
        TaskError: If the file cannot be read or nothing can be learned from it.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "pets.csv"
        >>> _ = file.write_text("weight,pet\n" + "4,cat\n9,dog\n" * 20)
        >>> table_task(file, "pet").classes
        ('cat', 'dog')
    """
    path = Path(path)
    if max_rows is not None and max_rows < 20:
        raise InvalidParameterError.of(
            "max_rows", "table_task", "an int >= 20 or None", max_rows, "Try 1000."
        )
    table = read_table(path, header=header)
    target = _target_name(table, target, header=header)
    notes = tuple(table.attrs.get("notes", ()))
    fold = None
    if test_file is not None:
        n_train = len(table)
        table = _with_test_rows(table, read_table(test_file, header=header), target, ignore)
        fold = (np.arange(n_train), np.arange(n_train, len(table)), f"test file {test_file}")
    return assemble(
        RawTask(
            name=str(path) if name is None else name,
            title=title or path.name.split(".")[0],
            table=table,
            target=target,
            kind=kind,
            metric=metric,
            ignore=tuple(ignore),
            fold=fold,
            must_use_fold=True,
            seed=seed,
            max_rows=max_rows,
            provenance={"source": "file", "path": str(path)},
            notes=notes,
        )
    )


def _target_name(table: pd.DataFrame, target: str | None, *, header: bool) -> str:
    if target is not None:
        require_columns(table, [target], "target")
        return target
    if not header:
        return str(table.columns[-1])
    raise InvalidParameterError.of(
        "target",
        "fit",
        "a column of the table",
        None,
        f"Try --target {table.columns[-1]}, or another of its {len(table.columns)} columns.",
    )


def _with_test_rows(
    table: pd.DataFrame, test: pd.DataFrame, target: str, ignore: Sequence[str]
) -> pd.DataFrame:
    """Append the test rows; both tables must agree on columns and classes."""
    needed = [name for name in table.columns if name not in ignore]
    missing = [name for name in needed if name not in test.columns]
    if missing:
        msg = f"The test file lacks the column '{missing[0]}'. It needs all columns of the training table, the target included."
        raise TaskError(msg)
    if test[target].isna().all():
        msg = f"The test file has no known value of the target '{target}'. Use automl-meta predict for such rows."
        raise TaskError(msg)
    if not pd.api.types.is_numeric_dtype(table[target].dtype):
        known = {label_text(value) for value in table[target].dropna().unique()}
        new = [v for v in test[target].dropna().unique() if label_text(v) not in known]
        if new:
            msg = f"The test file has the class '{label_text(new[0])}', which the training table lacks. Remove those rows."
            raise TaskError(msg)
    parts = [table, test.reindex(columns=table.columns)]
    columns = {name: _stack(parts[0][name], parts[1][name]) for name in table.columns}
    return pd.DataFrame(columns)


def _stack(train: "pd.Series[Any]", test: "pd.Series[Any]") -> "pd.Series[Any]":
    """Concatenate, keeping declared categories declared though the two files list others."""
    if isinstance(train.dtype, pd.CategoricalDtype):
        joined = pd.concat([train.astype(object), test.astype(object)], ignore_index=True)
        return joined.astype("category")
    return pd.concat([train, test], ignore_index=True)
