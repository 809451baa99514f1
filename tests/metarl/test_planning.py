import pytest
import torch

from automl_meta.metarl.environment import Transition
from automl_meta.metarl.mdps import TabularTasks
from automl_meta.metarl.planning import MDP_RULES, Beliefs, PlanningPlayer, expected, informed, plan
from automl_meta.metarl.play import play


def chain():
    """Two states: action 0 stays and brings 1; action 1 goes from 0 to 1 for nothing, where staying brings 3."""
    rewards = torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])
    transitions = torch.zeros(1, 2, 2, 2)
    transitions[0, 0, 0, 0] = transitions[0, 0, 1, 1] = 1
    transitions[0, 1, 0, 1] = transitions[0, 1, 1, 0] = 1
    return TabularTasks(rewards, transitions)


def test_a_plan_by_hand():
    values = plan(chain(), 3)[:, 0, 0]  # of state 0
    assert values.tolist() == [[1 + 3, 3 + 3], [1 + 1, 3], [1, 0]]


def test_the_informed_player_follows_the_best_plan(make_mdps, rng):
    mdps = make_mdps(n=2000, states=2, actions=2, episodes=1, episode_steps=3)
    tasks = TabularTasks(*(leaf.expand(2000, *leaf.shape[1:]) for leaf in vars(chain()).values()))
    mdps._drawn = lambda: tasks
    trial = play(PlanningPlayer(informed, rng), mdps)
    assert trial.actions[:, 0].tolist() == [1, 0, 0]
    assert trial.totals.mean().item() == pytest.approx(6, abs=0.15)


def test_beliefs_by_hand():
    none = Beliefs(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2))
    assert none.mean().rewards.unique().tolist() == [1]
    assert none.mean().transitions.unique().tolist() == [0.5]
    step = Transition(*(torch.tensor([v]) for v in (0, 1, 4.0, 1, True)))
    known = none.seen(step).seen(step).mean()
    assert known.rewards[0, 0, 1].item() == pytest.approx((1 + 8) / 3)
    assert known.transitions[0, 0, 1].tolist() == pytest.approx([1 / 4, 3 / 4])
    assert known.rewards[0, 1, 1].item() == 1


def test_posterior_draws_have_the_posterior_mean(rng):
    visits = torch.zeros(20000, 1, 1, 2)
    visits[..., 0] = 3
    drawn = Beliefs(visits, torch.full((20000, 1, 1), 5.0)).draw(rng)
    assert drawn.rewards.mean().item() == pytest.approx(6 / 4, abs=0.02)
    assert drawn.rewards.var().item() == pytest.approx(1 / 4, abs=0.01)
    assert drawn.transitions.mean(0).flatten().tolist() == pytest.approx([0.8, 0.2], abs=0.01)


def test_rules_rank_as_theory_says(make_mdps):
    totals = {}
    for name, rule in MDP_RULES.items():
        mdps = make_mdps(n=300, states=4, actions=3, episodes=15, episode_steps=5)
        player = PlanningPlayer(rule, torch.Generator().manual_seed(1))
        totals[name] = play(player, mdps, seed=4).totals.mean().item()
    assert totals["random"] == pytest.approx(75, abs=4)
    assert max(totals, key=totals.get) == "informed"
    assert min(totals["psrl"], totals["greedy"]) > totals["random"] + 20


def test_greedy_plans_in_the_expected_process(make_mdps, rng):
    mdps = make_mdps(n=1, states=2, actions=2, episodes=1, episode_steps=2)
    none = Beliefs(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2))
    assert expected(mdps, none, rng).shape == (2, 1, 2, 2)
    assert expected(mdps, none, rng)[0].unique().tolist() == [2]
