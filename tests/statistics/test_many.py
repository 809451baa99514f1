import numpy as np
import pandas as pd
import pytest
from scipy import stats

from automl_meta.exceptions import InvalidParameterError
from automl_meta.statistics.many import bootstrap_statistics, critical_differences, holm


def test_holm_by_hand():
    # 4 x .005, then 3 x .01, then 2 x .03, never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_methods_that_differ_are_in_no_common_clique():
    rng = np.random.default_rng(0)
    base = rng.normal(size=30)
    table = pd.DataFrame(
        {"b": base + rng.normal(size=30) * 1e-3, "a": base + 1.0, "c": base, "d": base - 2.0}
    )
    found = critical_differences(table)
    assert next(iter(found.ranks)) == "a"
    assert found.cliques in ((("b", "c"),), (("c", "b"),))
    assert found.friedman == pytest.approx(
        stats.friedmanchisquare(*(table[c] for c in table)).pvalue
    )


def test_two_methods_have_no_friedman_test():
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]})
    found = critical_differences(table)
    assert found.friedman == 1.0
    assert found.cliques == (("a", "b"),)


def test_bootstrap_is_over_tasks():
    values = np.array([[0.0, 1.0], [1.0, 1.0], [0.5, 1.0]])
    found = bootstrap_statistics(values, np.random.default_rng(0))
    mean, low, high = found["mean"]
    assert mean.tolist() == [0.5, 1.0]
    assert low[0] < 0.5 < high[0]
    assert low[1] == high[1] == 1.0
    assert found["median"][0].tolist() == [0.5, 1.0]
    with pytest.raises(InvalidParameterError, match="one task"):
        bootstrap_statistics([], np.random.default_rng(0))
