"""Greedy selection: it finds what averages well, never ends below the best candidate, keeps its limits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl_meta.evaluation import greedy_selection


def candidates(seed, m=6, n=40):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, 1))
    noise = rng.uniform(0.5, 1.5, size=m)
    return truth, [truth + scale * rng.normal(size=(n, 1)) for scale in noise]


def rmse(truth):
    return lambda output: -float(np.sqrt(np.mean((output - truth) ** 2)))


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_never_below_the_best_alone_and_within_its_limits(seed, rounds, members):
    truth, outputs = candidates(seed)
    score = rmse(truth)
    chosen = greedy_selection(outputs, score, rounds=rounds, members=members)
    alone = [score(output) for output in outputs]
    assert chosen.single == int(np.argmax(alone))
    assert chosen.single_score == max(alone)
    assert chosen.score >= chosen.single_score
    assert sum(chosen.counts) <= rounds
    assert 1 <= len(chosen.weights) <= members
    assert sum(chosen.weights.values()) == pytest.approx(1.0)
    blend = sum(share * outputs[i] for i, share in chosen.weights.items())
    assert chosen.score == pytest.approx(score(blend))


def test_members_that_err_differently_beat_the_best_one():
    truth, outputs = candidates(3)
    chosen = greedy_selection(outputs, rmse(truth), rounds=25, members=6)
    assert chosen.score > chosen.single_score + 0.05
    shares = list(chosen.weights.values())
    assert shares == sorted(shares, reverse=True)


def test_repetition_gives_weights_that_a_plain_average_cannot():
    truth = np.linspace(-1, 1, 20)[:, None]
    outputs = [truth + 0.1, truth - 0.3]  # three parts of the first, one of the second
    chosen = greedy_selection(outputs, rmse(truth), rounds=12, members=2)
    assert chosen.weights == {0: 0.75, 1: 0.25}
    assert chosen.score == pytest.approx(0.0, abs=1e-12)


def test_the_best_alone_wins_a_tie():
    truth, outputs = candidates(0, m=1)
    chosen = greedy_selection([outputs[0], outputs[0].copy()], rmse(truth), rounds=9, members=2)
    assert chosen.counts == (1, 0)
    perfect = greedy_selection([truth, outputs[0]], rmse(truth), rounds=9, members=2)
    assert perfect.counts == (1, 0)


def test_an_average_whose_score_is_undefined_is_never_chosen():
    outputs = [np.full((4, 1), value) for value in (1.0, 2.0)]
    allowed = {1.0: 0.5, 2.0: 0.4}
    chosen = greedy_selection(
        outputs, lambda p: allowed.get(float(p[0, 0]), -np.inf), rounds=5, members=2
    )
    assert chosen.counts == (1, 0)


def test_two_rounds_agree_with_looking_at_every_pair():
    """Greedy's second step is exhaustive over partners of its start."""
    truth, outputs = candidates(8)
    score = rmse(truth)
    best = int(np.argmax([score(output) for output in outputs]))
    pairs = [score((outputs[best] + output) / 2) for output in outputs]
    chosen = greedy_selection(outputs, score, rounds=2, members=2)
    second = int(np.argsort([-score(output) for output in outputs])[1])
    assert chosen.score >= min(max(pairs), pairs[second])
    every = max(score((a + b) / 2) for a, b in itertools.combinations_with_replacement(outputs, 2))
    assert chosen.score <= every + 1e-12
