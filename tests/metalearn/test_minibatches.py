import torch

from automl_meta.metalearn import Reptile, StepLoss
from automl_meta.metalearn.minibatches import draw_minibatches, take


def test_every_item_is_used_once_before_any_is_used_twice():
    picks = draw_minibatches(4, 6, 2, 7, torch.Generator().manual_seed(0))
    assert picks.shape == (7, 4, 2)
    stream = picks.transpose(0, 1).flatten(1)  # [T, 14]
    for start in (0, 6):
        counts = stream[:, start : start + 6].sort(dim=1).values
        assert torch.equal(counts, torch.arange(6).expand(4, 6))
    assert len({tuple(row.tolist()) for row in stream}) == 4  # each task in its own order


def test_rounds_may_end_within_a_minibatch():
    picks = draw_minibatches(1, 3, 2, 3, torch.Generator().manual_seed(1)).flatten()
    assert sorted(picks[:3].tolist()) == sorted(picks[3:].tolist()) == [0, 1, 2]


def test_taking_is_by_task():
    items = torch.arange(2 * 3 * 2).view(2, 3, 2)
    taken = take(items, torch.tensor([[2, 0], [1, 1]]))
    assert taken.tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]


def test_reptile_descends_on_the_loss_of_each_step():
    loss = StepLoss(lambda step: lambda params: params["w"] * (step + 1))
    reptile = Reptile(0.1, 3)
    adapted = reptile.adapt(reptile.init({"w": torch.tensor(0.0)}), loss, 2)
    torch.testing.assert_close(adapted["w"], torch.full((2,), -0.6))  # 0.1 (1 + 2 + 3)
