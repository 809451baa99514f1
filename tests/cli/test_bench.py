import json
from pathlib import Path

import pytest

from automl_meta.benchmark import engine_cost
from automl_meta.cli.app import run

OPTIONS = (
    "--ways 2 --queries 1 --steps 1 --tasks 2 --filters 4 --threads 1 --repeats 2 --device cpu"
)
SMALL = [
    "benchmark",
    "engine",
    *OPTIONS.split(),
    "--peers",
    "none",
    "--executions",
    "folded,looped",
]
SMALL += ["--no-memory"]


@pytest.fixture(autouse=True)
def small_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cost, "PEAK_SIDE", {"cpu": 32, "cuda": 32})


def test_a_table(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run([*SMALL, "--output", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    for words in (
        "plain loop",
        "folded (",
        "looped (1 at once)",
        "x plain loop",
        "GFLOP",
        "report.md",
    ):
        assert words in shown.out, words
    assert "times as fast as plain loop x 0.85" in shown.out
    assert "round 2 of 2" in shown.err
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document["schema"] == "automl-meta/bench-engine/1"
    assert (tmp_path / "out" / "report.md").is_file()


def test_json_holds_the_settings(capsys: pytest.CaptureFixture) -> None:
    extra = (
        "--shots 2 --order first --net max --chunk 1 --matmul high --seed 3 --inner-rate 0.2 --json"
    )
    assert run([*SMALL, *extra.split()]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    wanted = {
        "ways": 2,
        "shots": 2,
        "order": "first",
        "net": "max",
        "chunk": 1,
        "matmul": "high",
        "seed": 3,
        "inner_rate": 0.2,
        "executions": ["folded", "looped"],
        "peers": False,
        "memory": False,
        "filters": 4,
    }
    assert {name: settings[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        ("--ways 1", 2, "'ways' parameter of benchmark engine must be an int >= 2"),
        ("--repeats one", 2, "'repeats' parameter of benchmark engine must be an int >= 2"),
        ("--chunk some", 2, "'chunk' parameter of benchmark engine must be an int >= 1"),
        ("--order third", 2, "'order' parameter of benchmark engine must be one of second, first"),
        ("--peers learn2learn", 2, "'peers' parameter of benchmark engine must be auto or none"),
        ("--executions folded,magic", 2, "'executions' parameter of benchmark engine"),
        (
            "--inner-rate -1",
            2,
            "'inner_rate' parameter of benchmark engine must be a finite number",
        ),
        ("--data mnist", 2, "'data' parameter of benchmark engine"),
        ("--data omniglot --data-folder {folder}", 1, "No Omniglot in"),
        (
            "--output {folder}",
            2,
            "'output' parameter of benchmark engine must be a new or empty folder",
        ),
    ],
)
def test_errors_are_one_line(
    extra: str, code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "something").touch()
    assert run([*SMALL, *extra.format(folder=tmp_path).split()]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_help_names_the_defaults(capsys: pytest.CaptureFixture) -> None:
    assert run(["benchmark", "engine", "--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("--ways", "--matmul", "--chunk", "--peers", "--data-folder"):
        assert option in shown
    assert "[default: 32]" in shown
    assert run(["benchmark", "--help"]) == 0
    assert "engine" in capsys.readouterr().out
