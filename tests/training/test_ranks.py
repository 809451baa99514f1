import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from automl_meta.training import ALONE, TrainingSettings, train
from automl_meta.training.ranks import joined

START = {"b": torch.tensor([[0.3]]), "a": torch.tensor([2.0, -1.0, 0.5])}
SETTINGS = TrainingSettings(
    steps=12, learning_rate=0.05, schedule="cosine", clip_norm=1.0, validate_every=4, log_every=1
)

WORKER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import torch
    from automl_meta.training import train
    from automl_meta.training.ranks import joined
    sys.path.insert(0, sys.argv[2])
    from test_ranks import SETTINGS, START, noisy, validation

    folder = Path(sys.argv[1])
    with joined(torch.device("cpu")) as ranks:
        for stop in (5, None):  # interrupted, then resumed
            generator = torch.Generator().manual_seed(ranks.rank)
            result = train(
                START, noisy, settings=SETTINGS, generator=generator, folder=folder, resume=True,
                validate=validation, ranks=ranks, on_step=lambda step: ranks.is_first and step.number == stop,
            )
        torch.save((result.params, result.best_validation), folder / f"rank-{ranks.rank}.pt")
    """
)


def noisy(params, generator, progress):
    """Gradient of the squared distance to a random point, heavier in one leaf."""
    errors = {
        name: leaf - torch.randn(leaf.shape, generator=generator) for name, leaf in params.items()
    }
    loss = sum(error.square().sum() for error in errors.values()) / 2
    return loss, errors


def validation(params):
    return params["a"].square().sum().item()


def averaged(seeds):
    """One process that draws a batch from each generator and averages the gradients."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def gradient(params, _generator, progress):
        parts = [noisy(params, generator, progress) for generator in generators]
        loss = torch.stack([loss for loss, _ in parts]).mean()
        return loss, {name: torch.stack([g[name] for _, g in parts]).mean(0) for name in params}

    return gradient


def test_alone_nothing_is_sent():
    loss, grads = ALONE.mean(torch.tensor(2.0), {"a": torch.ones(2)})
    assert (loss.item(), grads["a"].tolist()) == (2.0, [1.0, 1.0])
    assert ALONE.agreed(0.5, 1.0) == (0.5, 1.0)
    (same,) = ALONE.gathered(torch.ones(3))
    assert same.tolist() == [1.0, 1.0, 1.0]
    assert ALONE.is_first


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(torch.device("cpu")) as ranks:
        assert ranks is ALONE


def test_two_processes_are_one_with_both_batches(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    shared |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), str(Path(__file__).parent)],
            env=os.environ | shared | {"RANK": str(rank)},
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    try:
        for worker in workers:
            _, errors = worker.communicate(timeout=60)
            assert worker.returncode == 0, errors.decode()
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    (first, validated), (second, same) = (torch.load(tmp_path / f"rank-{r}.pt") for r in range(2))
    single = train(
        START,
        averaged([0, 1]),
        settings=SETTINGS,
        generator=torch.Generator(),
        validate=validation,
    )
    for name in START:
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], single.params[name], rtol=1e-6, atol=1e-7)
    assert validated == same == pytest.approx(single.best_validation, rel=1e-6)
    alone = train(START, averaged([0]), settings=SETTINGS, generator=torch.Generator())
    assert not torch.allclose(alone.params["a"], first["a"], rtol=1e-2)
    # the first alone wrote: twelve lines, each step once
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 12
