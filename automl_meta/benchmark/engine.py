"""One meta-iteration of MAML: our executions beside a plain loop and beside other libraries, in one run.

Everyone gets the same weights, episodes, threads and precision, is run once to warm up, and is then timed in
turns, so that a machine that changes its pace does so for all. Ratios compare medians; their range is that of
the rounds.
"""

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TypeAlias

import torch

from automl_meta._typing import JSON
from automl_meta.benchmark import engine_cost, engine_memory
from automl_meta.benchmark.engine_peers import find_peers
from automl_meta.benchmark.engine_settings import EngineSettings, same_for_everyone
from automl_meta.benchmark.engine_work import (
    CAPTURED,
    PLAIN,
    Competitor,
    MetaGradient,
    Work,
    default_chunk,
    make_work,
    ours,
    plain_loop,
)
from automl_meta.metalearn import Params
from automl_meta.runs.result import machine_record

SCHEMA = "automl-meta/bench-engine/1"
#: Stands for learn2learn where it cannot be built: measured side by side, it took 0.85 of a plain loop's time.
STAND_IN = 0.85
_CHUNKS = (1, 2, 4, 8, 16)
_GPU_CHUNKS = (8, 32)
#: Tasks on which the gradients are compared in float64.
_EXACT_TASKS = 2

Progress: TypeAlias = Callable[[int, int, str], None]


@dataclass(eq=False)
class _Lane:
    """A competitor and what was measured of it."""

    competitor: Competitor
    run: MetaGradient
    gradient: Params
    seconds: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.competitor.name


def bench_engine(
    settings: EngineSettings, *, command: str = "", on_progress: Progress | None = None
) -> JSON:
    """Measure everyone on the same meta-iteration.

    Args:
        settings: What is measured, and how.
        command: What measures it again, for the record.
        on_progress: Called with (done, all, name) before each part.

    Returns:
        The document of ``result.json``: see ``docs/bench-engine.md``.

    Raises:
        InvalidParameterError: If there is no such device, or too few images.
        StoreError: If there is no Omniglot.
    """
    with same_for_everyone(settings) as device:
        work = make_work(settings, device)
        peers, missing = find_peers(settings) if settings.peers else ([], {})
        steps = _Steps(on_progress, settings, len(peers))
        chunk, search = _chunk(work, steps)
        competitors = [plain_loop(), *_executions(settings, device, chunk), *peers]
        lanes = _warmed_up(competitors, work, missing, steps)
        exact, truth = _exact(lanes, work, steps)
        speed = [_speed(work, chunk, steps)]
        _rounds(lanes, settings.repeats, device, steps)
        speed.append(_speed(work, chunk, steps))
        memory, by_chunk = _memory(lanes, work, chunk, steps)
        cost = _cost(work, speed)
        rows = [
            _row(lane, lanes, cost, memory)
            | {"difference_to_plain_float64": exact[lane.name], "error": truth[lane.name]}
            for lane in lanes
        ]
    return {
        "schema": SCHEMA,
        "command": command,
        "settings": asdict(settings) | {"executions": list(settings.executions)},
        "device": device.type,
        "machine": _machine(device),
        "versions": _versions(),
        "cost": cost,
        "chunk": {"folded": chunk, "searched_seconds": search},
        "memory_mib_by_chunk": by_chunk,
        "competitors": rows,
        "missing": missing,
        "summary": _summary(lanes),
    }


class _Steps:
    """Counts the parts of the run for ``on_progress``."""

    def __init__(self, show: Progress | None, settings: EngineSettings, n_peers: int) -> None:
        everyone = 1 + len(settings.executions) + n_peers
        parts = everyone * (2 + settings.repeats + settings.memory) + 3
        searched = "folded" in settings.executions
        parts += searched * ((settings.chunk is None) + 2 * settings.memory)
        self._show, self._all, self._done = show, parts, 0

    def __call__(self, name: str) -> None:
        if self._show:
            self._show(min(self._done, self._all - 1), self._all, name)
        self._done += 1


def _executions(
    settings: EngineSettings, device: torch.device, chunk: int | None
) -> list[Competitor]:
    found = [
        ours(name, chunk if name == "folded" else default_chunk(name, device))
        for name in settings.executions
    ]
    if device.type == "cuda" and "folded" in settings.executions:
        found.insert(0, ours("folded", chunk, capture=True))
    return found


def _chunk(work: Work, steps: _Steps) -> tuple[int | None, dict[str, float]]:
    """Return the folded execution's fastest number of tasks at once, and each one's seconds."""
    settings = work.settings
    if settings.chunk is not None or "folded" not in settings.executions:
        return settings.chunk, {}
    steps("folded: searching the chunk")
    sizes = _sizes(settings.tasks, on_gpu=work.device.type == "cuda")
    runs = {size: ours("folded", size).make(work) for size in sizes}
    timed = {size: float("inf") for size in sizes}
    for _ in range(2):  # in turns; the first also warms up
        for size, run in runs.items():
            timed[size] = min(timed[size], engine_cost.seconds(run, work.device))
    best = min(timed, key=lambda size: timed[size])
    return best, {str(size or settings.tasks): seconds for size, seconds in timed.items()}


def _sizes(n_tasks: int, *, on_gpu: bool) -> list[int | None]:
    """Return what is tried: on a processor few tasks, whose memory is small; on a GPU up to all."""
    sizes = _GPU_CHUNKS if on_gpu else _CHUNKS
    fewer: list[int | None] = [size for size in sizes if size < n_tasks]
    return [*fewer, None] if on_gpu or n_tasks <= max(sizes) else fewer


def _warmed_up(
    competitors: Sequence[Competitor], work: Work, missing: dict[str, str], steps: _Steps
) -> list[_Lane]:
    """Run everyone once; a library that breaks, or a graph, is added to those that are missing."""
    lanes = []
    for competitor in competitors:
        steps(f"{competitor.name}: warming up")
        try:
            run = competitor.make(work)
            lanes.append(_Lane(competitor, run, run()))
        except Exception as error:
            if competitor.kind != "peer" and not competitor.name.endswith(CAPTURED):
                raise
            missing[competitor.name] = f"fails here ({type(error).__name__}: {error})"
    return lanes


def _rounds(lanes: Sequence[_Lane], repeats: int, device: torch.device, steps: _Steps) -> None:
    """Time everyone in turns; each round starts with another one."""
    for number in range(repeats):
        start = number % len(lanes)
        for lane in (*lanes[start:], *lanes[:start]):
            steps(f"{lane.name}: round {number + 1} of {repeats}")
            gc.collect()
            lane.seconds.append(engine_cost.seconds(lane.run, device))


def _exact(
    lanes: Sequence[_Lane], work: Work, steps: _Steps
) -> tuple[dict[str, float], dict[str, float]]:
    """Compare with the plain loop in float64.

    Returns:
        Everyone's relative difference in float64, on a few tasks; and that of the gradients of the run, on all.
    """
    few = work.small(min(_EXACT_TASKS, len(work.episodes))).double()
    gradients = {}
    for lane in lanes:
        steps(f"{lane.name}: float64")
        gradients[lane.name] = lane.competitor.make(few)()
    exact = {name: _difference(each, gradients[PLAIN]) for name, each in gradients.items()}
    steps("plain loop: float64, all tasks")
    truth = plain_loop().make(work.double())()
    return exact, {lane.name: _difference(lane.gradient, truth) for lane in lanes}


def _difference(gradient: Params, reference: Params) -> float:
    """Return the norm of the difference over the norm of the reference, over all parameters."""
    apart = sum(
        float((gradient[n] - leaf).double().square().sum()) for n, leaf in reference.items()
    )
    whole = sum(float(leaf.double().square().sum()) for leaf in reference.values())
    return float((apart / whole) ** 0.5)


def _speed(work: Work, chunk: int | None, steps: _Steps) -> tuple[float, float]:
    steps("matrix products")
    n_tasks = chunk or work.settings.tasks
    return (
        engine_cost.peak(work.device),
        engine_cost.floor(work.settings, min(n_tasks, work.settings.tasks), work.device),
    )


def _cost(work: Work, speed: Sequence[tuple[float, float]]) -> JSON:
    return {
        "flops": engine_cost.flops(work.settings),
        "peak_side": engine_cost.PEAK_SIDE[work.device.type],
        "peak_flops_per_second": max(rate for rate, _ in speed),
        "floor_seconds": min(floor for _, floor in speed),
        "parameters": sum(leaf.numel() for leaf in work.weights.values()),
    }


def _memory(
    lanes: Sequence[_Lane], work: Work, chunk: int | None, steps: _Steps
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return everyone's peak, and the folded execution's by the number of tasks at once."""
    if not work.settings.memory:
        return {}, {}
    peaks: dict[str, float | None] = {}
    for lane in lanes:
        steps(f"{lane.name}: peak memory")
        peaks[lane.name] = engine_memory.peak_memory(lane.competitor, work)
    if "folded" not in peaks:
        return peaks, {}
    tasks = work.settings.tasks
    by_chunk = {chunk or tasks: peaks["folded"]}
    for size in {1, min(8, tasks)} - by_chunk.keys():
        steps(f"folded, {size} at once: peak memory")
        by_chunk[size] = engine_memory.peak_memory(ours("folded", size), work)
    return peaks, {str(size): by_chunk[size] for size in sorted(by_chunk)}


def _row(
    lane: _Lane,
    lanes: Sequence[_Lane],
    cost: JSON,
    memory: Mapping[str, float | None],
) -> JSON:
    plain = next(each for each in lanes if each.name == PLAIN)
    median = statistics.median(lane.seconds)
    return {
        "name": lane.name,
        "kind": lane.competitor.kind,
        "chunk": lane.competitor.chunk,
        "seconds": lane.seconds,
        "median_seconds": median,
        "faster_than": {
            other.name: _ratio(other.seconds, lane.seconds)
            for other in lanes
            if other.competitor.kind != "ours" and other is not lane
        },
        "difference_to_plain": _difference(lane.gradient, plain.gradient),
        "peak_memory_mib": memory.get(lane.name),
        "flops_per_second": cost["flops"] / median,
        "share_of_peak": cost["flops"] / median / cost["peak_flops_per_second"],
        "share_of_floor": cost["floor_seconds"] / median,
    }


def _ratio(slow: Sequence[float], fast: Sequence[float], factor: float = 1.0) -> JSON:
    rounds = [factor * one / other for one, other in zip(slow, fast, strict=True)]
    return {
        "of_medians": factor * statistics.median(slow) / statistics.median(fast),
        "lowest_round": min(rounds),
        "highest_round": max(rounds),
    }


def _summary(lanes: Sequence[_Lane]) -> JSON:
    """Return our fastest execution beside learn2learn, or beside what stands for it."""
    mine = [lane for lane in lanes if lane.competitor.kind == "ours"]
    best = min(mine, key=lambda lane: statistics.median(lane.seconds))
    by_name = {lane.name: lane for lane in lanes}
    if "learn2learn" in by_name:
        ratio = _ratio(by_name["learn2learn"].seconds, best.seconds)
        return {"fastest": best.name, "reference": "learn2learn", "faster": ratio}
    ratio = _ratio(by_name[PLAIN].seconds, best.seconds, STAND_IN)
    return {"fastest": best.name, "reference": f"{PLAIN} x {STAND_IN}", "faster": ratio}


def _machine(device: torch.device) -> JSON:
    record = machine_record()
    return record | {"gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None}


def _versions() -> dict[str, str]:
    found = {}
    for package in ("torch", "learn2learn", "higher", "torchopt"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
