import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.networks import conv4, conv4_features, mlp
from automl_meta.metalearn.layers import Chain

POOLINGS = ("stride", "max", "average")
every_pooling = pytest.mark.parametrize("pooling", POOLINGS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def count(network):
    return sum(leaf.numel() for leaf in network.parameters())


def images(*shape):
    return torch.randn(*shape, generator=seeded(9))


@every_pooling
def test_parameters_of_the_papers_network(pooling):
    # Convolutions 640 + 3 * 36,928, normalisation 4 * 128, head 64 * 5 + 5.
    assert (
        count(conv4(5, generator=seeded(), pooling=pooling, bias=True)) == 111_936 + 325 == 112_261
    )
    # Without the 4 * 64 biases that the normalisation takes out again.
    assert count(conv4(5, generator=seeded(), pooling=pooling)) == 112_261 - 256 == 112_005
    assert count(conv4(20, generator=seeded(), pooling=pooling)) == 112_005 + 15 * 65
    assert count(conv4_features(generator=seeded(), pooling=pooling)) == 112_005 - 325


def test_parameters_of_reptiles_network():
    # The head sees all 2 x 2 last positions of 64 filters.
    flat = conv4(5, generator=seeded(), pooling="flat", bias=True)
    assert count(flat) == 111_936 + 256 * 5 + 5
    assert flat(images(3, 1, 28, 28)).shape == (3, 5)


def test_parameters_of_the_sinusoid_network():
    assert count(mlp(1, generator=seeded())) == 2 * 40 + 41 * 40 + 41 == 1_761
    assert count(mlp(3, generator=seeded(), hidden=(), outputs=2)) == 8


def test_parameter_names():
    names = ["conv{}.weight", "norm{}.weight", "norm{}.bias"]
    body = [name.format(block) for block in (1, 2, 3, 4) for name in names]
    head = ["head.weight", "head.bias"]
    assert list(conv4(5, generator=seeded()).state_dict()) == body + head
    assert list(conv4_features(generator=seeded()).state_dict()) == body
    with_biases = conv4(5, generator=seeded(), bias=True).state_dict()
    assert set(with_biases) == {*body, *head, *(f"conv{block}.bias" for block in (1, 2, 3, 4))}
    assert list(mlp(1, generator=seeded(), hidden=(3,)).state_dict()) == [
        "linear1.weight",
        "linear1.bias",
        *head,
    ]


@pytest.mark.parametrize(
    ("pooling", "sizes"),
    [("stride", [14, 7, 4, 2]), ("max", [14, 7, 3, 1]), ("average", [14, 7, 7, 7])],
)
def test_sizes_of_the_blocks(pooling, sizes):
    network = conv4(5, generator=seeded(), filters=2, pooling=pooling)
    x, seen = images(1, 1, 28, 28), {}
    for name, layer in network.named_children():
        x = layer(x)
        if name[:-1] in {"relu", "pool"}:  # the last layer of a block
            seen[name[-1]] = tuple(x.shape[2:])
    assert list(seen.values()) == [(size, size) for size in sizes]
    kinds = [type(layer) for layer in network]
    assert kinds.count(nn.MaxPool2d) == {"stride": 0, "max": 4, "average": 2}[pooling]


@every_pooling
def test_features_and_logits_on_omniglot(pooling):
    x = images(3, 1, 28, 28)
    assert conv4_features(generator=seeded(), pooling=pooling)(x).shape == (3, 64)
    network = conv4(20, generator=seeded(), pooling=pooling)
    assert network.head.weight.shape == (20, 64)
    assert network(x).shape == (3, 20)


def test_features_of_the_mini_imagenet_form():
    network = conv4(5, generator=seeded(), channels=3, filters=32, image_size=84, pooling="max")
    assert network.head.in_features == 32 * 5 * 5
    assert network(images(1, 3, 84, 84)).shape == (1, 5)


@pytest.mark.parametrize(
    ("pooling", "size"), [("stride", 1), ("max", 16), ("max", 31), ("average", 4)]
)
def test_smallest_and_odd_images(pooling, size):
    network = conv4(2, generator=seeded(), filters=2, image_size=size, pooling=pooling)
    assert network(images(2, 1, size, size)).shape == (2, 2)


def test_shapes_of_perceptrons():
    assert mlp(3, generator=seeded(), hidden=(4, 5, 6), outputs=2)(images(7, 3)).shape == (7, 2)
    assert mlp(3, generator=seeded(), hidden=(), outputs=2)(images(7, 3)).shape == (7, 2)
    assert [type(layer) for layer in mlp(1, generator=seeded())].count(nn.ReLU) == 2


@pytest.mark.parametrize("make", [lambda g: conv4(5, generator=g), lambda g: mlp(2, generator=g)])
def test_weights_follow_from_the_generator_alone(make):
    state = torch.random.get_rng_state()
    networks = [make(seeded(1))]
    torch.rand(3)
    networks += [make(seeded(1)), make(seeded(2))]
    torch.random.set_rng_state(state)
    first, same, other = (torch.cat([p.flatten() for p in n.parameters()]) for n in networks)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_making_a_network_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    conv4(5, generator=seeded())
    conv4_features(generator=seeded())
    mlp(1, generator=seeded())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_initial_values():
    network = conv4(5, generator=seeded(), bias=True)
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fans = nn.init._calculate_fan_in_and_fan_out(layer.weight)
            bound = (6 / sum(fans)) ** 0.5
            assert 0.9 * bound < layer.weight.abs().max().item() <= bound
            assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
            assert not layer.bias.any()
    assert bool((network.norm1.weight == 1).all())
    assert not network.norm1.bias.any()
    assert not torch.equal(network.conv2.weight, network.conv3.weight)


def test_biases_before_batch_statistics_change_nothing():
    network, x = (
        conv4(5, generator=seeded(), bias=True, filters=4).double(),
        images(6, 1, 28, 28).double(),
    )
    before = network(x)
    before.square().sum().backward()
    assert network.conv2.bias.grad.norm() < 1e-9 * network.conv2.weight.grad.norm()
    with torch.no_grad():
        network.conv2.bias.normal_(generator=seeded(3))
    torch.testing.assert_close(network(x), before, rtol=1e-9, atol=1e-9)


def test_a_reference_reaches_every_normalisation():
    network = conv4(5, generator=seeded(), filters=4, image_size=8)
    assert isinstance(network, Chain)
    x = images(9, 1, 8, 8)
    changed = torch.cat([x[:6], 3 * x[6:]])
    torch.testing.assert_close(network(x, 6)[:6], network(x[:6]))
    torch.testing.assert_close(network(changed, 6)[:6], network(x, 6)[:6])
    assert (network(changed) - network(x))[:6].abs().max() > 1e-3


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"ways": 1}, r"'ways' .* must be an int >= 2\. Got 1 "),
        ({"channels": 0}, r"'channels' .* must be an int >= 1\. Got 0 "),
        ({"filters": 0}, r"'filters' .* must be an int >= 1\. Got 0 "),
        ({"image_size": 0, "pooling": "stride"}, r"'image_size' .* must be an int >= 1\. Got 0 "),
        ({"image_size": 15, "pooling": "max"}, r"'image_size' .* must be an int >= 16\. Got 15 "),
        ({"image_size": 3, "pooling": "average"}, r"'image_size' .* must be an int >= 4\. Got 3 "),
        (
            {"pooling": "mean"},
            r"'pooling' .* must be 'stride' or 'max' or 'average' or 'flat'\. Got 'mean' ",
        ),
    ],
    ids=str,
)
def test_bad_settings_are_refused(change, rule):
    with pytest.raises(InvalidParameterError, match=rule):
        conv4(**{"ways": 5, "generator": seeded()} | change)
    if "ways" not in change:
        with pytest.raises(InvalidParameterError, match=rule):
            conv4_features(generator=seeded(), **change)
