import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.a2c import LossWeights
from automl_meta.metarl.bandits import BernoulliBandits
from automl_meta.metarl.play import PolicyPlayer, n_inputs, play
from automl_meta.metarl.policy import Replayable
from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.setup import make_environment
from automl_meta.metarl.snail import SnailPolicy
from automl_meta.metarl.trial_run import TrialRun, meta_gradient
from automl_meta.training.device import computing_on

T, B, N_INPUTS = 7, 3, 5


def policy():
    return SnailPolicy(n_inputs=N_INPUTS, n_actions=2, steps=T, hidden=6)


def params_of(snail, seed=0):
    params = snail.init(torch.Generator().manual_seed(seed))
    # heads that say something: at first they are almost zero
    return {n: leaf.double() * (30 if n == "action" else 1) for n, leaf in params.items()}


def stepped(snail, params, inputs):
    state, found = snail.start(params, inputs.shape[1]), []
    for seen in inputs:
        logits, features, state = snail.step(params, seen, state)
        found.append((logits, features))
    return tuple(torch.stack(part) for part in zip(*found, strict=True))


def draw(seed=0):
    return torch.randn(
        T, B, N_INPUTS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def test_a_replay_says_what_the_steps_said():
    snail = policy()
    params, inputs = params_of(snail), draw()
    assert isinstance(snail, Replayable)
    for one, other in zip(
        snail.replay(params, inputs), stepped(snail, params, inputs), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_it_remembers_all_and_foresees_nothing():
    snail = policy()
    params, inputs = params_of(snail), draw()
    before, _ = snail.replay(params, inputs)
    for t in range(T):
        changed = inputs.clone()
        changed[t] += 1.0
        gap = (snail.replay(params, changed)[0] - before).abs().amax((1, 2))
        assert gap[:t].max() == 0 if t else True
        assert gap[t:].min() > 1e-9


def test_trials_do_not_know_of_one_another():
    snail = policy()
    params, inputs = params_of(snail), draw()
    whole, _ = snail.replay(params, inputs)
    for b in range(B):
        torch.testing.assert_close(
            snail.replay(params, inputs[:, b : b + 1])[0], whole[:, b : b + 1]
        )


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(1)
    first = policy().init(torch.Generator().manual_seed(3))
    torch.manual_seed(2)
    second = policy().init(torch.Generator().manual_seed(3))
    assert all(torch.equal(leaf, second[name]) for name, leaf in first.items())


def test_it_learns_to_stay_with_the_arm_that_pays():
    """Two arms, one pays always and one never: the best policy gets 3.5 of 4, chance 2."""
    generator = torch.Generator().manual_seed(0)
    bandits = BernoulliBandits(64, arms=2, pulls=4, generator=generator)
    tasks = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(32, 1)

    class Fixed:
        """The same bandits with these two tasks."""

        num_envs, steps = 64, 4
        single_observation_space = bandits.single_observation_space
        single_action_space = bandits.single_action_space
        step = staticmethod(bandits.step)

        @staticmethod
        def reset(**_):
            return bandits.reset(options={"tasks": tasks})

    snail = SnailPolicy(n_inputs(bandits), 2, steps=4, hidden=8)
    params = snail.init(generator)
    moments = {n: (torch.zeros_like(leaf), torch.zeros_like(leaf)) for n, leaf in params.items()}
    for k in range(1, 121):
        _, grads = meta_gradient(snail, params, Fixed, generator, LossWeights())
        for n, grad in grads.items():
            mean, square = moments[n]
            mean.lerp_(grad, 0.1)
            square.lerp_(grad.square(), 0.01)
            scale = (square / (1 - 0.99**k)).sqrt() + 1e-8
            params[n] = params[n] - 0.02 * mean / (1 - 0.9**k) / scale
    trials = play(PolicyPlayer(snail, params, generator, greedy=True), Fixed)
    assert trials.totals.mean() > 3.2


def test_a_policy_that_learns_in_short_trials_has_nothing_that_only_long_ones_would_use():
    settings = recipe("snail", "bandits", episodes=40, train_episodes=8, meta_batch=6, hidden=4)
    with computing_on("cpu", "float32", 1, where="test") as place:
        run = TrialRun.of(settings, place)
        params = run.policy.init(torch.Generator().manual_seed(0))
        _, grads = run.plain_gradient(params, 0.0)
    assert all(grad.abs().max() > 0 for grad in grads.values())
    long = make_environment(settings, 3, torch.Generator().manual_seed(0))
    player = PolicyPlayer(run.policy, params, torch.Generator().manual_seed(0))
    assert play(player, long).rewards.shape == (40, 3)


def test_sizes_that_make_no_policy_are_refused():
    with pytest.raises(InvalidParameterError, match="'steps' parameter of SnailPolicy"):
        SnailPolicy(n_inputs=3, n_actions=2, steps=1)
