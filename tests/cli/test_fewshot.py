import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automl_meta.cli.app import run

SMALL = "--budget 4 --filters 4 --meta-batch 2 --queries 2 --validate-every 2 --test-episodes 4 --threads 1"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder, rng = tmp_path / "pictures", np.random.default_rng(0)
    for c in range(8):
        (folder / f"class-{c}").mkdir(parents=True)
        for i in range(18):
            pixels = rng.integers(0, 255, (28, 28), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class-{c}" / f"{i}.png")
    return folder


def words(data: object, output: Path, extra: str = "") -> list[str]:
    start = f"fewshot --learner maml --ways 2 {SMALL} {extra}".split()
    return [*start, "--data", str(data), "--output", str(output)]


def test_a_folder_of_pictures(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(words(pictures, tmp_path / "out")) == 0
    shown = capsys.readouterr()
    assert "MAML on pictures, 2-way 1-shot" in shown.out
    assert "report.html" in shown.out
    assert "step 4" in shown.err
    for name in ("report.html", "result.json", "meta.safetensors", "loss.svg", "episode-1.svg"):
        assert (tmp_path / "out" / name).is_file()


def test_json_and_resume(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    line = words("sinusoid", tmp_path / "out", "--json")
    assert run(line) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["status"] == "finished"
    assert len(first["tests"]) == 9
    assert run(line) == 2
    assert "--resume" in capsys.readouterr().err
    assert run([*line, "--resume"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["training"] == first["training"]


def test_options_reach_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    extra = (
        "--json --inner-rate 0.02 --inner-steps 2 --learning-rate 1e-2 --schedule linear --seed 4"
    )
    extra += " --no-transductive --execution looped --chunk 1 --patience 9 --precision float32 --device cpu"
    assert run(words("harmonic", tmp_path / "out", extra)) == 0
    document = json.loads(capsys.readouterr().out)
    settings, training = document["settings"], document["settings"]["training"]
    wanted = {"inner_rate": 0.02, "inner_steps": 2, "seed": 4, "transductive": False, "chunk": 1}
    assert {name: settings[name] for name in wanted} == wanted
    assert document["transductive"] is False
    assert document["learner"]["execution"] == "looped"
    wanted = {"learning_rate": 0.01, "schedule": "linear", "steps": 4, "patience": 9}
    assert {name: training[name] for name in wanted} == wanted


def test_a_budget_of_time(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    line = words("sinusoid", tmp_path / "out", "--json")
    line[line.index("--budget") + 1] = "0.2s"
    assert run(line) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["training"]["stopped_by"] == "seconds"
    assert 0.2 <= document["training"]["seconds"] < 5


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("--learner mamba", "'learner' parameter of fewshot must be one of maml"),
        ("--budget soon", "'budget' parameter of fewshot must be a duration"),
        ("--budget 0", "'budget' parameter of fewshot must be an int >= 1"),
        ("--inner-rate -1", "'inner_rate' parameter of fewshot must be a finite number > 0"),
        ("--ways 1", "'ways' parameter of fewshot must be an int >= 2"),
        ("--suite nowhere", "'suite' parameter of fewshot must be a TOML file"),
        ("--device tpu", "'device' parameter of fewshot"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, extra: str, message: str
) -> None:
    assert run([*words("sinusoid", tmp_path / "out"), *extra.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out" / "result.json").exists()


def test_missing_data(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    line = words("omniglot", tmp_path / "out", f"--data-folder {tmp_path}")
    assert run(line) == 1
    assert "No Omniglot in" in capsys.readouterr().err


def test_a_suite(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    suite = tmp_path / "two.toml"
    suite.write_text(
        'title = "Two"\n[defaults]\ndata = "sinusoid"\nvalidation_episodes = 4\n'
        '[[run]]\nname = "a"\nlearner = "maml"\n[[run]]\nname = "b"\nlearner = "meta-sgd"\n'
    )
    line = ["fewshot", "--suite", str(suite), "--output", str(tmp_path / "out"), *SMALL.split()]
    assert run([*line, "--only", "b"]) == 0
    assert "1 of 2 runs" in capsys.readouterr().out
    before = (tmp_path / "out" / "b" / "result.json").read_text()
    assert run([*line, "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in table["runs"]] == ["finished", "finished"]
    assert (tmp_path / "out" / "b" / "result.json").read_text() == before
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "a" / "report.html").is_file()


def test_ctrl_c_ends_the_training_and_tests_what_there_is(tmp_path: Path) -> None:
    line = words("sinusoid", tmp_path / "out")
    line[line.index("--budget") + 1] = "1000000"
    # Python's own handler is missing where a test runner is started in the background.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from automl_meta.cli.app import run\n"
        f"sys.exit(run({line!r}))"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        log, deadline = tmp_path / "out" / "training" / "log.jsonl", time.monotonic() + 60
        while not log.is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        worker.send_signal(signal.SIGINT)
        out, error = worker.communicate(timeout=60)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == 130, error.decode()
    assert b"Press Ctrl-C again" in error
    assert b"--resume goes on" in out
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document["status"] == "interrupted"
    assert len(document["tests"]) == 9
