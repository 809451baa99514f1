"""The command as a process of its own: killed, interrupted, resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import psutil
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

COMMAND = [sys.executable, "-c", "from automl_meta.cli import main; main()", "fit"]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=150), "b": rng.normal(size=150)})
    frame["y"] = np.where(frame["a"] + rng.normal(scale=0.5, size=150) > 0, "p", "n")
    frame.to_csv(tmp_path / "t.csv", index=False)
    text = "--target y --family knn --folds 2 --prior none --output run"
    return [*COMMAND, "--task", "t.csv", *text.split()]


def start(words: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, "the run did not come that far within a minute"
        time.sleep(0.02)


def tells(folder: Path) -> int:
    """Count finished trials in the journal without disturbing it (6 is set_trial_state_values)."""
    path = folder / "run" / "study.log"
    if not path.exists():
        return 0
    return sum(
        '"op_code":6' in line and '"state":1' in line for line in path.read_text().splitlines()
    )


def trials(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "run" / "result.json").read_text())["trials"]
    return found


def test_kill_9_then_resume_loses_nothing(words: list[str], tmp_path: Path) -> None:
    process = start([*words, "--trials", "10000"], tmp_path)
    wait_for(lambda: tells(tmp_path) >= 4, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.communicate()
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "run" / "study.log")))
    study = optuna.load_study(study_name="fit", storage=storage)
    before = [(t.number, t.params, t.value) for t in study.trials if t.state.name == "COMPLETE"]
    assert len(before) >= 4

    wanted = str(len(before) + 2)
    done = subprocess.run(
        [*words, "--trials", wanted, "--resume"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    after = trials(tmp_path)
    complete = [
        (t["number"], t["configuration"], t["score"]) for t in after if t["state"] == "complete"
    ]
    assert complete[: len(before)] == before
    assert len(complete) == len(before) + 2
    assert (tmp_path / "run" / "report.html").is_file()
    assert not (tmp_path / "run" / ".lock").exists()
    gone = psutil.wait_procs(children, timeout=20)
    assert gone[1] == [], "workers of the killed run are still there"


@pytest.mark.parametrize(
    "group",
    [pytest.param(False, id="process", marks=pytest.mark.slow), pytest.param(True, id="terminal")],
)
def test_ctrl_c_writes_everything_and_exits_130(
    group: bool, words: list[str], tmp_path: Path
) -> None:
    process = start([*words, "--trials", "10000"], tmp_path)
    wait_for(lambda: tells(tmp_path) >= 2, process)
    if group:  # a terminal sends SIGINT to the workers too
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip() == "Stopping after the running trial. Press Ctrl-C again to end it at once."
    assert "ended by Ctrl-C" in out
    names = {p.name for p in (tmp_path / "run").iterdir()}
    reports = {"report.html", "report.md"}
    assert names == {"model.skops", "predictions", "result.json", "study.log", *reports}
    assert {t["state"] for t in trials(tmp_path)} == {"complete"}


@pytest.mark.slow
def test_a_second_process_may_not_resume_a_running_one(words: list[str], tmp_path: Path) -> None:
    process = start([*words, "--trials", "10000"], tmp_path)
    try:
        wait_for(lambda: tells(tmp_path) >= 1, process)
        other = subprocess.run(
            [*words, "--trials", "5", "--resume"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert other.returncode == 1
        assert other.stderr.startswith("Error: Another process is writing the run")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_the_default_output_folder_is_under_runs(words: list[str], tmp_path: Path) -> None:
    short = [w for w in words if w not in {"--output", "run"}]
    done = subprocess.run(
        [*short, "--trials", "1"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("t-20")
    assert f"--model {folder.relative_to(tmp_path)}" in done.stdout
