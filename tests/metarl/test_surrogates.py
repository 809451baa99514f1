"""One decision between three actions: every expectation is a sum, every derivative known."""

import pytest
import torch
from torch.autograd.functional import hessian, jacobian

from automl_meta.metarl.surrogates import clipped_surrogate, log_surrogate, ratio_surrogate

REWARDS = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
THETA = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)


def expected_return(theta):
    return theta.softmax(0) @ REWARDS


def averaged(surrogate):
    """Return the surrogate as a function of theta, averaged over what THETA draws."""
    drawn, shares = THETA.log_softmax(0), THETA.softmax(0)
    return lambda theta: shares @ surrogate(theta.log_softmax(0), drawn, REWARDS)


def plain(logs, drawn, advantages):
    return log_surrogate(logs, advantages)


def clipped(logs, drawn, advantages):
    return clipped_surrogate(logs, drawn, advantages, clip=0.2)


def test_the_ratio_has_the_value_of_the_objective():
    assert averaged(ratio_surrogate)(THETA) == pytest.approx(expected_return(THETA).item())


@pytest.mark.parametrize("surrogate", [plain, ratio_surrogate, clipped])
def test_all_gradients_are_the_policy_gradient(surrogate):
    found = jacobian(averaged(surrogate), THETA)
    assert torch.allclose(found, jacobian(expected_return, THETA), atol=1e-12)


def test_only_the_ratio_has_the_second_derivative():
    true = hessian(expected_return, THETA)
    assert torch.allclose(hessian(averaged(ratio_surrogate), THETA), true, atol=1e-12)
    # What the plain one lacks is the mean of R grad log(pi) grad log(pi)^T.
    shares = THETA.softmax(0)
    scores = torch.eye(3, dtype=torch.float64) - shares  # row a: grad log pi(a)
    lacking = torch.einsum("a,ai,aj->ij", shares * REWARDS, scores, scores)
    found = hessian(averaged(plain), THETA)
    assert torch.allclose(found + lacking, true, atol=1e-12)
    assert lacking.norm() > 0.1


def test_the_clip_by_hand():
    """Ratios of 1.5 and .5: only what would gain beyond the clip is cut, and has no gradient there."""
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5], requires_grad=True)
    advantages = torch.tensor([2.0, -2.0, 2.0, -2.0])
    values = clipped_surrogate(ratio.log(), torch.zeros(4), advantages, clip=0.2)
    assert values.tolist() == pytest.approx([2.4, -3.0, 1.0, -1.6])
    (grads,) = torch.autograd.grad(values.sum(), ratio)
    assert grads.tolist() == pytest.approx([0, -2, 2, 0])
