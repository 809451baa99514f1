import math

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.causal_attention import CausalAttention
from automl_meta.metalearn.temporal import (
    CausalChain,
    CausalConvolution,
    DenseBlock,
    temporal_convolutions,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def items(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def chain():
    generator = seeded()
    first = CausalAttention(3, 4, 2, generator=generator)
    second = temporal_convolutions(first.width, 6, 3, generator=generator)
    return CausalChain([first, second, CausalAttention(second.width, 5, 4, generator=generator)])


BLOCKS = {
    "convolution": lambda: CausalConvolution(3, 4, 2, generator=seeded()),
    "dense": lambda: DenseBlock(3, 4, 1, generator=seeded()),
    "attention": lambda: CausalAttention(3, 4, 5, generator=seeded()),
    "temporal": lambda: temporal_convolutions(3, 9, 2, generator=seeded()),
    "chain": chain,
}
every_block = pytest.mark.parametrize("kind", BLOCKS)


def block_of(kind):
    return BLOCKS[kind]().double()


def fill(layer, weight, bias=None):
    layer.weight.data.copy_(torch.tensor(weight, dtype=torch.float64))
    if bias is not None:
        layer.bias.data.copy_(torch.tensor(bias, dtype=torch.float64))


def test_a_convolution_of_known_weights():
    layer = CausalConvolution(2, 1, 3, generator=seeded()).double()
    fill(layer.here, [[1.0, 10.0]], [0.5])
    fill(layer.back, [[100.0, -1.0]])
    x = torch.tensor([[[1, 2], [3, 4], [5, 6], [7, 8], [9, 1]]], dtype=torch.float64)
    # y_t = x_t0 + 10 x_t1 + 1/2, and from the fourth on + 100 x_0 - x_1 of three positions before
    expected = [21.5, 43.5, 65.5, 87.5 + 98, 19.5 + 296]
    assert layer(x).flatten().tolist() == expected


def test_a_dense_block_gates_and_keeps_its_input():
    block = DenseBlock(1, 1, 1, generator=seeded()).double()
    fill(block.convolution.here, [[1.0], [0.0]], [0.0, 0.5])
    fill(block.convolution.back, [[0.0], [2.0]])
    y = block(torch.tensor([[[0.3], [-0.7]]], dtype=torch.float64))
    assert y[0, :, 0].tolist() == [0.3, -0.7]

    def sigmoid(z):
        return 1 / (1 + math.exp(-z))

    expected = [math.tanh(0.3) * sigmoid(0.5), math.tanh(-0.7) * sigmoid(0.5 + 2 * 0.3)]
    assert y[0, :, 1].tolist() == pytest.approx(expected, rel=1e-14)


def test_attention_on_two_positions():
    block = CausalAttention(1, 4, 1, generator=seeded()).double()
    fill(block.query, [[1.0], [0.0], [2.0], [0.0]], [0.0, 0.0, 0.0, 1.0])
    fill(block.key, [[0.0], [5.0], [1.0], [1.0]], [1.0, 0.0, 0.0, 0.0])
    fill(block.value, [[3.0]], [1.0])
    y = block(torch.tensor([[[0.5], [-1.0]]], dtype=torch.float64))
    # The first sees itself alone. The second's query is (-1, 0, -2, 1); the keys are (1, 2.5, 0.5, 0.5) and
    # (1, -5, -1, -1): products -1.5 and 0, halved by sqrt(4); the values 2.5 and -2.
    share = math.exp(-0.75) / (math.exp(-0.75) + 1)
    assert y[0, :, 0].tolist() == [0.5, -1.0]
    expected = [2.5, share * 2.5 + (1 - share) * -2]
    assert y[0, :, 1].tolist() == pytest.approx(expected, rel=1e-14)


@every_block
def test_no_output_depends_on_what_comes_later(kind):
    block, x = block_of(kind), items(2, 7, 3)
    whole = block(x)
    assert whole.shape == (2, 7, block.width)
    for t in range(7):
        changed = x.clone()
        changed[:, t:] += items(2, 7 - t, 3, seed=t)
        other = block(changed)
        torch.testing.assert_close(other[:, :t], whole[:, :t], rtol=0, atol=1e-14)
        assert (other[:, t] - whole[:, t]).abs().amin() > 1e-6
        torch.testing.assert_close(block(x[:, :t]), whole[:, :t])  # nor on how long it is


@every_block
@pytest.mark.parametrize("n_past", [0, 1, 4, 6])
def test_items_that_follow_are_last_items_of_sequences_of_their_own(kind, n_past):
    block, past, last = block_of(kind), items(2, n_past, 3), items(2, 5, 3, seed=2)
    together = block.following(past, last)
    for q in range(5):
        alone = block(torch.cat([past, last[:, q : q + 1]], dim=1))[:, -1]
        torch.testing.assert_close(together[:, q], alone)


@every_block
def test_a_sequence_that_grows_item_by_item_is_the_sequence_read_at_once(kind):
    block, x = (
        block_of(kind),
        items(2, 11, 3),
    )  # longer than any dilation, and than the blocks were made for
    memory, read = (), []
    for t in range(11):
        y, memory = block.step(memory, x[:, t])
        read.append(y)
    torch.testing.assert_close(torch.stack(read, dim=1), block(x))


@every_block
def test_sequences_do_not_know_of_each_other(kind):
    block, x = block_of(kind), items(3, 6, 3)
    torch.testing.assert_close(torch.cat([block(x[b : b + 1]) for b in range(3)]), block(x))


@pytest.mark.parametrize("length", [2, 3, 6, 8, 9, 21])
def test_temporal_convolutions_see_every_position_of_a_sequence(length):
    block = temporal_convolutions(1, length, 2, generator=seeded()).double()
    assert len(block.blocks) == math.ceil(math.log2(length))
    x = items(1, length, 1).requires_grad_()
    block(x)[0, -1].sum().backward()
    assert (x.grad.abs() > 0).all()


@every_block
def test_weights_come_from_the_generator_alone(kind):
    torch.manual_seed(0)
    first = BLOCKS[kind]().state_dict()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    second = BLOCKS[kind]().state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(leaf.isfinite().all() for leaf in first.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda g: CausalConvolution(0, 1, 1, generator=g), "'inputs' parameter of CausalConv"),
        (lambda g: CausalConvolution(1, 1, 0, generator=g), "'dilation'"),
        (lambda g: DenseBlock(1, 0, 1, generator=g), "'filters' parameter of DenseBlock"),
        (lambda g: CausalAttention(1, 0, 1, generator=g), "'keys'"),
        (lambda g: CausalAttention(1, 1, 0, generator=g), "'values'"),
        (lambda g: temporal_convolutions(1, 1, 1, generator=g), "'length'"),
        (lambda _: CausalChain([]), "'blocks'"),
    ],
)
def test_wrong_sizes_are_refused_by_name(make, message):
    with pytest.raises(InvalidParameterError, match=message):
        make(seeded())
