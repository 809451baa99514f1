"""``compare --problem`` and ``benchmark hpo``: words in, report out, mistakes named."""

import pytest
from typer.testing import CliRunner

from automl_meta.benchmark.hpo.sources import load_problem
from automl_meta.cli.app import app, run

SMALL = ["--methods", "portfolio,random", "--seeds", "1", "--trials", "3"]


@pytest.mark.parametrize("command", [["compare"], ["benchmark", "hpo"]])
def test_a_comparison_is_written(command, tmp_path):
    words = [*command, "--problem", "collected-regression", *SMALL, "--output", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert f"The report is in {tmp_path / 'report.html'}" in done.output
    text = (tmp_path / "report.md").read_text()
    assert "portfolio against each method" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "tpe,magic"], "'methods' parameter of compare must be among automl-meta"),
        (["--problem", "lcbensh"], "'problem' parameter of compare"),
        (["--seeds", "0"], "'seeds' parameter of compare must be an int >= 1"),
        (["--trials", "few"], "'trials' parameter of compare must be an int >= 1"),
        (["--jobs", "0"], "'jobs' parameter of compare must be an int >= 1"),
        (["--methods", " , "], "'methods' parameter of compare must be at least one"),
        (["--folds", "3"], "'folds' parameter of compare must be left out with --problem"),
        (["--suite", "meta"], "Leave out --suite, or use --problem live"),
        (["--max-rows", "90"], "Leave out --max-rows, or use --problem live"),
    ],
)
def test_mistakes_are_named(words, message, tmp_path, capsys):
    start = ["compare", "--problem", "collected-regression", "--output", str(tmp_path)]
    assert run([*start, *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_missing_data_are_named(tmp_path, monkeypatch, capsys):
    load_problem.cache_clear()
    monkeypatch.setenv("AUTOML_META_DATA", str(tmp_path / "nowhere"))
    words = ["compare", "--problem", "oboe", *SMALL, "--output", str(tmp_path)]
    assert run(words) == 1
    assert "AUTOML_META_DATA" in capsys.readouterr().err
