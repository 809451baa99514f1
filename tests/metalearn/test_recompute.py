"""Recomputed inner steps give the same numbers and keep no graph of the steps before."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from automl_meta.metalearn import MAML, MAMLPlusPlus, MetaSGD, StepLoss, module_params
from automl_meta.metalearn.forward import folded
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import BatchLoss, mean_squared_error

KINDS = {
    "maml": MAML,
    "meta-sgd": MetaSGD,
    "maml++": MAMLPlusPlus,
}
T = 2


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = OrderedDict(
            conv=nn.Conv2d(1, 4, 3, padding=1),
            norm=BatchNorm(4),
            relu=nn.ReLU(),
            flatten=nn.Flatten(),
            head=nn.Linear(4 * 36, 1),
        )
        return Chain(layers).double()


def losses():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, T, 6, 1, 6, 6, generator=generator, dtype=torch.float64)
    y = torch.randn(3, T, 6, 1, generator=generator, dtype=torch.float64)
    forward = folded(network())
    first, second, query = (
        BatchLoss(forward, mean_squared_error, *pair) for pair in zip(x, y, strict=True)
    )
    return StepLoss(lambda step: first if step % 2 else second), query


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_meta_gradient_is_the_same(kind):
    kept, forgotten = (kind(0.05, 4, recompute=recompute) for recompute in (False, True))
    meta = kept.init(module_params(network()))
    loss, grads = kept.meta_gradients(meta, *losses(), T)
    same_loss, same = forgotten.meta_gradients(meta, *losses(), T)
    torch.testing.assert_close(same_loss, loss, rtol=1e-14, atol=0)
    assert same.keys() == grads.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(same[name], grad, rtol=1e-10, atol=1e-14)


def test_what_the_graph_holds_hardly_grows_with_the_steps(held):
    meta = MAML(0.05).init(module_params(network()))

    def kept(steps, recompute):
        support, _ = losses()
        held.now = held.peak = 0
        with held.counting():
            algorithm = MAML(0.05, steps, recompute=recompute)
            variables = {name: leaf.clone().requires_grad_() for name, leaf in meta.items()}
            adapted = algorithm.adapt(variables, support, T, create_graph=True)
            remaining = held.now
        assert all(leaf.requires_grad for leaf in adapted.values())
        return remaining

    assert kept(8, False) > 7 * kept(1, False)
    # Outside a recomputed step, the hooks of the caller see what is kept between steps: nothing.
    assert kept(8, True) < kept(1, False)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_steps_graph_is_made_again_in_the_backward_pass(recompute):
    support, query = losses()
    calls = []

    def counted(params):
        calls.append(1)
        return support(params)

    algorithm = MAML(0.05, 4, recompute=recompute)
    meta = algorithm.init(module_params(network()))
    variables = {name: leaf.clone().requires_grad_() for name, leaf in meta.items()}
    adapted = algorithm.adapt(variables, counted, T, create_graph=True)
    before = len(calls)
    query(adapted).sum().backward()
    assert len(calls) - before == (4 if recompute else 0)
