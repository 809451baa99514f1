"""The examples of few-shot classification, bandits and AutoML run in a small form."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from automl_meta._resources import data_folder
from automl_meta.fewshot.omniglot import PACKED_28

ROOT = Path(__file__).resolve().parents[2]
with_data = pytest.mark.skipif(data_folder() is None, reason="needs the shared data folder")


def run(name, folder, *options):
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    command += ["--output", str(folder / "report"), "--runs", str(folder / "runs"), *options]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def report_of(name, folder, *options):
    found = run(name, folder, *options)
    assert found.returncode == 0, found.stderr
    return (folder / "report" / "report.md").read_text()


def test_a_policy_learns_bandits_and_shows_one(tmp_path):
    options = ("--steps", "40", "--pulls", "4", "--bandits", "50")
    report = report_of("bandits", tmp_path, *options)
    assert "| Gittins index |" in report
    pulls = report.split("`")[1].split()
    assert len(pulls) == 4
    assert all(pull[0] in "12345" and pull[1] in "+-" for pull in pulls)
    # A finished training answers at once, with the same bandit.
    weights = next((tmp_path / "runs").glob("*/meta.safetensors"))
    written = weights.stat().st_mtime_ns
    assert report_of("bandits", tmp_path, *options) == report
    assert weights.stat().st_mtime_ns == written


@pytest.fixture
def characters(tmp_path):
    """As many classes and drawings as Omniglot has, small and made up: a bar each of a place and a length, in noise."""
    rng = np.random.default_rng(0)
    n_classes, side = 1623, 28
    kind = np.repeat(np.arange(n_classes), 20)
    images = rng.random((len(kind), side, side)) < 0.1
    rows, starts, ends = kind % side, kind // side % 11, 14 + kind // side // 11
    columns = np.arange(side)
    bars = (columns >= starts[:, None]) & (columns < ends[:, None])
    images[np.arange(len(kind)), rows] |= bars
    (tmp_path / "omniglot").mkdir()
    np.savez(
        tmp_path / "omniglot" / PACKED_28,
        images=np.packbits(images.reshape(len(kind), -1), axis=1),
        shape=np.array(images.shape),
        char_id=kind,
        char_names=np.array([f"c{number}" for number in range(n_classes)]),
        alphabet_id=np.zeros(len(kind), int),
        alphabet_names=np.array(["Bars"]),
        alphabet_split=np.array([0]),
    )
    return tmp_path / "omniglot"


def test_characters_are_read(characters, tmp_path):
    options = ("--learners", "protonet", "--steps", "2", "--episodes", "20")
    options += ("--data", str(characters))
    report = report_of("few_shot_classification", tmp_path, *options)
    rows = [line for line in report.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[1:]] == [
        "| prototypical networks",
        "| nearest neighbour in pixels",
    ]
    near = float(rows[-1].split(" | ")[1].rstrip(" %"))
    assert 30 < near <= 100  # better than chance, 20


@with_data
def test_the_next_study_starts_from_the_past_ones(tmp_path):
    options = ("--tables", "glass,prnn_synth,new_thyroid", "--past", "8", "--trials", "3")
    report = report_of("automl", tmp_path, *options, "--seeds", "1")
    errors = [line.split(" | ")[1:] for line in report.splitlines() if line.startswith("| ")]
    assert [len(row) for row in errors[1:]] == [2, 2, 4, 4, 4, 4]
    for row in errors[1:3]:
        first, third = (float(cell.rstrip(" |")) for cell in row)
        assert 0 <= third <= first < 70
    past = (tmp_path / "runs" / "past-8.log").stat().st_size
    assert report_of("automl", tmp_path, *options, "--seeds", "1") == report
    assert (tmp_path / "runs" / "past-8.log").stat().st_size == past


def test_unknown_names_are_told_in_one_line(tmp_path):
    for name, option in (("automl", "--tables"), ("few_shot_classification", "--learners")):
        broken = run(name, tmp_path, option, "magic")
        assert broken.returncode == 1
        assert broken.stderr.startswith("No such")
        assert len(broken.stderr.strip().splitlines()) == 1
