"""The results that a published comparison carries, read back."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from automl_meta.exceptions import StoreError

RESULTS = "results.parquet"
#: What makes a search unique within a comparison of one problem.
KEYS = ["task", "method", "seed"]


def read_results(folder: Path, needed: Sequence[str]) -> pd.DataFrame | None:
    """Read the trials of a published comparison.

    Args:
        folder: The report's folder.
        needed: Columns that must be there.

    Returns:
        One row a trial, or None where there are no results.

    Raises:
        StoreError: If they are damaged or lack a column.
    """
    path = folder / RESULTS
    if not path.exists():
        return None
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error)
    else:
        missing = [name for name in needed if name not in table]
        if not missing:
            return table
        reason = f"it lacks the columns {', '.join(missing)}"
    msg = f"Cannot read the results of a comparison from {path}: {reason}. Delete the file to run all again."
    raise StoreError(msg)
