import json
import sys
import types
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from automl_meta.benchmark import engine, engine_cost, engine_memory, engine_peers, engine_work
from automl_meta.benchmark.engine import bench_engine
from automl_meta.benchmark.engine_cost import flops, layers
from automl_meta.benchmark.engine_peers import find_peers
from automl_meta.benchmark.engine_report import (
    markdown_report,
    new_folder,
    notes,
    table,
    write_engine,
)
from automl_meta.benchmark.engine_settings import EngineSettings, same_for_everyone
from automl_meta.benchmark.engine_work import (
    PLAIN,
    Competitor,
    make_work,
    ours,
    plain_loop,
)
from automl_meta.exceptions import InvalidParameterError, StoreError

TINY = EngineSettings(
    ways=2,
    queries=2,
    steps=2,
    tasks=3,
    filters=4,
    threads=1,
    repeats=2,
    device="cpu",
    peers=False,
    memory=False,
)


@pytest.fixture(autouse=True)
def small_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cost, "PEAK_SIDE", {"cpu": 32, "cuda": 32})


def work_of(settings: EngineSettings):
    return make_work(settings, torch.device("cpu"))


def apart(one: dict, other: dict) -> float:
    assert one.keys() == other.keys()
    return max(float((one[n] - other[n]).norm() / other[n].norm()) for n in other)


# --- the same work


@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize("net", ["stride", "max"])
def test_every_execution_gives_the_plain_loops_gradient(order: str, net: str) -> None:
    work = work_of(replace(TINY, order=order, net=net, shots=2)).double()
    wanted = plain_loop().make(work)()
    for execution, chunk in (("folded", 2), ("folded", None), ("vectorized", 2), ("looped", 1)):
        assert apart(ours(execution, chunk).make(work)(), wanted) < 1e-9, execution


def test_the_plain_loop_is_the_derivative_of_the_loss_after_adaptation() -> None:
    work = work_of(replace(TINY, tasks=2)).double()
    gradient = plain_loop().make(work)()
    step = 1e-7  # so small that no ReLU changes sides
    for name, place in (
        ("head.weight", (0, 1)),
        ("conv4.weight", (1, 2, 1, 1)),
        ("norm1.bias", (3,)),
    ):

        def loss_at(shift: float, name=name, place=place) -> float:
            weights = {n: leaf.clone() for n, leaf in work.weights.items()}
            weights[name][place] += shift
            return loss_after_adaptation(replace(work, weights=weights))

        slope = (loss_at(step) - loss_at(-step)) / (2 * step)
        assert float(gradient[name][place]) == pytest.approx(slope, rel=1e-4, abs=1e-9), name


def loss_after_adaptation(work) -> float:
    """The mean query loss of the tasks, by PyTorch's own optimiser on PyTorch's own layers."""
    losses = []
    for task in range(len(work.episodes)):
        model = engine_peers._module(work)
        optimizer = torch.optim.SGD(model.parameters(), lr=work.settings.inner_rate)
        for _ in range(work.settings.steps):
            optimizer.zero_grad()
            support = model(work.episodes.support_x[task])
            nn.functional.cross_entropy(support, work.episodes.support_y[task]).backward()
            optimizer.step()
        query = model(work.episodes.query_x[task])
        losses.append(nn.functional.cross_entropy(query, work.episodes.query_y[task]).item())
    return sum(losses) / len(losses)


def test_the_orders_differ() -> None:
    second, first = (
        plain_loop().make(work_of(replace(TINY, order=o)))() for o in ("second", "first")
    )
    assert apart(second, first) > 1e-3


def test_the_module_of_peers_is_the_plain_network() -> None:
    for net in ("stride", "max"):
        work = work_of(replace(TINY, net=net))
        model = engine_peers._module(work)
        assert {n: tuple(p.shape) for n, p in model.named_parameters()} == {
            n: tuple(p.shape) for n, p in work.weights.items()
        }
        x = work.episodes.query_x[0]
        torch.testing.assert_close(model(x), engine_work._conv4(work.weights, x, net))


def test_a_seed_decides_weights_and_data() -> None:
    one, same, other = (work_of(replace(TINY, seed=s)) for s in (0, 0, 1))
    assert torch.equal(one.episodes.query_x, same.episodes.query_x)
    assert torch.equal(one.weights["conv2.weight"], same.weights["conv2.weight"])
    assert not torch.equal(one.episodes.query_x, other.episodes.query_x)
    assert not torch.equal(one.weights["conv2.weight"], other.weights["conv2.weight"])
    assert one.episodes.support_y[0].tolist() == [0, 1]


def test_no_omniglot(tmp_path: Path) -> None:
    settings = replace(TINY, data="omniglot", data_folder=str(tmp_path))
    with pytest.raises(StoreError, match="No Omniglot"):
        work_of(settings)


# --- other libraries


@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize("library", ["learn2learn", "higher", "torchopt"])
def test_a_library_gives_the_plain_loops_gradient(library: str, order: str) -> None:
    settings = replace(TINY, peers=True, order=order)
    found, missing = find_peers(settings)
    peer = next((peer for peer in found if peer.name.lower() == library), None)
    if peer is None:
        pytest.skip(next(f"{n} {why}" for n, why in missing.items() if n.lower() == library))
    work = work_of(settings).double()
    run, wanted = peer.make(work), plain_loop().make(work)()
    for _ in range(2):  # nothing is left over from the first time
        assert apart(run(), wanted) < 1e-9


def test_a_library_that_cannot_be_imported_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("learn2learn", "higher", "torchopt"):
        monkeypatch.setitem(sys.modules, name, None)
    document = bench_engine(replace(TINY, peers=True, executions=("folded",), chunk=2))
    assert set(document["missing"]) == {"learn2learn", "higher", "TorchOpt"}
    assert "cannot be imported (ModuleNotFoundError" in document["missing"]["higher"]
    assert document["summary"]["reference"] == "plain loop x 0.85"
    assert any(note.startswith("higher: left out, cannot be imported") for note in notes(document))


def test_a_library_that_breaks_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("higher", "torchopt"):
        monkeypatch.setitem(sys.modules, name, None)
    # Imports, but is of another version.
    monkeypatch.setitem(sys.modules, "learn2learn", types.ModuleType("learn2learn"))
    document = bench_engine(replace(TINY, peers=True, executions=("folded",), chunk=2))
    assert "fails here (AttributeError" in document["missing"]["learn2learn"]


def test_torchopt_has_no_first_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchopt", types.ModuleType("torchopt"))
    assert "TorchOpt" not in find_peers(TINY)[1]
    assert "no first-order" in find_peers(replace(TINY, order="first"))[1]["TorchOpt"]


# --- the measurement


def test_the_document() -> None:
    names: list[tuple[int, int, str]] = []
    document = bench_engine(
        TINY, command="the command", on_progress=lambda *event: names.append(event)
    )
    json.dumps(document)
    rows = {row["name"]: row for row in document["competitors"]}
    assert list(rows) == [PLAIN, "folded", "vectorized", "looped"]
    assert document["chunk"]["searched_seconds"].keys() == {"1", "2", "3"}
    plain = rows[PLAIN]
    for name, row in rows.items():
        assert len(row["seconds"]) == TINY.repeats
        assert min(row["seconds"]) > 0
        assert row["difference_to_plain"] < 1e-3
        assert row["error"] < 1e-3
        assert row["difference_to_plain_float64"] < 1e-9
        assert row["flops_per_second"] == document["cost"]["flops"] / row["median_seconds"]
        if name != PLAIN:
            ratio = row["faster_than"][PLAIN]
            assert ratio["of_medians"] == plain["median_seconds"] / row["median_seconds"]
            rounds = [p / s for p, s in zip(plain["seconds"], row["seconds"], strict=True)]
            assert (ratio["lowest_round"], ratio["highest_round"]) == (min(rounds), max(rounds))
    best = min(("folded", "vectorized", "looped"), key=lambda n: rows[n]["median_seconds"])
    assert document["summary"]["fastest"] == best
    assert document["summary"]["faster"]["of_medians"] == pytest.approx(
        0.85 * rows[best]["faster_than"][PLAIN]["of_medians"]
    )
    assert [done for done, _, _ in names] == list(range(names[0][1]))


def test_competitors_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    lanes = [
        engine._Lane(Competitor(name, "ours", None), lambda name=name: calls.append(name), {})
        for name in "abc"
    ]
    steps = engine._Steps(None, TINY, 0)
    engine._rounds(lanes, 3, torch.device("cpu"), steps)
    assert "".join(calls) == "abcbcacab"


def test_a_wrong_gradient_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(work):
        run = plain_loop().make(work)
        return lambda: {name: 1.01 * leaf for name, leaf in run().items()}

    monkeypatch.setattr(engine, "ours", lambda name, chunk: Competitor(name, "ours", make, chunk))
    document = bench_engine(replace(TINY, executions=("folded",), chunk=1))
    row = document["competitors"][1]
    for kind in ("difference_to_plain", "error", "difference_to_plain_float64"):
        assert row[kind] == pytest.approx(0.01, rel=0.05)


def test_global_switches_are_set_and_restored() -> None:
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    cudnn = torch.backends.cudnn.allow_tf32
    other = {"highest": "medium"}.get(before[0], "highest")
    with same_for_everyone(replace(TINY, matmul=other, threads=before[1] + 1)):
        assert torch.get_float32_matmul_precision() == other
        assert torch.get_num_threads() == before[1] + 1
        assert torch.backends.cudnn.allow_tf32 == (other != "highest")
    assert (torch.get_float32_matmul_precision(), torch.get_num_threads()) == before
    assert torch.backends.cudnn.allow_tf32 == cudnn


def test_peak_memory_grows_with_the_chunk() -> None:
    settings = replace(TINY, filters=64, tasks=8, queries=15, executions=("folded",))
    work = work_of(settings)
    one, all_of_them = (engine_memory.peak_memory(ours("folded", size), work) for size in (1, 8))
    assert one is not None
    assert all_of_them is not None
    assert 1 < one < all_of_them < 2000


def test_memory_is_that_of_the_named_competitor() -> None:
    order = {"kind": "ours", "name": "vectorized", "chunk": 2, "settings": asdict(TINY)}
    found = engine_memory._competitor(order, TINY)
    assert (found.name, found.chunk) == ("vectorized", 2)
    assert engine_memory._competitor(order | {"kind": "plain"}, TINY).name == PLAIN
    assert engine_memory._answer(json.loads(json.dumps(order))) >= 0


def test_memory_that_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Competitor("nobody", "peer", None)
    assert engine_memory.peak_memory(gone, work_of(TINY)) is None


# --- the count


def test_the_count_is_that_of_the_kernels() -> None:
    """Every product of the folded execution is counted by PyTorch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    for order in ("second", "first"):
        for net in ("stride", "max"):
            settings = replace(TINY, order=order, net=net)
            run = ours("folded", None).make(work_of(settings))
            with FlopCounterMode(display=False) as counter:
                run()
            assert counter.get_total_flops() == pytest.approx(flops(settings), rel=1e-3)


def test_the_layers_are_those_of_the_network() -> None:
    for net, rows in (("stride", [196, 49, 16, 4, 1]), ("max", [784, 196, 49, 9, 1])):
        settings = EngineSettings(net=net)
        work = work_of(settings)
        assert [layer.rows for layer in layers(settings)] == rows
        sizes = [
            leaf.numel()
            for n, leaf in work.weights.items()
            if n.endswith("weight") and leaf.ndim > 1
        ]
        assert [layer.inner * layer.columns for layer in layers(settings)] == sizes


# --- settings and files


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ways": 1}, "'ways' parameter of benchmark engine must be an int >= 2"),
        ({"repeats": 1}, "'repeats'"),
        ({"chunk": 0}, "'chunk'"),
        ({"order": "third"}, "'order' parameter of benchmark engine must be one of second, first"),
        ({"net": "resnet"}, "'net'"),
        ({"matmul": "low"}, "'matmul'"),
        ({"executions": ("folded", "magic")}, "'executions'"),
        ({"executions": ()}, "'executions'"),
        ({"executions": ("folded", "folded")}, "'executions'"),
        ({"data_folder": "/nowhere"}, "'data_folder'"),
    ],
)
def test_settings_are_checked(changes: dict, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        EngineSettings(**changes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu() -> None:
    with (
        pytest.raises(InvalidParameterError, match="'device'"),
        same_for_everyone(EngineSettings(device="cuda")),
    ):
        pass


def test_the_files(tmp_path: Path) -> None:
    folder = new_folder(tmp_path / "a" / "b")
    document = bench_engine(
        replace(TINY, executions=("looped",)), command="automl-meta benchmark engine"
    )
    write_engine(document, folder)
    assert json.loads((folder / "result.json").read_text()) == document
    text = (folder / "report.md").read_text()
    assert text == markdown_report(document)
    assert "MAML, conv4-4 (stride), 2-way 1-shot" in text
    assert "automl-meta benchmark engine" in text
    header, rows = table(document)
    assert all(len(row) == len(header) for row in rows)
    assert [float(row[1]) for row in rows] == sorted(float(row[1]) for row in rows)
    with pytest.raises(InvalidParameterError, match="new or empty"):
        new_folder(folder)
    with pytest.raises((StoreError, InvalidParameterError)):
        new_folder(folder / "report.md" / "c")
