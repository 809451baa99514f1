import threading

import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import MAML, module_params
from automl_meta.metalearn.chunks import chunked, in_order
from automl_meta.metalearn.forward import folded
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import BatchLoss, mean_squared_error

N_TASKS = 7
VALUES = torch.randn(N_TASKS, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def of_some(tasks):
    some = VALUES[tasks]
    return some.square().mean(), {"a": some.mean(0), "b": some.exp().mean()}


@pytest.mark.parametrize("chunk", [None, 1, 2, 3, 4, 5, 6, 7, 8, 100])
def test_every_task_counts_the_same_in_uneven_chunks(chunk):
    seen = []
    loss, grads = chunked(lambda tasks: seen.append(tasks) or of_some(tasks), N_TASKS, chunk)
    expected_loss, expected = of_some(slice(0, N_TASKS))
    torch.testing.assert_close(loss, expected_loss, rtol=1e-14, atol=0)
    assert grads.keys() == expected.keys()
    for name, leaf in expected.items():
        torch.testing.assert_close(grads[name], leaf, rtol=1e-13, atol=1e-15)
    assert [t for tasks in seen for t in range(N_TASKS)[tasks]] == list(range(N_TASKS))
    assert len(seen) == (1 if chunk is None else -(-N_TASKS // chunk))


def test_the_gradients_of_a_chunk_are_not_written_to():
    # A caller may hand out the same tensor, or a view of its own, for every chunk.
    mine = torch.ones(3)
    loss, grads = chunked(lambda _: (mine[0], {"a": mine, "b": mine[:1].expand(4)}), 5, 2)
    assert torch.equal(mine, torch.ones(3))
    assert loss.item() == pytest.approx(1)
    torch.testing.assert_close(grads["a"], torch.ones(3))
    torch.testing.assert_close(grads["b"], torch.ones(4))


def test_nothing_of_a_chunks_graph_is_kept():
    leaf = torch.ones(2, requires_grad=True)
    loss, grads = chunked(lambda tasks: (leaf.sum(), {"a": leaf * tasks.stop}), 4, 1)
    assert not loss.requires_grad
    assert not grads["a"].requires_grad


@pytest.mark.parametrize("chunk", [0, -1])
def test_chunks_without_tasks_are_refused(chunk):
    with pytest.raises(
        InvalidParameterError,
        match=f"'chunk' parameter of chunked must be None or an int >= 1. Got {chunk} ",
    ):
        chunked(of_some, N_TASKS, chunk)


def test_the_graph_of_a_chunk_is_gone_before_the_next(held):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Chain(
            nn.Conv2d(1, 4, 3),
            BatchNorm(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(36, 1),
        )
    x, y = torch.randn(8, 6, 1, 8, 8, generator=torch.Generator()), torch.zeros(8, 6, 1)
    maml, forward = MAML(0.1, 2), folded(network)
    meta = maml.init(module_params(network))

    def of_some(tasks):
        loss = BatchLoss(forward, mean_squared_error, x[tasks], y[tasks])
        return maml.meta_gradients(meta, loss, loss, tasks.stop - tasks.start)

    def peak(chunk):
        held.now = held.peak = 0
        with held.counting():
            chunked(of_some, 8, chunk)
        assert held.now == 0
        return held.peak

    whole = peak(None)
    assert whole > 8 * 6 * 4 * 36  # the hooks did see the activations
    assert peak(1) == pytest.approx(whole / 8, rel=0.1)
    assert peak(3) == pytest.approx(3 * whole / 8, rel=0.1)


def test_results_of_several_workers_come_in_order_and_their_sum_is_the_same():
    alone, together = (chunked(of_some, N_TASKS, 2, workers=workers) for workers in (1, 3))
    assert torch.equal(alone[0], together[0])
    assert all(torch.equal(leaf, together[1][name]) for name, leaf in alone[1].items())


@pytest.fixture
def threads():
    """Set PyTorch's threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_workers_run_at_the_same_time_on_one_thread_each_and_leave_no_trace(threads):
    threads(2)
    both_are_here = threading.Barrier(2, timeout=20)

    def meet(_: slice) -> tuple[int, str, bool]:
        both_are_here.wait()
        return torch.get_num_threads(), threading.current_thread().name, torch.is_grad_enabled()

    with torch.no_grad():
        found = list(in_order(meet, [slice(0, 1), slice(1, 2)], 2))
    assert [(n, grad) for n, _, grad in found] == [(1, False), (1, False)]
    assert len({name for _, name, _ in found}) == 2
    assert torch.get_num_threads() == 2


def test_threads_are_divided_among_the_workers(threads):
    threads(4)
    found = list(in_order(lambda _: torch.get_num_threads(), [slice(0, 1), slice(1, 2)], 4))
    assert found == [2, 2]
    assert torch.get_num_threads() == 4


def test_under_autocast_the_caller_does_all():
    def where(_):
        return threading.current_thread().name, torch.is_autocast_enabled("cpu")

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = set(in_order(where, [slice(0, 1), slice(1, 2)], 2))
    assert found == {(threading.current_thread().name, True)}


def test_a_workers_error_is_the_callers():
    def fail(part: slice) -> None:
        raise ZeroDivisionError(part.stop)

    with pytest.raises(ZeroDivisionError, match="1"):
        list(in_order(fail, [slice(0, 1), slice(1, 2)], 2))
