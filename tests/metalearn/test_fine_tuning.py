import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import MAML
from automl_meta.metalearn.fine_tuning import FineTuning

T = 3  # tasks of the family fixture


def test_on_a_new_task_it_is_plain_descent(family):
    tuning, maml = FineTuning(0.1, 3), MAML(0.1, 3)
    meta = tuning.init(family.params)
    ours, theirs = (a.adapt(meta, family.support, T) for a in (tuning, maml))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    start = tuning.adapt(meta, family.support, T, steps=0)
    assert all(torch.equal(start[n][1], leaf) for n, leaf in family.params.items())


def test_training_is_the_gradient_of_everything_at_the_shared_weights(family):
    tuning = FineTuning(0.1, 3)
    meta = tuning.init(family.params)
    loss, grads = tuning.meta_gradients(meta, family.support, family.query, T)
    shared = {n: leaf.clone().requires_grad_() for n, leaf in family.params.items()}
    batched = {n: leaf.expand(T, *leaf.shape) for n, leaf in shared.items()}
    whole = (family.support(batched).mean() + family.query(batched).mean()) / 2
    expected = torch.autograd.grad(whole, list(shared.values()))
    torch.testing.assert_close(loss, whole.detach())
    for name, value in zip(shared, expected, strict=True):
        torch.testing.assert_close(grads[f"weights.{name}"], value)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(InvalidParameterError, match="'rate' parameter of FineTuning"):
        FineTuning(0.0)
    with pytest.raises(InvalidParameterError, match="'steps' parameter of FineTuning"):
        FineTuning(0.1, -1)
