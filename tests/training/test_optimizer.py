import pytest
import torch

from automl_meta.training import (
    TrainingSettings,
    clip_by_norm,
    global_norm,
    optimizer_init,
    optimizer_update,
)

OPTIMIZERS = {
    "adam": (torch.optim.Adam, {}),
    "adam, decayed": (torch.optim.Adam, {"weight_decay": 0.2}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.2}),
    "adamw, no decay": (torch.optim.AdamW, {"weight_decay": 0.0}),
    "sgd": (torch.optim.SGD, {}),
    "sgd, momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "sgd, both": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.2}),
}


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_equals_torch_over_many_steps(case):
    kind, options = OPTIMIZERS[case]
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    reference = torch.nn.Parameter(start.clone())
    theirs = kind([reference], lr=0.03, **options)
    params = {"w": start}
    settings = TrainingSettings(steps=1, optimizer=case.split(",")[0], **options)
    state = optimizer_init(params, settings)
    for _ in range(30):
        grad = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        reference.grad = grad.clone()
        theirs.step()
        params, state = optimizer_update(params, {"w": grad}, state, 0.03, settings)
    torch.testing.assert_close(params["w"], reference.detach(), rtol=1e-12, atol=1e-14)
    assert state.updates == 30


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_inputs_are_unchanged(name):
    settings = TrainingSettings(steps=1, optimizer=name, momentum=0.5, weight_decay=0.1)
    params, grads = {"w": torch.ones(2)}, {"w": torch.ones(2)}
    state = optimizer_init(params, settings)
    optimizer_update(params, grads, state, 0.1, settings)
    assert torch.equal(params["w"], torch.ones(2))
    assert torch.equal(grads["w"], torch.ones(2))
    assert state.updates == 0
    assert torch.equal(state.first["w"], torch.zeros(2))


def test_plain_descent_remembers_nothing():
    state = optimizer_init({"w": torch.ones(2)}, TrainingSettings(steps=1, optimizer="sgd"))
    assert (state.first, state.second) == ({}, {})


def test_clipping_scales_all_gradients_by_one_factor():
    grads = {"a": torch.tensor([3.0]), "b": torch.tensor([4.0])}
    clipped = clip_by_norm(grads, global_norm(grads), 1.0)
    assert clipped["a"].item() == pytest.approx(0.6)
    assert clipped["b"].item() == pytest.approx(0.8)
    same = clip_by_norm(grads, global_norm(grads), 10.0)
    assert torch.equal(same["a"], grads["a"])
    zero = {"a": torch.zeros(2)}
    assert torch.equal(clip_by_norm(zero, global_norm(zero), 1.0)["a"], zero["a"])
