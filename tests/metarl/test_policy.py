import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.policy import RecurrentPolicy


def test_a_step_is_pytorchs_gated_recurrent_unit(rng):
    policy = RecurrentPolicy(n_inputs=4, n_actions=3, hidden=5)
    params = policy.init(rng)
    for name in ("input_bias", "recurrent_bias", "action_bias"):
        params[name] = torch.randn(params[name].shape, generator=rng)
    cell = torch.nn.GRUCell(4, 5)
    with torch.no_grad():
        for theirs, ours in (
            (cell.weight_ih, "input"),
            (cell.weight_hh, "recurrent"),
            (cell.bias_ih, "input_bias"),
            (cell.bias_hh, "recurrent_bias"),
        ):
            theirs.copy_(params[ours])
    inputs, before = torch.randn(7, 4, generator=rng), torch.randn(7, 5, generator=rng)
    logits, features, (after,) = policy.step(params, inputs, (before,))
    assert torch.allclose(after, cell(inputs, before), atol=1e-6)
    assert torch.equal(features, after)
    assert torch.allclose(logits, after @ params["action"].T + params["action_bias"], atol=1e-6)


def test_the_initial_weights(rng):
    params = RecurrentPolicy(n_inputs=4, n_actions=3, hidden=8).init(rng)
    for block in params["recurrent"].chunk(3):
        assert torch.allclose(block @ block.T, torch.eye(8), atol=1e-5)
    assert torch.allclose(params["action"] @ params["action"].T, 1e-4 * torch.eye(3), atol=1e-8)
    assert params["input_bias"].chunk(3)[1].tolist() == [1.0] * 8
    again = RecurrentPolicy(n_inputs=4, n_actions=3, hidden=8).init(
        torch.Generator().manual_seed(0)
    )
    assert all(torch.equal(params[name], again[name]) for name in params)


def test_trials_do_not_touch_one_another(rng):
    policy = RecurrentPolicy(n_inputs=4, n_actions=3, hidden=5)
    params, inputs = policy.init(rng), torch.randn(6, 4, generator=rng)
    together = policy.step(params, inputs, policy.start(params, 6))[0]
    for i in range(6):
        alone = policy.step(params, inputs[i : i + 1], policy.start(params, 1))[0]
        assert torch.allclose(alone[0], together[i], atol=1e-6)


def test_the_description_counts_parameters():
    described = RecurrentPolicy(n_inputs=4, n_actions=3, hidden=5).describe()
    # gates 15 * (4 + 5 + 2), actions 3 * 6, value 6
    assert described["parameters"] == 165 + 18 + 6


def test_wrong_sizes_are_refused():
    with pytest.raises(InvalidParameterError, match="'hidden' parameter of RecurrentPolicy"):
        RecurrentPolicy(n_inputs=4, n_actions=3, hidden=0)
