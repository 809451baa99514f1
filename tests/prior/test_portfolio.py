"""Starting points chosen among what past tasks know, for a task that is described."""

import numpy as np
import pytest

from automl_meta.prior.portfolio import Portfolio


def portfolio(rows):
    """Eight past tasks of two kinds: the first four need "left", the others "right"."""
    regrets = np.array([[0.0, 1.0]] * 4 + [[1.0, 0.0]] * 4)
    features = np.column_stack([rows, np.full(8, np.nan)])
    return Portfolio(({"side": "left"}, {"side": "right"}), regrets, features, ("rows", "never"))


@pytest.mark.parametrize("unknown", [None, 0, 7])
@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_past_task_without_a_feature_leaves_it_to_the_others(unknown, missing):
    rows = np.repeat([10.0, 1000.0], 4)
    if unknown is not None:
        rows[unknown] = missing
    made = portfolio(rows)
    for told, side in ((10.0, "left"), (1000.0, "right")):
        assert made.best(1, {"rows": told, "never": 1.0}) == [{"side": side}]


@pytest.mark.parametrize("features", [{}, {"never": 1.0}, {"other": 1.0}, {"rows": np.nan}])
def test_features_that_tell_nothing_change_nothing(features):
    made = portfolio(np.repeat([10.0, 1000.0], 4))
    assert made.best(2, features) == made.best(2)
