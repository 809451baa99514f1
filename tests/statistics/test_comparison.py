import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from automl_meta.exceptions import InvalidParameterError
from automl_meta.statistics import (
    WinsTiesLosses,
    bootstrap_interval,
    mean_ranks,
    wilcoxon,
    wins_ties_losses,
)


def test_mean_ranks_by_hand_with_ties():
    scores = pd.DataFrame(
        {"a": [0.9, 0.5, 0.7], "b": [0.8, 0.5, 0.9], "c": [0.1, 0.5, 0.8]}, index=["x", "y", "z"]
    )
    ranks = mean_ranks(scores)
    assert ranks.to_dict() == pytest.approx({"b": 5 / 3, "a": 2.0, "c": 7 / 3})
    assert list(ranks.index) == ["b", "a", "c"]
    assert ranks.mean() == pytest.approx(2.0)


def test_mean_ranks_refuses_missing_scores():
    with pytest.raises(InvalidParameterError, match="without missing values"):
        mean_ranks(pd.DataFrame({"a": [1.0, math.nan], "b": [1.0, 2.0]}))
    with pytest.raises(InvalidParameterError, match="non-empty"):
        mean_ranks(pd.DataFrame())


def test_wins_ties_losses_with_tolerance():
    ours, theirs = [1.0, 0.5, 0.50, 0.2], [0.5, 0.5, 0.51, 0.4]
    assert wins_ties_losses(ours, theirs) == WinsTiesLosses(1, 1, 2)
    assert wins_ties_losses(ours, theirs, tolerance=0.02) == WinsTiesLosses(1, 2, 1)
    with pytest.raises(InvalidParameterError, match="tolerance"):
        wins_ties_losses(ours, theirs, tolerance=math.nan)


def test_bootstrap_interval_matches_the_normal_one_on_many_tasks():
    rng = np.random.default_rng(0)
    theirs = rng.normal(size=400)
    ours = theirs + rng.normal(0.3, 1.0, size=400)
    interval = bootstrap_interval(ours, theirs, np.random.default_rng(1), resamples=4000)
    half = 1.96 * (ours - theirs).std() / math.sqrt(400)
    assert interval.mean == pytest.approx((ours - theirs).mean())
    assert interval.low == pytest.approx(interval.mean - half, abs=0.02)
    assert interval.high == pytest.approx(interval.mean + half, abs=0.02)
    wider = bootstrap_interval(ours, theirs, np.random.default_rng(1), level=0.99, resamples=4000)
    assert wider.low < interval.low < interval.high < wider.high


def test_bootstrap_interval_repeats_with_its_generator_and_pairs_tasks():
    ours, theirs = [1.0, 10.0, 100.0], [0.0, 9.0, 99.0]
    first = bootstrap_interval(ours, theirs, np.random.default_rng(2))
    assert first == bootstrap_interval(ours, theirs, np.random.default_rng(2))
    assert (first.low, first.high) == (1.0, 1.0)  # unpaired, the spread would be large


@pytest.mark.parametrize(
    "wrong", [{"level": 1.0}, {"level": 0}, {"resamples": 0}, {"resamples": 1.5}]
)
def test_bootstrap_interval_refuses_bad_settings(wrong):
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        bootstrap_interval([1.0], [0.0], np.random.default_rng(0), **wrong)


def test_wilcoxon_equals_scipy_without_ties():
    rng = np.random.default_rng(3)
    for n in (6, 11, 25):
        ours, theirs = rng.normal(0.4, 1, n), rng.normal(size=n)
        assert wilcoxon(ours, theirs) == pytest.approx(stats.wilcoxon(ours, theirs).pvalue)


def test_wilcoxon_with_ties_and_zeros_by_hand():
    assert wilcoxon([1.0, 2.0], [1.0, 2.0]) == 1.0
    # differences 1, 1, 1 after the zero is dropped: only all-plus and all-minus are as extreme
    assert wilcoxon([2, 2, 2, 5], [1, 1, 1, 5]) == pytest.approx(2 / 8)


@pytest.mark.parametrize("function", [wins_ties_losses, wilcoxon])
def test_unpaired_or_missing_values_are_refused(function):
    with pytest.raises(InvalidParameterError, match="one value per task"):
        function([1.0, 2.0], [1.0])
    with pytest.raises(InvalidParameterError, match="one value per task"):
        function([], [])
    with pytest.raises(InvalidParameterError, match="missing"):
        function([1.0, math.nan], [1.0, 2.0])
