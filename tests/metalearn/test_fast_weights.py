"""What makes fast weights, against autograd and numbers worked out by hand."""

import math

import pytest
import torch
from torch.nn import functional

from automl_meta.metalearn.fast_weights import augmented, item_gradients, preprocessed, with_one


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_gradients_of_each_item_are_those_of_autograd():
    x, labels = drawn(2, 3, 4), torch.tensor([[0, 2, 1], [1, 1, 0]])
    hidden, output = drawn(5, 5, seed=1), drawn(3, 6, seed=2)
    ours = item_gradients(x, labels, hidden, output)
    assert [part.shape for part in ours] == [(2, 3, 5, 5), (2, 3, 3, 6)]
    for t in range(2):
        for i in range(3):
            leaves = [leaf.clone().requires_grad_() for leaf in (hidden, output)]
            logits = leaves[1] @ with_one((leaves[0] @ with_one(x[t, i])).relu())
            loss = functional.cross_entropy(logits, labels[t, i])
            for mine, theirs in zip(ours, torch.autograd.grad(loss, leaves), strict=True):
                torch.testing.assert_close(mine[t, i], theirs)


def test_gradients_by_hand():
    """One unit that is on, two classes, no output weights: the errors are minus and plus one half."""
    hidden, output = torch.tensor([[2.0, 1.0]]), torch.tensor([[0.0, 0.0], [4.0, -12.0]])
    of_hidden, of_output = item_gradients(torch.ones(1, 1, 1), torch.tensor([[0]]), hidden, output)
    # z = 3, logits 0 and 4 * 3 - 12 = 0; what comes back to z is -1/2 * 0 + 1/2 * 4.
    assert of_output[0, 0].tolist() == [[-1.5, -0.5], [1.5, 0.5]]
    assert of_hidden[0, 0].tolist() == [[2.0, 2.0]]


def test_preprocessing_gives_magnitude_and_sign_and_has_no_jump():
    edge = math.exp(-7)
    found = preprocessed(torch.tensor([1.0, -math.e, edge, -edge / 2, 0.0], dtype=torch.float64))
    expected = [[0.0, 1.0], [1 / 7, -1.0], [-1.0, 1.0], [-1.0, -0.5], [-1.0, 0.0]]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    below, above = preprocessed(torch.tensor([edge * (1 - 1e-9), edge * (1 + 1e-9)]).double())
    torch.testing.assert_close(below, above, rtol=0, atol=1e-6)


def test_preprocessing_is_differentiable_even_at_zero():
    x = torch.tensor([0.0, 1e-9, -0.3], dtype=torch.float64, requires_grad=True)
    preprocessed(x).sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad[2].item() == pytest.approx(1 / (7 * -0.3))


def test_a_task_and_an_item_may_have_fast_weights_of_their_own():
    x, slow = drawn(2, 3, 4), drawn(5, 5, seed=1)
    fast = drawn(2, 5, 5, seed=2)
    first, second = augmented(x, slow, fast)
    same_slow, same_fast = augmented(x, slow, fast.unsqueeze(1).expand(-1, 3, -1, -1))
    torch.testing.assert_close(first, same_slow)
    torch.testing.assert_close(second, same_fast)
    torch.testing.assert_close(second[1, 2], fast[1, :, :-1] @ x[1, 2] + fast[1, :, -1])
    torch.testing.assert_close(first[1, 2], slow[:, :-1] @ x[1, 2] + slow[:, -1])
