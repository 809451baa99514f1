"""The medical examples run in a small form, and say what is missing."""

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


def test_tables_are_judged_and_kept(tables, tmp_path):
    options = ("--tables", "hepatitis", "--trials", "2", "--seeds", "1")
    first = run("medical_tables", tmp_path, *options, AUTOML_META_DATA=str(tables))
    assert first.returncode == 0, first.stderr
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.json")}
    assert len(kept) == 3
    again = run("medical_tables", tmp_path, *options, AUTOML_META_DATA=str(tables))
    assert again.stdout == first.stdout
    assert kept == {p.name: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*.json")}
    report = (tmp_path / "report" / "report.md").read_text()
    for text in (
        "no medical device",
        "sensitivity",
        "calibration error",
        "hepatitis",
        "| after 1 | after 2 |",
    ):
        assert text in report


def test_images_are_judged(digits, characters, scans, tmp_path):
    options = ("--shots", "2", "--draws", "2", "--steps", "2", "--no-full")
    options += ("--data", str(scans))
    found = run("medical_images", tmp_path, *options)
    assert found.returncode == 0, found.stderr
    report = (tmp_path / "report" / "report.md").read_text()
    for text in ("no medical device", "pneumoniamnist, 2 labels", "Meta-SGD", "specificity"):
        assert text in report


def test_what_is_missing_is_told_in_one_line(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    for broken in (
        run("medical_tables", tmp_path, "--tables", "magic", AUTOML_META_DATA=nowhere),
        run("medical_images", tmp_path, "--data", str(tmp_path / "empty")),
    ):
        assert broken.returncode == 1
        assert len(broken.stderr.strip().splitlines()) == 1, broken.stderr
