import pytest
import torch

from automl_meta.training import adam_init, adam_update, clip_by_norm, global_norm


def test_equals_torch_adam_over_many_steps():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    reference = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([reference], lr=0.03)
    params = {"w": start}
    state = adam_init(params)
    for _ in range(30):
        grad = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        reference.grad = grad.clone()
        optimiser.step()
        params, state = adam_update(params, {"w": grad}, state, 0.03)
    torch.testing.assert_close(params["w"], reference.detach(), rtol=1e-12, atol=1e-14)
    assert state.updates == 30


def test_inputs_are_unchanged():
    params = {"w": torch.ones(2)}
    state = adam_init(params)
    adam_update(params, {"w": torch.ones(2)}, state, 0.1)
    assert torch.equal(params["w"], torch.ones(2))
    assert state.updates == 0
    assert torch.equal(state.first["w"], torch.zeros(2))


def test_clipping_scales_all_gradients_by_one_factor():
    grads = {"a": torch.tensor([3.0]), "b": torch.tensor([4.0])}
    clipped = clip_by_norm(grads, global_norm(grads), 1.0)
    assert clipped["a"].item() == pytest.approx(0.6)
    assert clipped["b"].item() == pytest.approx(0.8)
    same = clip_by_norm(grads, global_norm(grads), 10.0)
    assert torch.equal(same["a"], grads["a"])
    zero = {"a": torch.zeros(2)}
    assert torch.equal(clip_by_norm(zero, global_norm(zero), 1.0)["a"], zero["a"])
