import math

import numpy as np
import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.statistics import incumbent, normalised_regret


def test_incumbent_skips_failures_along_the_last_axis():
    curve = incumbent([[0.2, math.nan, 0.5, 0.1], [math.nan, math.nan, -1.0, -0.5]])
    np.testing.assert_array_equal(curve, [[0.2, 0.2, 0.5, 0.5], [math.nan, math.nan, -1.0, -0.5]])


def test_incumbent_refuses_a_scalar():
    with pytest.raises(InvalidParameterError, match="one or more dimensions"):
        incumbent(0.5)


def test_regret_is_clipped_broadcast_and_one_where_nothing_succeeded():
    scores = np.array([[0.4, 0.8, 1.1], [math.nan, -5.0, -20.0]])
    regret = normalised_regret(scores, best=[[1.0], [0.0]], worst=[[0.5], [-10.0]])
    np.testing.assert_allclose(regret, [[1.0, 0.4, 0.0], [1.0, 0.5, 1.0]])


def test_regret_of_a_task_where_all_scores_agree_is_zero():
    assert normalised_regret([0.7, 0.7], best=0.7, worst=0.7).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("best", "worst"), [(0.5, 0.6), (math.nan, 0.0), (math.inf, 0.0)])
def test_regret_refuses_a_bad_range(best, worst):
    with pytest.raises(InvalidParameterError, match="greater is better"):
        normalised_regret([0.5], best=best, worst=worst)
