import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.losses import BatchLoss, Split, cross_entropy, mean_squared_error, run

GENERATOR = torch.Generator().manual_seed(0)


def test_cross_entropy_is_each_tasks_own_mean():
    logits = torch.randn(3, 4, 5, generator=GENERATOR, dtype=torch.float64)
    labels = torch.randint(5, (3, 4), generator=GENERATOR)
    by_hand = [
        -sum(row.softmax(0)[c].log() for row, c in zip(*t, strict=True)) / 4
        for t in zip(logits, labels, strict=True)
    ]
    torch.testing.assert_close(cross_entropy(logits, labels), torch.stack(by_hand))


def test_mean_squared_error_is_each_tasks_own_mean():
    outputs, targets = torch.tensor([[[1.0], [3.0]], [[0.0], [0.0]]]), torch.zeros(2, 2, 1)
    assert mean_squared_error(outputs, targets).tolist() == [5.0, 0.0]


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(InvalidParameterError, match="targets"):
        mean_squared_error(torch.zeros(2, 3, 1), torch.zeros(2, 3))
    with pytest.raises(InvalidParameterError, match="targets"):
        cross_entropy(torch.zeros(2, 3, 4), torch.zeros(3, 2, dtype=torch.int64))


def test_a_network_that_writes_into_its_input_is_refused():
    with pytest.raises(InvalidParameterError, match="in-place"):
        run(lambda _, x: x.mul_(2), {}, torch.ones(2, 3))


def test_reference_items_are_read_but_not_counted():
    def centred(params, x, *, reference):
        return x - x[:, :reference].mean(dim=1, keepdim=True)

    x = torch.tensor([[[1.0], [3.0], [7.0]]])
    loss = BatchLoss(centred, mean_squared_error, x, torch.zeros(1, 1, 1), reference=2)
    assert loss({}).item() == 25  # (7 - (1 + 3) / 2)^2


def test_a_fixed_body_is_run_once():
    calls = []

    def body(params, x):
        calls.append(1)
        return params["a"][:, None, None] * x

    def head(params, features):
        return params["b"][:, None, None] * features

    def whole(params, x):
        return head(params, body(params, x))

    x, y = torch.ones(2, 3, 1), torch.zeros(2, 3, 1)
    loss = BatchLoss(whole, mean_squared_error, x, y, split=Split(body, head, frozenset({"a"})))
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0])
    rest = loss.fixing({"a": a})
    assert rest({"b": b}).tolist() == rest({"b": b}).tolist() == [9.0, 4.0]
    assert len(calls) == 1
    # Other parameters fixed: nothing can be shared, and the value is the same.
    assert loss.fixing({"b": b})({"a": a}).tolist() == [9.0, 4.0]
