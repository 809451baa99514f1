"""The example runs in a small form: a few steps on made-up digits, once more from what it kept."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(digits, folder, *options):
    command = [sys.executable, str(ROOT / "examples" / "domain_adaptation.py")]
    command += [
        "--data",
        str(digits),
        "--output",
        str(folder / "report"),
        "--runs",
        str(folder / "runs"),
    ]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, "--steps", "3", "--episodes", "2", "--shots", "1", *options],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )


def test_a_small_run_reports_every_method_and_goes_on(digits, tmp_path):
    first = run(digits, tmp_path, "--methods", "maml,protonet")
    assert first.returncode == 0, first.stderr
    kept = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(kept) == 8
    again = run(digits, tmp_path, "--methods", "maml,protonet,fine-tuning")
    assert again.returncode == 0, again.stderr
    report = (tmp_path / "report" / "report.md").read_text()
    for text in ("1 labels a class", "MAML", "Prototypical networks", "fine-tuned", "semeion"):
        assert text in report


def test_what_is_not_there_is_told_in_one_line(digits, tmp_path):
    for broken in (
        run(digits, tmp_path, "--methods", "magic"),
        run(tmp_path / "nowhere", tmp_path, "--methods", "maml"),
    ):
        assert broken.returncode == 1
        assert len(broken.stderr.strip().splitlines()) == 1
