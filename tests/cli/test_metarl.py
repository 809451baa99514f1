import builtins
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from automl_meta.cli.app import run

SMALL = "--budget 4 --hidden 4 --meta-batch 8 --validate-every 2 --test-trials 20 --threads 1"


def words(output: Path, extra: str = "") -> list[str]:
    return [*f"metarl {SMALL} --episodes 4 {extra}".split(), "--output", str(output)]


def test_bandits(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(words(tmp_path / "out")) == 0
    shown = capsys.readouterr()
    assert "RL² on bandits of 5 arms, 4 pulls" in shown.out
    assert "Gittins index" in shown.out
    assert "step 4" in shown.err
    assert "tested on 8 methods" in shown.err
    for name in ("report.html", "result.json", "meta.safetensors", "learning.svg", "regret.svg"):
        assert (tmp_path / "out" / name).is_file()
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Thompson sampling" in page
    assert page.count("<svg") == 6  # three figures, for a desktop and for a phone
    assert "<script" not in page


def test_processes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    extra = "--env mdps --states 3 --arms 2 --episode-steps 2"
    assert run(words(tmp_path / "out", extra)) == 0
    assert "3 states and 2 actions, 4 episodes of 2 steps" in capsys.readouterr().out
    assert not (tmp_path / "out" / "regret.svg").exists()


def test_navigation(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    extra = "--learner promp --env navigation --episode-steps 5 --inner-steps 2 --inner-rate 0.2"
    extra += " --epochs 2 --clip 0.2 --divergence 0.01 --test-steps 4"
    assert run(words(tmp_path / "out", extra)) == 0
    shown = capsys.readouterr()
    assert "ProMP on navigation, 2 steps from 4 episodes each" in shown.out
    assert "That policy, fine-tuned" in shown.out
    assert "out: step 4" in shown.err
    assert "out, one policy for all tasks: step 4" in shown.err
    for name in ("report.html", "result.json", "shared.safetensors", "adaptation.svg"):
        assert (tmp_path / "out" / name).is_file()
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 4  # two figures, for a desktop and for a phone
    adaptation = json.loads((tmp_path / "out" / "result.json").read_text())["settings"][
        "adaptation"
    ]
    wanted = {"inner_steps": 2, "inner_rate": 0.2, "epochs": 2, "clip": 0.2, "divergence": 0.01}
    assert {name: adaptation[name] for name in wanted} == wanted
    assert (adaptation["test_steps"], adaptation["credit"]) == (4, 0.25)


def test_json_and_resume(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    line = words(tmp_path / "out", "--json")
    assert run(line) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["schema"] == "automl-meta/metarl/1"
    assert run(line) == 2
    assert "--resume" in capsys.readouterr().err
    assert run([*line, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out)["training"] == first["training"]


def test_options_reach_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    extra = "--json --arms 3 --seed 4 --discount 0.9 --trace 0.8 --entropy 0.2 --learning-rate 1e-2"
    assert run(words(tmp_path / "out", f"{extra} --schedule cosine --patience 9")) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    wanted = {"arms": 3, "seed": 4, "discount": 0.9, "trace": 0.8, "entropy": 0.2, "meta_batch": 8}
    assert {name: settings[name] for name in wanted} == wanted
    wanted = {"learning_rate": 0.01, "schedule": "cosine", "steps": 4, "patience": 9}
    assert {name: settings["training"][name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("--learner ppo", "'learner' parameter of metarl must be one of rl2"),
        ("--env chess", "'env' parameter of metarl must be one of bandits, mdps"),
        ("--arms one", "'arms' parameter of metarl must be an int >= 2"),
        ("--budget soon", "'budget' parameter of metarl must be a duration"),
        ("--discount 2", "'discount' parameter of metarl must be a number in [0, 1]"),
        ("--suite nowhere", "'suite' parameter of metarl must be a TOML file"),
        ("--suite bandits --only chess", "'only' parameter of metarl must be one of bandits-10-5"),
        (
            "--learner promp",
            "'env' parameter of metarl must be one of navigation, cartpoles for promp",
        ),
        ("--only bandits-10-5", "'only' parameter of metarl must be left out without a suite"),
        (
            "--learner promp --env navigation --arms 7",
            "'arms' parameter of metarl must be left out for promp",
        ),
        ("--env navigation", "'env' parameter of metarl must be one of bandits, mdps for rl2"),
        ("--epochs 2", "'epochs' parameter of metarl must be left out for rl2"),
        ("--learner maml-rl --env cartpoles --epochs 2", "'epochs' parameter of metarl must be 1"),
        ("--learner promp --env navigation --inner-steps 0", "'inner_steps' parameter of metarl"),
        ("--schedule wild", "'schedule' parameter of TrainingSettings must be one of"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, extra: str, message: str
) -> None:
    assert run([*words(tmp_path / "out"), *extra.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out" / "result.json").exists()


def test_without_gymnasium_the_remedy_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, imported = importlib.util.find_spec, builtins.__import__

    def absent(name: str, *rest: object) -> object:
        return None if name == "gymnasium" else found(name, *rest)

    def refused(name: str, *rest: object, **more: object) -> object:
        if name.partition(".")[0] == "gymnasium":
            raise ModuleNotFoundError(name)
        return imported(name, *rest, **more)

    monkeypatch.setattr("automl_meta.metarl.environment.find_spec", absent)
    monkeypatch.setattr(builtins, "__import__", refused)
    for name in [name for name in sys.modules if name.startswith("automl_meta.metarl.bandits")]:
        monkeypatch.delitem(sys.modules, name)
    assert run(words(tmp_path / "out")) == 1
    error = capsys.readouterr().err
    assert "pip install 'automl-meta[rl]'" in error
    assert error.count("\n") == 1
    assert run(["metarl", "--help"]) == 0


def test_a_suite(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    suite = tmp_path / "two.toml"
    suite.write_text(
        'title = "Two"\n[defaults]\nepisodes = 3\nvalidation_trials = 10\n'
        '[[run]]\nname = "a"\narms = 2\n[[run]]\nname = "b"\narms = 3\nseconds = 60\n'
    )
    line = ["metarl", "--suite", str(suite), "--output", str(tmp_path / "out"), *SMALL.split()]
    assert run([*line, "--only", "b"]) == 0
    assert "1 of 2 runs" in capsys.readouterr().out
    before = (tmp_path / "out" / "b" / "result.json").read_text()
    assert run([*line, "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in table["runs"]] == ["finished", "finished"]
    assert (tmp_path / "out" / "b" / "result.json").read_text() == before
    report = (tmp_path / "out" / "report.md").read_text()
    assert "| Gittins index |" in report
    assert "a/learning.svg" in report
    assert (tmp_path / "out" / "report.html").is_file()


def test_zero_turns_a_part_of_the_loss_off(tmp_path: Path) -> None:
    assert run(words(tmp_path / "out", "--entropy 0 --discount 0 --trace 0")) == 0
    settings = json.loads((tmp_path / "out" / "result.json").read_text())["settings"]
    assert (settings["entropy"], settings["discount"], settings["trace"]) == (0, 0, 0)


def test_a_policy_that_diverges_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    extra = "--learner maml-rl --env navigation --episode-steps 5 --inner-rate 1e6"
    assert run(words(tmp_path / "out", extra)) == 0
    assert "navigation" in capsys.readouterr().out
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document["status"] == "finished"
    assert (tmp_path / "out" / "report.html").is_file()
