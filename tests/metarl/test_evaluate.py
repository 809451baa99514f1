import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.bandits import BernoulliBandits
from automl_meta.metarl.baselines import IndexPlayer, greedy, uniform
from automl_meta.metarl.evaluate import evaluate
from automl_meta.metarl.mdps import TabularMDPs
from automl_meta.metarl.planning import PlanningPlayer, at_random
from automl_meta.statistics import half_interval


def bandits(n, generator):
    return BernoulliBandits(n, arms=3, pulls=6, generator=generator)


def judged(index, trials=250, seed=0, batch=100):
    player = IndexPlayer(index, torch.Generator().manual_seed(9))
    rng = torch.Generator().manual_seed(seed)
    return evaluate(player, bandits, trials=trials, episodes=6, generator=rng, batch=batch)


def test_an_outcome_adds_up():
    outcome = judged(uniform)
    assert outcome.totals.shape == (250,)
    assert outcome.rewards.shape == outcome.regrets.shape == (6,)
    assert outcome.rewards.sum().item() == pytest.approx(outcome.mean)
    assert outcome.mean == pytest.approx(3, abs=0.4)
    assert outcome.expected == pytest.approx(outcome.mean, abs=0.4)
    assert outcome.regrets.sum().item() == pytest.approx(6 * 0.25, abs=0.3)  # best of three: 3/4


def test_every_method_gets_the_same_tasks_and_luck():
    """Two equal rules, of which the second draws before it acts, play the same trials."""

    def distracted(counts, generator):
        torch.rand(5, generator=generator)
        return 0 * counts.wins + torch.tensor([0.0, 1.0, 0.0])

    def plain(counts, generator):
        return 0 * counts.wins + torch.tensor([0.0, 1.0, 0.0])

    first, second = judged(distracted), judged(plain)
    assert torch.equal(first.totals, second.totals)
    assert not torch.equal(first.totals, judged(plain, seed=1).totals)


def test_rewards_of_an_episode_are_added():
    def mdps(n, generator):
        return TabularMDPs(n, states=3, actions=2, episodes=4, episode_steps=5, generator=generator)

    outcome = evaluate(
        PlanningPlayer(at_random, torch.Generator()),
        mdps,
        trials=300,
        episodes=4,
        generator=torch.Generator(),
    )
    assert outcome.regrets is None
    assert outcome.rewards.shape == (4,)
    assert outcome.rewards.tolist() == pytest.approx([5] * 4, abs=0.8)


def test_the_interval_is_that_of_the_totals():
    outcome = judged(greedy)
    assert outcome.interval95 == pytest.approx(half_interval(outcome.totals.tolist()))


def test_what_is_expected_is_what_the_best_arms_pay_less_the_regret():
    outcome, best = judged(greedy, batch=250), bandits(250, torch.Generator().manual_seed(0))
    best.reset()
    wanted = 6 * best.tasks.amax(1).mean().item() - outcome.regrets.sum().item()
    assert outcome.expected == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", ["trials", "batch"])
def test_wrong_numbers_are_refused(name):
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of evaluate"):
        judged(uniform, **{name: 0})
