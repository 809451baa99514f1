import pytest
import torch
from torch import nn
from torch.func import functional_call

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import MAML, module_params, vectorize


def squared(forward, x, y):
    return (forward(x) - y).square().mean()


def network(norm: nn.Module) -> nn.Module:
    # Seeded: a group of two nearly equal values bends so sharply that a difference quotient is off.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), norm, nn.Tanh(), nn.Linear(4, 1)).double()


@pytest.fixture
def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, 7, 3, generator=generator, dtype=torch.float64)
    return x, torch.randn(5, 7, 1, generator=generator, dtype=torch.float64)


def test_equals_calling_the_module_on_every_task(data):
    x, y = data
    module = network(nn.LayerNorm(4))
    params = {
        name: torch.stack([leaf * (1 + 0.1 * t) for t in range(5)])
        for name, leaf in module_params(module).items()
    }
    losses = vectorize(module, squared, x, y)(params)
    for t in range(5):
        own = {name: leaf[t] for name, leaf in params.items()}
        expected = (functional_call(module, own, (x[t],)) - y[t]).square().mean()
        torch.testing.assert_close(losses[t], expected, rtol=1e-12, atol=0)
    chunked = vectorize(module, squared, x, y, chunk_size=2)(params)
    torch.testing.assert_close(chunked, losses, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "norm",
    [
        nn.LayerNorm(4),
        nn.GroupNorm(2, 4),
        nn.BatchNorm1d(4, affine=False, track_running_stats=False),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_second_order_gradient_through_vmap_equals_finite_differences(norm, data):
    x, y = data
    module = network(norm)
    loss = vectorize(module, squared, x, y)
    maml = MAML(0.3, 2)
    meta = maml.init(module_params(module))
    _, grads = maml.meta_gradients(meta, loss, loss, 5)
    name, leaf = "weights.0.weight", meta["weights.0.weight"]
    for entry in range(0, leaf.numel(), 3):
        nudge = torch.zeros_like(leaf)
        nudge.view(-1)[entry] = 1e-6
        up, down = (
            loss(maml.adapt(meta | {name: leaf + sign * nudge}, loss, 5)).mean() for sign in (1, -1)
        )
        slope = ((up - down) / 2e-6).item()
        assert grads[name].view(-1)[entry].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False)], ids=["affine", "running"]
)
def test_batch_norm_is_refused_by_name(norm, data):
    with pytest.raises(InvalidParameterError, match=r"BatchNorm1d at '1'.*affine=False"):
        vectorize(network(norm), squared, *data)


def test_data_of_unequal_task_axes_is_refused(data):
    x, y = data
    with pytest.raises(InvalidParameterError, match="leading number of tasks"):
        vectorize(network(nn.Identity()), squared, x, y[:2])
    with pytest.raises(InvalidParameterError, match="leading number of tasks"):
        vectorize(network(nn.Identity()), squared)
