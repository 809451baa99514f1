import torch

from automl_meta.metarl.play import PolicyPlayer, draw, n_actions, n_inputs, play
from automl_meta.metarl.policy import RecurrentPolicy


def player_of(environment, rng, **options):
    policy = RecurrentPolicy(n_inputs(environment), n_actions(environment), hidden=6)
    return PolicyPlayer(policy, policy.init(rng), rng, recording=True, **options)


def test_a_bandits_input_is_the_last_action_reward_and_end(make_bandits, rng):
    bandits = make_bandits(n=4, arms=3, pulls=4)
    assert n_inputs(bandits) == 5
    player = player_of(bandits, rng)
    trial = play(player, bandits)
    assert player.inputs[0].abs().sum() == 0
    for t in range(1, 4):
        for i in range(4):
            wanted = [0.0] * 5
            wanted[trial.actions[t - 1, i]] = 1.0
            wanted[3], wanted[4] = trial.rewards[t - 1, i].item(), 1.0
            assert player.inputs[t][i].tolist() == wanted


def test_a_processs_input_has_the_state_too(make_mdps, rng):
    mdps = make_mdps(n=4, states=3, actions=2, episodes=2, episode_steps=2)
    assert n_inputs(mdps) == 7
    player = player_of(mdps, rng)
    play(player, mdps)
    assert [row[:, :3].sum(1).tolist() for row in player.inputs] == [[1.0] * 4] * 4
    assert player.inputs[0][:, 0].tolist() == [1.0] * 4
    assert player.inputs[2][:, 0].tolist() == [1.0] * 4  # a new episode begins in state 0
    assert [row[0, 6].item() for row in player.inputs] == [0, 0, 1, 0]  # ends of episodes


def test_the_same_seeds_give_the_same_trials(make_bandits):
    def once():
        bandits = make_bandits(n=50)
        return play(player_of(bandits, torch.Generator().manual_seed(3)), bandits, seed=4)

    first, second = once(), once()
    assert torch.equal(first.actions, second.actions)
    assert torch.equal(first.rewards, second.rewards)
    assert torch.equal(first.totals, first.rewards.double().sum(0))


def test_actions_are_drawn_in_proportion(rng):
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1]])).expand(20000, 3)
    shares = torch.bincount(draw(logits, rng)) / 20000
    assert torch.allclose(shares, torch.tensor([0.7, 0.2, 0.1]), atol=0.012)


def test_greedy_takes_the_likeliest(make_bandits, rng):
    bandits = make_bandits(n=30)
    player = player_of(bandits, rng, greedy=True)
    trial = play(player, bandits)
    assert torch.equal(trial.actions, torch.stack(player.logits).argmax(-1))
