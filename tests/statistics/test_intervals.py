import math

import numpy as np
import pytest

from automl_meta.statistics import half_interval


def test_the_half_interval_of_known_values():
    assert half_interval([1.0, 2.0, 3.0, 4.0]) == pytest.approx(1.96 * math.sqrt(5 / 3) / 2)
    assert half_interval([2.0, 2.0]) == 0.0


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.inf], [1.0, math.nan, 2.0]])
def test_one_value_or_an_infinite_one_has_no_interval(values):
    assert math.isnan(half_interval(values))


def test_nineteen_of_twenty_intervals_hold_the_mean():
    draws = np.random.default_rng(0).exponential(size=(2000, 200))
    hits = [abs(row.mean() - 1.0) <= half_interval(row) for row in draws]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)
