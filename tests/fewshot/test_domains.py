import numpy as np
import pytest
import torch

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.fewshot.data import FewShotDataset
from automl_meta.fewshot.domains import DomainSampler, joined_domains, load_digits


def domain(base, sizes=(4, 5)):
    """Two classes of 2x2 images; each pixel of an image is base + 10 * class + its number in the class."""
    labels = np.repeat([0, 1], sizes)
    numbers = np.concatenate([np.arange(n) for n in sizes])
    values = (base + 10 * labels + numbers).astype(np.uint8)
    return FewShotDataset.from_arrays(np.tile(values[:, None, None], (1, 2, 2)), labels)


def write_digits(folder, n=4):
    """Write the four files in their own layouts: every image of digit d is d bright pixels in the first row."""
    (folder / "images").mkdir()
    labels = np.repeat(np.arange(10), n).astype(np.uint8)

    def images(height, width, top):
        pixels = np.zeros((len(labels), height, width), np.uint8)
        for row, label in zip(pixels, labels, strict=True):
            row.reshape(-1)[:label] = top
        return pixels

    bits = np.packbits(images(16, 16, 1).reshape(len(labels), -1), axis=1)
    for name, values in (
        ("mnist_t10k_28x28", images(28, 28, 255)),
        ("optdigits_8x8", images(8, 8, 16)),
        ("semeion_16x16", bits),
        ("mfeat_pixel_16x15", images(16, 15, 6)),
    ):
        np.savez(folder / "images" / f"{name}.npz", images=values, labels=labels)


def test_an_episode_is_one_domain_with_its_classes_in_order():
    sampler = DomainSampler((domain(0), domain(100), domain(200)), shots=1, queries=2)
    batch = sampler.sample(60, torch.Generator().manual_seed(0))
    support = (batch.support_x[:, :, 0, 0, 0] * 255).round().long()
    query = (batch.query_x[:, :, 0, 0, 0] * 255).round().long()
    assert batch.ways == 2
    assert batch.support_y[0].tolist() == [0, 1]
    assert batch.query_y[0].tolist() == [0, 0, 1, 1]
    both = torch.cat([support, query], dim=1)
    assert ((both // 100) == (both[:, :1] // 100)).all()  # one domain
    labels = torch.cat([batch.support_y, batch.query_y], dim=1)
    assert torch.equal(both % 100 // 10, labels)  # the classes keep their numbers
    assert all(len(set(row)) == len(row) for row in both.tolist())  # no image twice
    counts = torch.bincount(support[:, 0] // 100, minlength=3)
    assert counts.min() > 10


def test_the_generator_alone_decides():
    sampler = DomainSampler((domain(0), domain(100)), shots=2, queries=1)
    first, again, other = (
        sampler.sample(5, torch.Generator().manual_seed(seed)).support_x for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_domains_that_do_not_fit_are_refused():
    with pytest.raises(InvalidParameterError, match="'queries' parameter of DomainSampler"):
        DomainSampler((domain(0),), shots=2, queries=3)
    wide = FewShotDataset.from_arrays(np.zeros((4, 3, 3), np.uint8), [0, 0, 1, 1])
    for odd in ((), (domain(0), wide), (domain(0), domain(0).subset([1, 0]))):
        with pytest.raises(InvalidParameterError, match="'domains' parameter of DomainSampler"):
            DomainSampler(odd, shots=1, queries=1)
    with pytest.raises(InvalidParameterError, match="'shots' parameter"):
        DomainSampler((domain(0),), shots=0, queries=1)


def test_every_layout_of_digits_is_read(tmp_path):
    write_digits(tmp_path)
    domains = load_digits(tmp_path, size=16)
    assert list(domains) == ["mnist", "optdigits", "semeion", "mfeat"]
    for name, data in domains.items():
        assert data.images.shape == (40, 1, 16, 16), name
        assert data.names == tuple("0123456789")
        assert data.images[:4].max() == 0  # the zeros have no ink
        assert data.images[-4:].max() > 100  # and the nines have
    bits = domains["semeion"].images
    assert set(bits.unique().tolist()) == {0, 255}
    assert (bits[-1] == 255).sum() == 9


def test_leaving_a_domain_out():
    domains = {"a": domain(0), "b": domain(100), "c": domain(200)}
    kept = joined_domains(domains, without="b")
    assert kept[0] is domains["a"]
    assert kept[1] is domains["c"]
    with pytest.raises(InvalidParameterError, match="one of at least two domains, a, b, c"):
        joined_domains(domains, without="d")


def test_missing_or_damaged_digits_are_told(tmp_path):
    with pytest.raises(StoreError, match="mnist"):
        load_digits(tmp_path)
    write_digits(tmp_path)
    path = tmp_path / "images" / "optdigits_8x8.npz"
    np.savez(path, images=np.zeros((4, 8, 8), np.uint8), labels=np.zeros(4, np.uint8))
    with pytest.raises(StoreError, match="1 classes instead of 10"):
        load_digits(tmp_path)
    path.write_bytes(b"no archive")
    with pytest.raises(StoreError, match="optdigits"):
        load_digits(tmp_path)
