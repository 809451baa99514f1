import pytest

from automl_meta.exceptions import StoreError
from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.result import FOLDER, SCHEMA, settings_record
from automl_meta.metarl.suite import MetaRLSuite
from automl_meta.report.metarl import metarl_report, suite_report
from automl_meta.report.metarl_figures import adaptation_curves, learning_curve
from automl_meta.report.metarl_view import score_text, share_text, view
from automl_meta.report.svg import Size
from automl_meta.report.text import DASH, MINUS, training_clock


def method(name, mean, published=None):
    return {
        "name": name,
        "mean": mean,
        "interval95": 0.04,
        "learned_ahead": round(6.62 - mean, 4),
        "learned_ahead_interval95": 0.03,
        "published": published,
        "rewards": [mean / 10] * 10,
        "regrets": [0.1] * 10,
    }


def result(*, tested=True):
    settings = recipe("rl2", "bandits")
    methods = [method("rl2", 6.62, 6.7), method("rl2-drawn", 6.6), method("gittins", 6.65)]
    training = {
        "steps": 7,
        "trials": 3500,
        "best_step": 5,
        "best_validation": 6.6,
        "stopped_by": "steps",
        "seconds": 3.0,
        "cpu_seconds": 2.0,
    }
    return {
        "schema": SCHEMA,
        "status": "finished" if tested else "training",
        "started": "2026-01-02T03:04:05+00:00",
        "command": "automl-meta metarl <b>",
        "settings": settings_record(settings),
        "learner": {"policy": "gated recurrent unit", "parameters": 14406},
        "published": {"rl2": 6.7},
        "seeds": {"test": 1},
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "notes": [],
        "machine": {"cpu": "a processor", "cores": 2},
        "versions": {"python": "3.11"},
        "training": training if tested else None,
        "methods": methods if tested else [],
    }


def test_the_view_says_what_was_reached():
    shown = view(result())
    assert shown["verdict"] == (
        "Mean total reward 6.62 ± 0.04 over 10,000 new tasks: 98.8 % of the published 6.7."
    )
    assert [row["ahead"] for row in shown["methods"]] == [
        DASH,
        "+0.0200 ± 0.030",
        f"{MINUS}0.0300 ± 0.030",
    ]
    assert shown["methods"][0]["regret"] == "1.00"
    assert shown["cards"][2]["value"] == "7"


def test_a_run_without_a_test_has_a_page_too(tmp_path):
    FOLDER.write(tmp_path, result(tested=False))
    page = metarl_report(tmp_path).read_text()
    assert "ended before it was tested" in page
    assert "<svg" not in page


@pytest.mark.parametrize(
    ("device", "said", "ends"),
    [("cpu", "processor minutes of training", 1.0), ("NVIDIA H200", "minutes of training", 2.0)],
)
def test_training_is_told_by_the_time_of_its_device(device, said, ends):
    log = [{"step": 9, "seconds": 120.0, "cpu_seconds": 60.0, "validation": -3.0}]
    figure = learning_curve(log, 9, {}, Size(7.6, 3.8), training_clock([device]))
    (axes,) = figure.axes
    assert axes.get_xlabel() == said
    assert axes.lines[0].get_xdata().tolist() == [ends]


def test_a_page_escapes_what_the_user_wrote(tmp_path):
    FOLDER.write(tmp_path, result())
    page = metarl_report(tmp_path).read_text()
    assert "automl-meta metarl &lt;b&gt;" in page
    assert "<b>" not in page


def adapted_result():
    settings = recipe("promp", "navigation")
    curve = {"rewards": [-16.0, -5.5, -4.0, -3.0], "intervals": [1.0, 0.5, 0.25, 0.25], "rate": 0.1}
    level = {"rewards": [-15.0], "intervals": [0.75], "rate": None}
    methods = [
        method("promp", -5.5) | {"interval95": 0.5} | curve,
        method("shared", -15.0) | level,
        method("fine-tuned", -12.0) | curve,
    ]
    for entry in methods:
        entry["regrets"] = None
    learner = {"policy": "perceptron, normal", "parameters": 4484}
    changes = {"settings": settings_record(settings), "methods": methods, "learner": learner}
    return result() | changes | {"published": {}}


def test_adaptation_is_shown_step_by_step(tmp_path):
    shown = view(adapted_result())
    assert shown["title"] == "ProMP on navigation, 1 step from 20 episodes each"
    assert shown["verdict"] == (
        "Mean total reward of an episode -16.00 ± 1.00 before and -5.50 ± 0.50 after 1 gradient step, "
        "over 400 new tasks."
    )
    assert shown["adaptation"][1] == {
        "name": "One policy for all tasks",
        "cells": ["-15.00 ± 0.75", DASH, DASH, DASH],
        "rate": DASH,
    }
    FOLDER.write(tmp_path, adapted_result())
    page = metarl_report(tmp_path).read_text()
    assert page.count("<svg") == 2  # there is no log
    assert (tmp_path / "adaptation.svg").is_file()
    assert '<th class="n">after 3</th>' in page
    suite_report(MetaRLSuite("One", {".": recipe("promp", "navigation")}), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "](./adaptation.svg)" in text
    assert f"| One policy for all tasks | -15.00 ± 0.75{f' | {DASH}' * 4} |" in text.splitlines()
    assert text.count("<th") == 0
    assert '<th class="n">after 3</th>' in (tmp_path / "report.html").read_text()


def test_other_schemas_and_missing_fields_are_refused():
    with pytest.raises(StoreError, match="needs a result of schema"):
        view({"schema": "automl-meta/fewshot/1"})
    broken = result()
    del broken["learner"]
    with pytest.raises(StoreError, match="lacks the field 'learner'"):
        view(broken)


def test_a_suite_shows_what_there_is(tmp_path):
    runs = {"a": recipe("rl2", "bandits"), "b": recipe("rl2", "bandits", arms=10)}
    (tmp_path / "a").mkdir()
    FOLDER.write(tmp_path / "a", result())
    metarl_report(tmp_path / "a")
    suite_report(MetaRLSuite("Two", runs, ("a note",)), tmp_path, command="the command")
    text = (tmp_path / "report.md").read_text()
    lines = text.splitlines()
    assert "1 of 2 runs" in lines
    (row,) = [line for line in lines if line.startswith("| RL² on bandits of 5 arms")]
    assert row.split("|")[2:5] == [" 6.62 ± 0.04 ", " 6.7 ", " 98.8 % "]
    (missing,) = [line for line in lines if line.startswith("| b |")]
    assert missing.count(DASH) == 6
    table = lines[lines.index("## Beside other methods") :]
    assert table[2:6] == [
        "| method | a |",
        "|---|---:|",
        "| RL² | 6.62 ± 0.04 |",
        "| RL², actions drawn | 6.60 ± 0.04 |",
    ]
    assert "](a/regret.svg)" in text
    assert "](a/learning.svg)" not in text  # there is no log
    assert "- a note" in lines
    assert text.rstrip().endswith("Made with: `the command`")


def test_what_diverged_is_said_and_leaves_a_gap():
    method = {"mean": None, "interval95": None, "published": 6.7, "name": "maml-rl"}
    assert score_text(method) == "diverges"
    assert share_text(method) == DASH
    methods = [method | {"rewards": [-1.0, None], "intervals": [0.1, None]}]
    assert adaptation_curves(methods, Size(4, 3)) is not None
