import math

import pytest
import torch

from automl_meta.metarl.baselines import (
    BANDIT_RULES,
    Counts,
    IndexPlayer,
    gittins,
    greedy,
    thompson,
    tuned_ucb1,
    ucb1,
)
from automl_meta.metarl.play import play


def counts(wins, losses, left=10):
    return Counts(torch.tensor([wins]).float(), torch.tensor([losses]).float(), left)


def test_greedy_is_the_expected_probability(rng):
    assert greedy(counts([1, 0], [0, 3]), rng)[0].tolist() == pytest.approx([2 / 3, 1 / 5])


def test_ucb1_by_hand(rng):
    assert ucb1(counts([3, 0, 0], [1, 2, 0]), rng)[0].tolist() == pytest.approx(
        [0.75 + math.sqrt(2 * math.log(6) / 4), math.sqrt(2 * math.log(6) / 2), math.inf]
    )


def test_tuned_ucb1_by_hand(rng):
    index = tuned_ucb1(0.5)(counts([3, 0], [1, 2]), rng)
    assert index[0].tolist() == pytest.approx(
        [4 / 6 + 0.5 * math.sqrt(2 * math.log(7) / 6), 1 / 4 + 0.5 * math.sqrt(2 * math.log(7) / 4)]
    )


def test_thompson_draws_from_the_posterior(rng):
    many = Counts(torch.tensor([[3.0, 0.0]]).expand(20000, 2), torch.zeros(20000, 2), 10)
    drawn = thompson(many, rng)
    assert drawn.mean(0).tolist() == pytest.approx([0.8, 0.5], abs=0.01)
    assert drawn.var(0).tolist() == pytest.approx(
        [4 / 150, 1 / 12], abs=0.003
    )  # Beta(4, 1), (1, 1)


def test_gittins_looks_up_wins_losses_and_pulls_left(rng):
    index = gittins(counts([0, 0], [0, 0], left=2), rng)
    assert index[0].tolist() == pytest.approx([5 / 9, 5 / 9], abs=1e-4)
    index = gittins(counts([1, 0], [0, 1], left=1), rng)
    assert index[0].tolist() == pytest.approx([2 / 3, 1 / 3], abs=1e-4)


def test_ties_are_broken_evenly(make_bandits, rng):
    bandits = make_bandits(n=9000, arms=3, pulls=1)
    shares = torch.bincount(play(IndexPlayer(greedy, rng), bandits).actions[0]) / 9000
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.02)


def test_a_player_counts_what_it_sees(make_bandits, rng):
    bandits = make_bandits(n=1, arms=2, pulls=6)
    seen = []

    def recorded(now, generator):
        seen.append((now.wins[0].tolist(), now.losses[0].tolist(), now.left))
        return greedy(now, generator)

    player = IndexPlayer(recorded, rng)
    trial = play(player, bandits)
    assert seen[0] == ([0, 0], [0, 0], 6)
    for t in range(1, 6):
        before = trial.actions[:t, 0], trial.rewards[:t, 0]
        won = [before[1][before[0] == arm].sum().item() for arm in (0, 1)]
        lost = [(1 - before[1][before[0] == arm]).sum().item() for arm in (0, 1)]
        assert seen[t] == (won, lost, 6 - t)


def test_rules_rank_as_theory_says(make_bandits):
    """On bandits of five arms and 50 pulls the index is best, and all beat chance (25)."""
    totals = {}
    for name, rule in BANDIT_RULES.items():
        bandits = make_bandits(n=3000, arms=5, pulls=50)
        player = IndexPlayer(rule, torch.Generator().manual_seed(1))
        totals[name] = play(player, bandits, seed=2).totals.mean().item()
    assert totals["random"] == pytest.approx(25, abs=0.5)
    assert max(totals, key=totals.get) == "gittins"
    assert totals["thompson"] > totals["random"] + 8
    assert totals["ucb1-tuned"] > totals["ucb1"] > totals["random"] + 4
