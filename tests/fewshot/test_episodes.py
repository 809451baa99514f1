import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.episodes import EpisodeSampler, distinct, in_batches


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _numbers(images):
    """The numbers of the images of ``numbered`` data, shape [T, items]."""
    return (images[..., 0, 0, 0] * 255).round().long()


@pytest.mark.parametrize(
    ("ways", "shots", "queries"), [(2, 1, 1), (5, 1, 15), (5, 5, 3), (20, 1, 2)]
)
def test_shapes_types_and_class_major_labels(numbered, ways, shots, queries):
    data = numbered(*[20] * 12, side=3).with_rotations()
    sampler = EpisodeSampler(data, ways, shots, queries)
    batch = sampler.sample(4, _generator())
    assert batch.support_x.shape == (4, ways * shots, 1, 3, 3)
    assert batch.query_x.shape == (4, ways * queries, 1, 3, 3)
    assert batch.support_x.dtype == batch.query_x.dtype == torch.float32
    assert batch.support_y.dtype == batch.query_y.dtype == torch.int64
    assert batch.support_y.tolist() == [[i // shots for i in range(ways * shots)]] * 4
    assert batch.query_y.tolist() == [[i // queries for i in range(ways * queries)]] * 4
    assert len(batch) == 4
    assert batch.ways == ways
    assert all(t.is_contiguous() for t in (batch.support_x, batch.support_y, batch.query_x))


def test_images_are_distinct_and_of_the_labelled_class(numbered):
    data = numbered(4, 7, 5, 9, 4)  # classes of unequal size
    owner = torch.repeat_interleave(torch.arange(5), data.classes.counts)
    batch = EpisodeSampler(data, ways=3, shots=1, queries=3).sample(300, _generator())
    numbers = torch.cat([_numbers(batch.support_x), _numbers(batch.query_x)], 1)
    labels = torch.cat([batch.support_y, batch.query_y], 1)
    for task, classes in zip(numbers, labels, strict=True):
        assert len(set(task.tolist())) == 12  # no image twice: support and query are disjoint
        owners = [set(owner[task[classes == c]].tolist()) for c in range(3)]
        assert all(len(o) == 1 for o in owners)  # one label, one class
        assert len(set.union(*owners)) == 3  # and no class under two labels
    assert set(numbers.flatten().tolist()) == set(
        range(29)
    )  # every image is drawn, the last ones too


def test_labels_say_nothing_about_classes(numbered):
    data = numbered(*[2] * 6)
    batch = EpisodeSampler(data, ways=3, shots=1, queries=1).sample(6000, _generator())
    classes = _numbers(batch.support_x) // 2
    for label in range(3):
        share = torch.bincount(classes[:, label], minlength=6) / 6000
        assert (share - 1 / 6).abs().max() < 0.025  # five standard deviations


def test_images_within_a_class_are_drawn_uniformly(numbered):
    batch = EpisodeSampler(numbered(5, 5), ways=2, shots=1, queries=2).sample(5000, _generator())
    for part in (batch.support_x, batch.query_x):
        numbers = _numbers(part).flatten()
        share = torch.bincount(numbers, minlength=10) / len(numbers)
        assert (share - 0.1).abs().max() < 0.015


def test_the_generator_decides_everything(numbered):
    sampler = EpisodeSampler(numbered(*[6] * 8), ways=3, shots=2, queries=2)
    torch.manual_seed(0)
    first, second = sampler.sample(5, _generator(1)), sampler.sample(5, _generator(1))
    assert torch.equal(first.support_x, second.support_x)
    assert torch.equal(first.query_x, second.query_x)
    generator = _generator(1)
    sampler.sample(5, generator)
    assert not torch.equal(sampler.sample(5, generator).support_x, first.support_x)
    before = torch.get_rng_state()
    sampler.sample(5, generator)
    assert torch.equal(torch.get_rng_state(), before)  # the global state is left alone


def test_rotated_classes_really_turn():
    corners = torch.zeros(8, 2, 2, dtype=torch.uint8)
    corners[:, 0, 0] = 255
    data = FewShotDataset.from_arrays(corners, torch.arange(8) // 4).with_rotations()
    batch = EpisodeSampler(data, ways=8, shots=1, queries=3).sample(20, _generator())
    assert batch.query_x.unique().tolist() == [0.0, 1.0]  # full ink is one
    marked = batch.support_x.flatten(2).argmax(-1)
    # Eight ways are all classes: each corner is marked in two of them.
    assert marked.sort(1).values.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]] * 20
    queries = batch.query_x.flatten(2).argmax(-1).view(20, 8, 3)
    assert (queries == marked.unsqueeze(-1)).all()  # support and queries turn alike


def test_slices_are_views(numbered):
    batch = EpisodeSampler(numbered(*[6] * 4), ways=2, shots=1, queries=1).sample(5, _generator())
    part = batch[1:3]
    assert len(part) == 2
    assert part.ways == 2
    assert torch.equal(part.query_x, batch.query_x[1:3])
    assert part.support_x.data_ptr() == batch.support_x[1].data_ptr()
    assert batch.to("cpu").query_y.tolist() == batch.query_y.tolist()


@pytest.mark.parametrize(
    ("ways", "shots", "queries", "message"),
    [
        (4, 1, 1, "'ways'.*at most the number of classes, 3"),
        (1, 1, 1, "'ways'.*>= 2"),
        (2, 0, 1, "'shots'.*>= 1"),
        (2, 1, 0, "'queries'.*>= 1"),
        (2, 2, 2, r"shots \+ queries <= 3, the images of class '1'.*with_at_least\(4\)"),
    ],
)
def test_refuses_episodes_that_the_data_cannot_give(numbered, ways, shots, queries, message):
    with pytest.raises(InvalidParameterError, match=message):
        EpisodeSampler(numbered(5, 3, 6), ways, shots, queries)


def test_refuses_no_tasks(numbered):
    with pytest.raises(InvalidParameterError, match="'n_tasks'"):
        EpisodeSampler(numbered(2, 2), 2, 1, 1).sample(0, _generator())


def test_distinct_numbers_are_ordered_draws_without_replacement():
    drawn = distinct(torch.full((24000,), 4), 3, _generator())
    assert (drawn.sort(1).values.diff(dim=1) > 0).all()
    codes = (drawn * torch.tensor([16, 4, 1])).sum(1)
    counts = codes.bincount()
    counts = counts[counts > 0]
    assert len(counts) == 24  # 4 * 3 * 2 ordered draws, each equally often
    assert (counts - 1000).abs().max() < 160  # five standard deviations


def test_distinct_respects_each_bound():
    bounds = torch.tensor([3, 5, 300])
    drawn = distinct(bounds.repeat(500, 1), 3, _generator())
    assert (drawn >= 0).all()
    assert (drawn < bounds.view(1, 3, 1)).all()
    assert drawn[:, 2].max() > 250
    assert drawn[:, 0].sort(-1).values.tolist() == [[0, 1, 2]] * 500


@pytest.mark.parametrize("batch", [1, 7, 20, 33, 60, 200])
def test_batches_hold_the_same_episodes_whatever_their_size(numbered, batch):
    sampler = EpisodeSampler(numbered(*[6] * 8), 5, 1, 3)
    whole = list(in_batches(sampler, 50, 50, _generator()))
    parts = list(in_batches(sampler, 50, batch, _generator()))
    assert len(whole) == 1
    assert [len(part) for part in parts[:-1]] == [batch] * (len(parts) - 1)
    assert sum(map(len, parts)) == 50
    for name in ("support_x", "support_y", "query_x", "query_y"):
        drawn = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(drawn, getattr(whole[0], name))


@pytest.mark.gpu
def test_a_cpu_generator_gives_the_same_episodes_on_the_gpu(numbered):
    data = numbered(*[6] * 8).with_rotations()
    here = EpisodeSampler(data, 5, 1, 3).sample(9, _generator())
    there = EpisodeSampler(data.to("cuda"), 5, 1, 3).sample(9, _generator())
    assert there.query_x.is_cuda
    assert torch.equal(here.query_y, there.query_y.cpu())
    # A GPU divides bytes by 255 as a product, which may round the last digit otherwise.
    torch.testing.assert_close(there.query_x.cpu(), here.query_x, rtol=1e-6, atol=0)
    torch.testing.assert_close(there.support_x.cpu(), here.support_x, rtol=1e-6, atol=0)
    on_device = EpisodeSampler(data.to("cuda"), 5, 1, 3)
    batch = on_device.sample(9, torch.Generator("cuda").manual_seed(0))
    assert batch.support_x.is_cuda
    assert batch.support_y.is_cuda
