"""The memory against numbers worked out by hand."""

import math

import pytest
import torch

from automl_meta.metalearn.memory import (
    Memory,
    access,
    cosine,
    empty,
    least_used,
    read_weights,
    used,
    write_weights,
    written,
)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def drawn(n_memories=3, heads=2, slots=5, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    memory = Memory(
        uniform(n_memories, slots, width) - 0.5,
        uniform(n_memories, heads, slots).softmax(-1),
        uniform(n_memories, slots),
    )
    return memory, uniform(n_memories, heads, width) - 0.5, uniform(n_memories, heads)


def test_a_key_reads_by_its_angle_to_two_slots():
    slots, keys = tensor([[[3.0, 4.0], [0.0, 2.0]]]), tensor([[[1.0, 0.0], [0.0, 5.0]]])
    torch.testing.assert_close(cosine(keys, slots), tensor([[[0.6, 0.0], [0.8, 1.0]]]))
    first, second = math.exp(0.6), math.exp(0.8)
    expected = tensor(
        [
            [
                [first / (first + 1), 1 / (first + 1)],
                [second / (second + math.e), math.e / (second + math.e)],
            ]
        ]
    )
    torch.testing.assert_close(read_weights(keys, slots), expected)


def test_an_empty_slot_resembles_nothing_and_has_a_finite_gradient():
    slots = torch.zeros(1, 2, 3, dtype=torch.float64, requires_grad=True)
    keys = torch.zeros(1, 1, 3, dtype=torch.float64, requires_grad=True)
    similar = cosine(keys, slots)
    assert similar.tolist() == [[[0.0, 0.0]]]
    similar.sum().backward()
    assert slots.grad.isfinite().all()
    assert keys.grad.isfinite().all()


def test_usage_is_decayed_and_counts_reads_and_writes_of_all_heads():
    reads = tensor([[[0.25, 0.75, 0.0], [0.5, 0.25, 0.25]]])
    writes = tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    expected = tensor([[0.9 * 1 + 1.75, 0.9 * 2 + 1.0, 0.9 * 3 + 1.25]])
    torch.testing.assert_close(used(tensor([[1.0, 2.0, 3.0]]), reads, writes, 0.9), expected)


def test_the_least_used_come_first_and_ties_go_to_the_first_slot():
    assert least_used(tensor([[0.5, 0.2, 0.5, 0.1]]), 3).argmax(-1).tolist() == [[3, 1, 0]]
    assert least_used(torch.zeros(1, 40), 4).argmax(-1).tolist() == [[0, 1, 2, 3]]


def test_a_writing_empties_the_least_used_and_adds_to_what_was_read():
    slots, free = tensor([[[1.0, 1.0], [9.0, 9.0]]]), tensor([[[0.0, 1.0]]])
    writes = write_weights(tensor([[0.25]]), tensor([[[0.8, 0.2]]]), free)
    torch.testing.assert_close(writes, tensor([[[0.2, 0.8]]]))  # .25 * .8, .25 * .2 + .75 * 1
    changed = written(slots, free, writes, tensor([[[5.0, -5.0]]]))
    torch.testing.assert_close(changed, tensor([[[2.0, 0.0], [4.0, -4.0]]]))


def test_two_steps_by_hand():
    """One head, two slots, width two, decay one half."""
    memory = empty(1, 2, 2, 1, tensor(0.0))
    memory, read = access(memory, tensor([[[2.0, 0.0]]]), tensor([[0.5]]), decay=0.5)
    # An empty memory is read evenly. Nothing was read before, so half of the key goes to slot 0, the least used
    # by order.
    assert read.tolist() == [[[0.0, 0.0]]]
    torch.testing.assert_close(memory.reads, tensor([[[0.5, 0.5]]]))
    torch.testing.assert_close(memory.slots, tensor([[[1.0, 0.0], [0.0, 0.0]]]))
    torch.testing.assert_close(memory.usage, tensor([[1.0, 0.5]]))

    memory, read = access(memory, tensor([[[3.0, 4.0]]]), tensor([[0.25]]), decay=0.5, sharpness=2)
    # Cosines 0.6 and 0, so 1.2 and 0 with the sharpness. Slot 1 is the least used now: it is emptied and gets
    # 3/4 of the key, beside the quarter of what was read before, 1/8 each.
    near = math.exp(1.2) / (math.exp(1.2) + 1)
    torch.testing.assert_close(memory.reads, tensor([[[near, 1 - near]]]))
    torch.testing.assert_close(read, tensor([[[near, 0.0]]]))
    slots = tensor([[[1.0 + 3 / 8, 4 / 8], [3 * 7 / 8, 4 * 7 / 8]]])
    torch.testing.assert_close(memory.slots, slots)
    usage = tensor([[0.5 + near + 1 / 8, 0.25 + 1 - near + 7 / 8]])
    torch.testing.assert_close(memory.usage, usage)


def test_a_stored_item_is_read_back_by_its_key_and_not_by_another():
    keys = torch.eye(4, dtype=torch.float64).view(4, 1, 1, 4)
    memory = empty(1, 8, 4, 1, tensor(0.0))
    for key in keys:
        memory, _ = access(memory, 5 * key, torch.zeros(1, 1).double(), decay=0.99)
    assert memory.slots[0, :4].argmax(-1).tolist() == [0, 1, 2, 3]  # no slot was written twice
    for key in keys:
        _, read = access(memory, key, torch.zeros(1, 1).double(), decay=0.99, sharpness=40)
        torch.testing.assert_close(read, 5 * key)


def test_gradients_equal_central_differences():
    memory, keys, gates = drawn()
    before = (memory.slots, memory.reads, keys, gates)

    def outcome(slots, reads, keys, gates):
        after, read = access(Memory(slots, reads, memory.usage), keys, gates, decay=0.9)
        return after.slots, after.reads, read

    inputs = tuple(leaf.clone().requires_grad_() for leaf in before)
    assert torch.autograd.gradcheck(outcome, inputs, eps=1e-6, atol=1e-7)


def test_usage_carries_no_gradient():
    memory, keys, gates = drawn()
    after, _ = access(memory, keys.requires_grad_(), gates.requires_grad_(), decay=0.9)
    assert not after.usage.requires_grad
    assert after.slots.requires_grad


def test_memories_of_a_batch_know_nothing_of_each_other():
    memory, keys, gates = drawn()
    together, read = access(memory, keys, gates, decay=0.9)
    for t in range(3):
        part = Memory(*(leaf[t : t + 1] for leaf in (memory.slots, memory.reads, memory.usage)))
        alone, alone_read = access(part, keys[t : t + 1], gates[t : t + 1], decay=0.9)
        torch.testing.assert_close(alone.slots, together.slots[t : t + 1])
        torch.testing.assert_close(alone.usage, together.usage[t : t + 1])
        torch.testing.assert_close(alone_read, read[t : t + 1])


def test_renaming_slots_that_differ_renames_them_in_the_result():
    memory, keys, gates = drawn()
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = Memory(memory.slots[:, order], memory.reads[:, :, order], memory.usage[:, order])
    (first, read), (second, same) = (access(m, keys, gates, decay=0.9) for m in (memory, renamed))
    torch.testing.assert_close(read, same)
    torch.testing.assert_close(first.slots[:, order], second.slots)


def test_repeated_memories_are_copies_side_by_side():
    memory, _, _ = drawn()
    repeated = memory.repeated(2)
    assert repeated.slots.shape == (6, 5, 4)
    for t in range(3):
        for copy in (2 * t, 2 * t + 1):
            assert torch.equal(repeated.slots[copy], memory.slots[t])
            assert torch.equal(repeated.reads[copy], memory.reads[t])


@pytest.mark.parametrize("gate", [0.0, 1.0])
def test_the_gate_chooses_between_what_was_read_and_what_is_free(gate):
    reads, free = tensor([[[0.7, 0.3]]]), tensor([[[0.0, 1.0]]])
    expected = reads if gate else free
    torch.testing.assert_close(write_weights(tensor([[gate]]), reads, free), expected)


def test_a_memory_starts_empty_and_unread():
    memory = empty(2, 3, 4, 2, torch.zeros((), dtype=torch.float64))
    assert memory.slots.dtype == torch.float64
    assert not any(leaf.any() for leaf in (memory.slots, memory.reads, memory.usage))
