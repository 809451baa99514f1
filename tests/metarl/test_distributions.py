"""Densities and divergences beside those of torch.distributions."""

import pytest
import torch
from torch import distributions as theirs

from automl_meta.metarl.distributions import Categorical, Normal


def pair(seed=0):
    rng = torch.Generator().manual_seed(seed)
    ours = [
        Normal(torch.randn(3, 4, 2, generator=rng), torch.randn(3, 1, 2, generator=rng))
        for _ in "ab"
    ]
    return ours, [theirs.Independent(theirs.Normal(d.mean, d.log_std.exp()), 1) for d in ours]


def test_normal():
    (a, b), (ta, tb) = pair()
    actions = a.draw(torch.Generator().manual_seed(1))
    assert torch.allclose(a.log_prob(actions), ta.log_prob(actions), atol=1e-5)
    assert torch.allclose(a.divergence(b), theirs.kl_divergence(ta, tb), rtol=1e-4)


def test_categorical():
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    a, b = Categorical(logits[0]), Categorical(logits[1])
    ta, tb = theirs.Categorical(logits=logits[0]), theirs.Categorical(logits=logits[1])
    actions = a.draw(torch.Generator().manual_seed(1))
    assert actions.shape == (3, 4)
    assert torch.allclose(a.log_prob(actions), ta.log_prob(actions), atol=1e-6)
    assert torch.allclose(a.divergence(b), theirs.kl_divergence(ta, tb), atol=1e-5)


def test_draws_have_the_right_moments_and_no_gradient():
    mean = torch.tensor([[1.0, -2.0]], requires_grad=True)
    drawn = Normal(mean.expand(20000, 2), torch.tensor([0.0, -1.0])).draw(
        torch.Generator().manual_seed(0)
    )
    assert not drawn.requires_grad
    assert drawn.mean(0).tolist() == pytest.approx([1, -2], abs=0.02)
    assert drawn.std(0).tolist() == pytest.approx([1, 0.368], abs=0.02)
