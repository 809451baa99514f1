"""Near duplicates never straddle a split."""

import numpy as np
import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.collect import record_of
from automl_meta.metadata.splits import task_folds


def test_copies_share_a_fold_and_folds_are_even(task_of):
    records = [record_of(task_of(f"t{i}", i, n=60 + 7 * i)) for i in range(10)]
    copy = record_of(task_of("another name", 3, n=81))
    groups, folds = task_folds([*records, copy], 5, seed=0)
    assert groups[10] == groups[3]
    assert folds[10] == folds[3]
    assert len(set(groups)) == 10
    assert np.bincount(folds).max() <= 3
    with pytest.raises(InvalidParameterError, match="n_folds"):
        task_folds(records, 1, seed=0)
