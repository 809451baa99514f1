import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import automl_meta
from automl_meta.cli.app import app, run

HEAVY = ("torch", "sklearn", "pandas", "optuna", "openml", "numpy", "scipy", "matplotlib", "rich")
COMMANDS = (
    "fit",
    "predict",
    "tasks",
    "families",
    "doctor",
    "collect",
    "train",
    "suggest",
    "compare",
    "fewshot",
    "benchmark",
)


@pytest.mark.parametrize(
    "words", [["--help"], ["fit", "--help"], ["fewshot", "--help"], ["--version"]]
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from automl_meta.cli import app\n"
        f"code = app.run({words!r})\n"
        f"print('heavy:', [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "heavy: []"
    assert "automl-meta" in done.stdout


def test_help_lists_every_command_in_whole_sentences() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    for command in COMMANDS:
        assert f"  {command}" in shown.output
    assert "..." not in shown.output.split("Commands:")[1]


def test_fit_help_documents_the_defaults() -> None:
    shown = " ".join(CliRunner().invoke(app, ["fit", "--help"]).output.split())
    for words in (
        "[default: 30]",
        "[default: 5]",
        "[default: 5m]",
        "It covers the trials, not loading the task",
        "Trials at the same time, one thread each",
        "Same seed, same study: with one job",
        "warm starts included",
        "runs/<task>-<time>",
    ):
        assert words in shown, words


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"automl-meta {automl_meta.__version__}\n"


BAD = {
    "no command": ([], 2, None),
    "unknown command": (["fitt"], 2, "No such command"),
    "unknown option": (["fit", "--task", "x.csv", "--trails", "3"], 2, "--trails"),
    "no task": (["fit"], 2, "--task"),
    "trials in words": (["fit", "--task", "x", "--trials", "ten"], 2, "Try --trials 10."),
    "no trials": (["fit", "--task", "x", "--trials", "0"], 2, "an int >= 1"),
    "no members": (["fit", "--task", "x", "--ensemble", "0"], 2, "an int >= 1"),
    "bad timeout": (["fit", "--task", "x", "--timeout", "10 minutes"], 2, "Try --timeout 10m."),
    "one fold": (["fit", "--task", "x", "--folds", "1"], 2, "an int >= 2"),
    "negative seed": (["fit", "--task", "x", "--seed", "-1"], 2, "an int >= 0"),
    "endless seed": (["fit", "--task", "x", "--seed", "9" * 23], 2, "of at most 18 digits"),
    "huge seed": (["fit", "--task", "x", "--seed", "5000000000"], 2, "'seed'"),
    "no such file": (["fit", "--task", "nowhere.csv", "--target", "y"], 2, "nowhere.csv"),
    "no such format": (["fit", "--task", "notes.docx", "--target", "y"], 2, "notes.docx"),
    "no target": (["fit", "--task", "{table}"], 2, "'target'"),
    "no such target": (["fit", "--task", "{table}", "--target", "lable"], 2, "lable"),
    "no such family": (
        ["fit", "--task", "{table}", "--target", "label", "--family", "forest"],
        2,
        "one of auto, hist_gradient_boosting",
    ),
    "no such metric": (
        ["fit", "--task", "{table}", "--target", "label", "--metric", "auc"],
        2,
        "'metric'",
    ),
    "regression metric": (
        ["fit", "--task", "{table}", "--target", "label", "--metric", "r2"],
        1,
        "--metric",
    ),
    "no such prior": (
        ["fit", "--task", "{table}", "--target", "label", "--prior", "nowhere", "--output", "{new}"],
        2,
        "'prior'",
    ),
    "too many folds": (
        ["fit", "--task", "{table}", "--target", "label", "--folds", "50", "--prior", "none", "--family", "nope"],
        2,
        "'family'",
    ),
    "output in use": (
        ["fit", "--task", "{table}", "--target", "label", "--output", "{fitted}"],
        2,
        "Add --resume",
    ),
    "nothing to resume": (
        ["fit", "--task", "{table}", "--target", "label", "--output", "{new}", "--resume"],
        2,
        "Leave --resume out",
    ),
    "resume without output": (
        ["fit", "--task", "{table}", "--target", "label", "--resume"],
        2,
        "--output",
    ),
    "resume with other folds": (
        ["fit", "--task", "{table}", "--target", "label", "--family", "knn", "--prior", "none",
         "--trials", "4", "--folds", "3", "--output", "{fitted}", "--resume"],
        2,
        "Try --folds 2",
    ),
    "no such model": (["predict", "--model", "{new}", "--input", "{table}"], 1, "No model in"),
    "no such input": (["predict", "--model", "{fitted}", "--input", "no.csv"], 2, "'input'"),
    "output nowhere": (
        ["predict", "--model", "{fitted}", "--input", "{table}", "--output", "no/where.csv"],
        2,
        "Create the folder",
    ),
    "unknown family shown": (["families", "forest"], 2, "one of auto"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=list(BAD))
def test_bad_input_gives_one_line_and_an_exit_code(
    case: str,
    table: Path,
    fitted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words, code, expected = BAD[case]
    filled = [w.format(table=table, fitted=fitted, new=tmp_path / "new") for w in words]
    capsys.readouterr()
    assert run(filled) == code
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    if expected is None:
        return
    lines = shown.err.strip().splitlines()
    assert len(lines) == 1, shown.err
    assert lines[0].startswith("Error: ")
    assert expected in lines[0]
    assert shown.out == ""
    assert "\x1b" not in shown.err


def test_an_unexpected_error_leaves_a_traceback_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import tempfile

    import automl_meta.pipelines

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(automl_meta.pipelines, "families", lambda: 1 / 0)
    assert run(["families"]) == 1
    shown = capsys.readouterr().err
    assert len(shown.strip().splitlines()) == 1
    assert "ZeroDivisionError" in shown
    (file,) = tmp_path.glob("*.traceback.txt")
    assert str(file) in shown
    assert "Traceback (most recent call last)" in file.read_text()


def test_fit_writes_the_folder_and_says_where(fitted: Path) -> None:
    names = {p.name for p in fitted.iterdir()}
    reports = {"report.html", "report.md"}
    assert names == {"model.skops", "predictions", "result.json", "study.log", *reports}
    result = json.loads((fitted / "result.json").read_text())
    assert result["settings"]["trials"] == 4
    assert result["task"]["n_columns"] > 3


def test_fit_is_quiet_but_for_the_summary(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"fit --task {table} --target label --family linear --trials 2 --folds 2 --prior none"
    assert run([*words.split(), "--output", str(tmp_path / "a")]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "held-out roc_auc" in shown.out
    assert str(tmp_path / "a" / "report.html") in shown.out
    assert "\x1b" not in shown.out


def test_the_number_of_members_is_an_option(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        f"fit --task {table} --target label --family knn --folds 2 --prior none --json --trials 4"
    )
    assert run([*words.split(), "--ensemble", "1", "--output", str(tmp_path / "one")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["settings"]["ensemble"] == 1
    assert document["ensemble"]["used"] is False


def test_json_is_one_document_on_stdout(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"fit --task {table} --target height --family linear --trials 2 --folds 2 --prior none"
    assert run([*words.split(), "--output", str(tmp_path / "b"), "--json"]) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert document["schema"] == "automl-meta/result/1"
    assert document["path"] == str(tmp_path / "b")
    assert document["task"]["kind"] == "regression"
    assert shown.err == ""


def test_resume_of_a_finished_run_keeps_every_trial(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"fit --task {table} --target label --family knn --folds 2 --prior none --json --output"
    assert run([*words.split(), str(tmp_path / "c"), "--trials", "2"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert run([*words.split(), str(tmp_path / "c"), "--trials", "4", "--resume"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["trials"][:2] == first["trials"]
    assert len(second["trials"]) == 4


def _rows(table: Path) -> pd.DataFrame:
    return pd.read_csv(table).drop(columns="label").head(5)


def test_predict_from_a_table_to_csv_and_json(
    fitted: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = _rows(table)
    new.loc[0, "colour"] = "ultraviolet"
    new.loc[1, ["width", "colour"]] = None
    new.to_csv(tmp_path / "new.csv", index=False)
    words = ["predict", "--model", str(fitted), "--input", str(tmp_path / "new.csv")]
    capsys.readouterr()
    assert run(words) == 0
    labels = capsys.readouterr().out.split()
    assert labels[0] == "label"
    assert set(labels[1:]) <= {"yes", "no"}
    assert len(labels) == 6
    assert run([*words, "--proba", "--json"]) == 0
    proba: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert list(proba) == ["no", "yes"]
    assert all(abs(a + b - 1) < 1e-9 for a, b in zip(proba["no"], proba["yes"], strict=True))
    assert run([*words, "--output", str(tmp_path / "out.csv")]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "out.csv").read_text().split() == labels


def test_predict_refuses_a_missing_column_by_name(
    fitted: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _rows(table).drop(columns=["colour", "when"]).to_csv(tmp_path / "new.csv", index=False)
    assert run(["predict", "--model", str(fitted), "--input", str(tmp_path / "new.csv")]) == 2
    shown = capsys.readouterr().err
    assert "colour" in shown
    assert "when" in shown
    assert "left empty" in shown


def test_families_and_one_space(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["families", "--json"]) == 0
    names = [f["name"] for f in json.loads(capsys.readouterr().out)]
    assert names[0] == "auto"
    assert len(names) == 11
    assert run(["families", "svm"]) == 0
    shown = capsys.readouterr().out
    assert "kernel = rbf or poly" in shown
    assert run(["families"]) == 0
    assert "hist_gradient_boosting" in capsys.readouterr().out


def test_doctor_offline_probes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--offline", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["openml"]["network"].startswith("not probed")
    assert report["versions"]["automl-meta"] == automl_meta.__version__
    assert run(["doctor", "--offline"]) == 0
    assert "meta-learners" in capsys.readouterr().out


def test_tasks_lists_the_bundled_ones_and_shows_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tasks"]) == 0
    assert "openml:9946" in capsys.readouterr().out
    assert run(["tasks", "openml:9946", "--offline"]) == 0
    shown = capsys.readouterr().out
    assert "569 rows, 30 columns" in shown
    assert "roc_auc" in shown
    assert run(["tasks", "openml:9946", "--offline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "wdbc"
    assert run(["tasks", "--suite", "meta", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) >= 55


def test_collect_writes_a_meta_dataset(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "two.toml"
    suite.write_text(
        'name = "two"\n'
        f'[[task]]\ntitle = "one"\nreference = "{table}"\ntarget = "label"\n'
        f'[[task]]\ntitle = "two"\nreference = "{table}"\ntarget = "colour"\n'
    )
    words = ["collect", "--suite", str(suite), "--family", "knn", "--configs", "3", "--folds", "2"]
    assert run([*words, "--output", str(tmp_path / "data")]) == 0
    assert "of 2 tasks" in capsys.readouterr().out
    assert list((tmp_path / "data").rglob("*.parquet"))
    suite.write_text(
        f'name = "third"\n[[task]]\ntitle = "three"\nreference = "{table}"\ntarget = "height"\n'
    )
    assert run([*words, "--output", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out.startswith("9 evaluations of 3 tasks")
    assert run([*words, "--seed", "1", "--output", str(tmp_path / "data")]) == 1
    shown = capsys.readouterr().err.strip()
    assert "seed 0, now 1" in shown
    assert shown.endswith("or name another --output.")


def test_compare_writes_a_report(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "one.toml"
    suite.write_text(
        f'name = "one"\n[[task]]\ntitle = "t"\nreference = "{table}"\ntarget = "label"\n'
    )
    words = ["compare", "--suite", str(suite), "--family", "knn", "--trials", "3", "--seeds", "1"]
    words += ["--folds", "2", "--methods", "random,tpe", "--output", str(tmp_path / "out")]
    assert run(words) == 0
    assert "cannot be told apart" in (tmp_path / "out" / "report.md").read_text() or (
        "than TPE" in (tmp_path / "out" / "report.md").read_text()
    )
    assert "the pruner never acts" in (tmp_path / "out" / "report.md").read_text()
    capsys.readouterr()
    assert run([*words, "--max-rows", "100"]) == 1
    assert "max_rows 1000, now 100" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["compare", "--output", "o", "--methods", "ours"], "'methods'"),
        (["compare", "--suite", "nowhere.toml", "--output", "o"], "nowhere.toml"),
        (["collect", "--output", "o", "--configs", "0"], "'configs'"),
        (["collect", "--output", "o", "--family", "forest"], "one of auto"),
        (["train", "--evaluations", "nowhere", "--output", "o"], "nowhere"),
        (["train", "--evaluations", "o", "--output", "o", "--family", "x"], "one of auto"),
    ],
)
def test_bad_input_of_the_makers(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(words) in {1, 2}
    shown = capsys.readouterr()
    assert len(shown.err.strip().splitlines()) == 1
    assert expected in shown.err
    assert "Traceback" not in shown.err
