"""Peak memory of one meta-iteration: of a process of its own, or of a GPU's allocator."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import torch

from automl_meta.benchmark.engine_peers import find_peers
from automl_meta.benchmark.engine_settings import EngineSettings, same_for_everyone
from automl_meta.benchmark.engine_work import (
    Competitor,
    Work,
    make_work,
    ours,
    plain_loop,
)

_MIB = 2**20


def peak_memory(competitor: Competitor, work: Work) -> float | None:
    """Measure how much memory one meta-iteration takes at most, beyond weights, data and libraries.

    Args:
        competitor: Who.
        work: What.

    Returns:
        MiB, or None where it cannot be measured.
    """
    if work.device.type == "cuda":
        return _on_gpu(competitor, work)
    order = {
        "settings": asdict(work.settings),
        "name": competitor.name,
        "kind": competitor.kind,
        "chunk": competitor.chunk,
    }
    done = subprocess.run(  # noqa: S603 - this interpreter with this module
        [sys.executable, "-m", "automl_meta.benchmark.engine_memory", json.dumps(order)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 and done.stdout else None


def _on_gpu(competitor: Competitor, work: Work) -> float:
    run = competitor.make(work)
    torch.cuda.synchronize(work.device)
    before = torch.cuda.memory_allocated(work.device)
    torch.cuda.reset_peak_memory_stats(work.device)
    run()
    torch.cuda.synchronize(work.device)
    return float(torch.cuda.max_memory_allocated(work.device) - before) / _MIB


def _answer(order: dict[str, Any]) -> float:
    values = order["settings"]
    settings = EngineSettings(**values | {"executions": tuple(values["executions"])})
    with same_for_everyone(settings) as device:
        work = make_work(settings, device)
        run = _competitor(order, settings).make(work)
        before = psutil.Process(os.getpid()).memory_info().rss
        run()
        return max(0.0, float(_highest() - before) / _MIB)


def _competitor(order: dict[str, Any], settings: EngineSettings) -> Competitor:
    if order["kind"] == "ours":
        return ours(order["name"], order["chunk"])
    if order["kind"] == "plain":
        return plain_loop()
    return next(peer for peer in find_peers(settings)[0] if peer.name == order["name"])


def _highest() -> int:
    """Return the most memory that this process ever had resident, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # In bytes on macOS, in KiB elsewhere; on Linux it may count the process that started this one.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    sys.stdout.write(f"{_answer(json.loads(sys.argv[1]))}\n")
