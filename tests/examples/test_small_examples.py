"""The examples of few-shot classification, bandits and AutoML run in a small form."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(name, folder, *options, **changes):
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    command += ["--output", str(folder / "report"), "--runs", str(folder / "runs"), *options]
    env = os.environ | {"OMP_NUM_THREADS": "1"} | changes
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def report_of(name, folder, *options, **changes):
    found = run(name, folder, *options, **changes)
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


def test_the_next_study_starts_from_the_past_ones(tables, tmp_path):
    names = "prnn_synth,new_thyroid,profb"
    options = f"--tables {names} --past 8 --trials 3 --seeds 1".split()
    report = report_of("automl", tmp_path, *options, AUTOML_META_DATA=str(tables))
    errors = [line.split(" | ")[1:] for line in report.splitlines() if line.startswith("| ")]
    assert [len(row) for row in errors[1:]] == [2, 2, 4, 4, 4, 4]
    for row in errors[1:3]:
        first, third = (float(cell.rstrip(" |")) for cell in row)
        assert 0 <= third <= first < 70
    past = (tmp_path / "runs" / "past-8.log").stat().st_size
    assert report_of("automl", tmp_path, *options, AUTOML_META_DATA=str(tables)) == report
    assert (tmp_path / "runs" / "past-8.log").stat().st_size == past


def test_unknown_names_are_told_in_one_line(tmp_path):
    for name, option in (("automl", "--tables"), ("few_shot_classification", "--learners")):
        broken = run(name, tmp_path, option, "magic")
        assert broken.returncode == 1
        assert broken.stderr.startswith("No such")
        assert len(broken.stderr.strip().splitlines()) == 1
