import json

import pytest
import torch

from automl_meta.exceptions import StoreError
from automl_meta.training import (
    Checkpoint,
    OptimizerState,
    TrainingSettings,
    load_checkpoint,
    optimizer_init,
    save_checkpoint,
)


def make(step: int = 7) -> Checkpoint:
    params = {"layer.0/weight": torch.arange(6.0).reshape(2, 3).T, "scale": torch.tensor(2.5)}
    moments = optimizer_init(params, TrainingSettings(steps=1))
    return Checkpoint(
        step=step,
        params=params,
        optimizer=OptimizerState(
            step, {k: v + 1 for k, v in moments.first.items()}, moments.second
        ),
        best_params={k: v * 2 for k, v in params.items()},
        generators=tuple(torch.Generator().manual_seed(4 + i).get_state() for i in range(12)),
        counters={"best_validation": None},
        settings={"steps": 10},
    )


def test_round_trip(tmp_path):
    written = make()
    save_checkpoint(tmp_path, written)
    read = load_checkpoint(tmp_path)
    assert (read.step, read.optimizer.updates) == (7, 7)
    assert (read.counters, read.settings) == (written.counters, written.settings)
    assert len(read.generators) == 12  # more than ten, so that their order by name is not by number
    assert all(map(torch.equal, read.generators, written.generators))
    pairs = [
        (read.params, written.params),
        (read.best_params, written.best_params),
        (read.optimizer.first, written.optimizer.first),
        (read.optimizer.second, written.optimizer.second),
    ]
    for ours, theirs in pairs:
        assert set(ours) == set(theirs)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_newer_one_replaces_the_older(tmp_path):
    save_checkpoint(tmp_path, make(1))
    save_checkpoint(tmp_path, make(2))
    assert load_checkpoint(tmp_path).step == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-00000002.safetensors",
        "checkpoint.json",
    ]


def test_kill_between_the_two_files_leaves_the_older_one(tmp_path):
    save_checkpoint(tmp_path, make(1))
    (tmp_path / "checkpoint-00000002.safetensors").write_bytes(b"half a file")
    (tmp_path / "checkpoint.json.partial").write_bytes(b"{")
    assert load_checkpoint(tmp_path).step == 1


def _flip_byte(folder):
    path = folder / "checkpoint-00000007.safetensors"
    payload = bytearray(path.read_bytes())
    payload[-3] ^= 1
    path.write_bytes(payload)


def _cut(folder):
    path = folder / "checkpoint-00000007.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def _edit(**changes):
    def change(folder):
        path = folder / "checkpoint.json"
        index = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in index.items() if v != "drop"}))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip_byte, "checksum"),
        (_cut, "checksum"),
        (lambda folder: (folder / "checkpoint-00000007.safetensors").unlink(), "missing"),
        (lambda folder: (folder / "checkpoint.json").write_text("{"), "not readable JSON"),
        (lambda folder: (folder / "checkpoint.json").write_text("[]"), "schema"),
        (_edit(schema="automl-meta/checkpoint/0"), "schema is 'automl-meta/checkpoint/0'"),
        (_edit(updates="drop"), "lacks updates"),
        (_edit(step="seven"), "wrong type"),
    ],
)
def test_damage_is_named_with_its_path(tmp_path, damage, message):
    save_checkpoint(tmp_path, make())
    damage(tmp_path)
    with pytest.raises(StoreError, match=message) as caught:
        load_checkpoint(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "without resume" in str(caught.value)


def test_other_content_with_a_right_checksum_is_refused(tmp_path):
    import hashlib

    from safetensors.torch import save

    save_checkpoint(tmp_path, make())
    path = tmp_path / "checkpoint-00000007.safetensors"
    for payload, message in [
        (b"no tensors here", "no safetensors file"),
        (save({"params/w": torch.ones(1)}), "lacks best, generator"),
    ]:
        path.write_bytes(payload)
        _edit(sha256=hashlib.sha256(payload).hexdigest())(tmp_path)
        with pytest.raises(StoreError, match=message):
            load_checkpoint(tmp_path)
