import pytest
import torch
from gymnasium.spaces import Box

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.direct_policy import PerceptronPolicy, perceptron_for


def own_params(policy, n_tasks):
    starts = [policy.init(torch.Generator().manual_seed(i)) for i in range(n_tasks)]
    return starts, {name: torch.stack([p[name] for p in starts]) for name in starts[0]}


def test_each_task_uses_its_own_parameters():
    policy = PerceptronPolicy(3, 2, hidden=5, bound=0.1)
    starts, params = own_params(policy, 4)
    seen = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(9))
    together = policy.actions(params, seen)
    for i, start in enumerate(starts):
        hidden = (seen[i] @ start["weight0"]).tanh()
        mean = 0.1 * ((hidden @ start["weight1"]).tanh() @ start["weight2"])
        assert torch.allclose(together.mean[i], mean, atol=1e-6)
    assert torch.allclose(together.log_std.exp(), torch.tensor(0.1))


def test_the_noise_has_a_floor():
    policy = PerceptronPolicy(1, 1, hidden=2, bound=0.1)
    _, params = own_params(policy, 1)
    params["log_std"] -= 100
    spread = policy.actions(params, torch.zeros(1, 1, 1)).log_std.exp()
    assert spread.item() == pytest.approx(0.001)


def test_an_action_space_decides():
    policy = perceptron_for(Box(-1, 1, (3,)), Box(-0.2, 0.2, (2,)), 7)
    assert (policy.n_inputs, policy.n_outputs, policy.hidden) == (3, 2, 7)
    assert policy.bound == pytest.approx(0.2)
    assert policy.describe()["parameters"] == (3 * 7 + 7) + (7 * 7 + 7) + (7 * 2 + 2) + 2
    with pytest.raises(InvalidParameterError, match="'hidden' parameter of PerceptronPolicy"):
        PerceptronPolicy(1, 1, hidden=0)
    with pytest.raises(InvalidParameterError, match="'bound' parameter of PerceptronPolicy"):
        PerceptronPolicy(1, 1, bound=0.0)
