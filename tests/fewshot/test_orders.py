import torch

from automl_meta.fewshot.episodes import EpisodeSampler
from automl_meta.fewshot.orders import Sequences, ShuffledSupport


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _numbers(images):
    """The numbers of the images of ``numbered`` data, shape [T, items]."""
    return (images[..., 0, 0, 0] * 255).round().long()


def test_a_shuffled_support_holds_the_same_items_with_their_labels(numbered):
    sampler = EpisodeSampler(numbered(*[4] * 6), ways=3, shots=2, queries=2)
    plain = sampler.sample(50, _generator())
    mixed = ShuffledSupport(sampler).sample(50, _generator())
    assert torch.equal(mixed.query_x, plain.query_x)
    assert torch.equal(mixed.query_y, plain.query_y)
    pairs = [
        [
            sorted(zip(x, y, strict=True))
            for x, y in zip(of.tolist(), episodes.support_y.tolist(), strict=True)
        ]
        for episodes, of in ((e, _numbers(e.support_x)) for e in (plain, mixed))
    ]
    assert pairs[0] == pairs[1]
    assert not torch.equal(mixed.support_y, plain.support_y)
    again = ShuffledSupport(sampler).sample(50, _generator())
    assert torch.equal(again.support_x, mixed.support_x)


def test_every_order_of_the_support_is_equally_likely(numbered):
    source = ShuffledSupport(EpisodeSampler(numbered(*[2] * 3), ways=3, shots=1, queries=1))
    orders = source.sample(6000, _generator()).support_y
    counts = (orders * torch.tensor([9, 3, 1])).sum(1).bincount()
    counts = counts[counts > 0]
    assert len(counts) == 6
    assert (counts - 1000).abs().max() < 145  # five standard deviations


def test_a_sequence_is_the_episode_in_an_order_of_its_own(numbered):
    source = EpisodeSampler(numbered(*[9] * 6), ways=4, shots=1, queries=4)
    drawn = source.sample(3, _generator(5))
    mixed, again = (Sequences(source).sample(3, _generator(5)) for _ in range(2))
    assert torch.equal(mixed.query_x, again.query_x)
    assert mixed.support_x.shape == drawn.support_x.shape
    orders = []
    for t in range(3):
        before, after = (
            torch.cat([_numbers(part.support_x[t]), _numbers(part.query_x[t])]).tolist()
            for part in (drawn, mixed)
        )
        orders.append([before.index(number) for number in after])
        assert sorted(orders[t]) == list(range(20))
        labels, moved = (torch.cat([part.support_y[t], part.query_y[t]]) for part in (drawn, mixed))
        assert torch.equal(moved, labels[orders[t]])
    assert orders[0] != orders[1] != orders[2]
