import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import ANIL, MAML, expand

T = 3  # tasks of the family fixture


def test_only_the_head_adapts_and_the_body_learns(family):
    anil = ANIL(0.1, 3, head="second")
    meta = anil.init(family.params)
    adapted = anil.adapt(meta, family.support, T)
    start = expand(family.params, T)
    assert torch.equal(adapted["first"], start["first"])
    assert torch.equal(adapted["bias"], start["bias"])
    assert (adapted["second"] - start["second"]).abs().min() > 1e-4
    _, grads = anil.meta_gradients(meta, family.support, family.query, T)
    assert all(grad.abs().max() > 1e-3 for grad in grads.values())


def test_the_bodys_gradient_runs_through_the_inner_loop(family):
    anil = ANIL(0.1, 3, head="second")
    meta = anil.init(family.params)
    _, grads = anil.meta_gradients(meta, family.support, family.query, T)
    adapted = {k: v.requires_grad_() for k, v in anil.adapt(meta, family.support, T).items()}
    direct = torch.autograd.grad(family.query(adapted).mean(), adapted["first"])[0].sum(dim=0)
    assert (grads["weights.first"] - direct).abs().max() > 1e-3


def test_with_every_parameter_in_the_head_it_is_maml(family):
    anil, maml = ANIL(0.1, 2, head=("first", "bias", "second")), MAML(0.1, 2)
    meta = maml.init(family.params)
    ours = anil.meta_gradients(meta, family.support, family.query, T)
    theirs = maml.meta_gradients(meta, family.support, family.query, T)
    assert torch.equal(ours[0], theirs[0])
    assert all(torch.equal(ours[1][name], theirs[1][name]) for name in meta)


def test_adapting_does_not_wait_for_a_graph(family):
    anil = ANIL(0.1, head="second")
    meta = {name: leaf.requires_grad_() for name, leaf in anil.init(family.params).items()}
    assert not any(leaf.requires_grad for leaf in anil.adapt(meta, family.support, T).values())


def test_a_head_that_is_not_there_is_refused(family):
    with pytest.raises(InvalidParameterError, match="head"):
        ANIL(0.1).init(family.params)
    with pytest.raises(InvalidParameterError, match="head"):
        ANIL(0.1, head="sec").init(family.params)  # a part of a name is not a name
