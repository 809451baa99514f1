import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from automl_meta.exceptions import StoreError
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.evaluate import Evaluation
from automl_meta.fewshot.examples import Examples, save_examples
from automl_meta.fewshot.recipes import recipe
from automl_meta.fewshot.result import SCHEMA, evaluation_record, settings_record, write_result
from automl_meta.fewshot.suite import FewShotSuite, SuiteRun
from automl_meta.report.fewshot import fewshot_report
from automl_meta.report.fewshot_suite import _pair, suite_report
from automl_meta.report.fewshot_view import main_test, view
from automl_meta.report.text import DASH
from automl_meta.training.log import append_line

HOSTILE = "<script>alert(1)</script>"


def document(kind: str = "omniglot", **changes: Any) -> dict[str, Any]:
    settings = recipe("maml", kind, shots=1, steps=40)
    accuracy = {"metric": "accuracy", "shots": 1, "steps": 3, "episodes": 1000}
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "status": "finished",
        "started": "2026-11-24T12:00:00+00:00",
        "command": f"automl-meta fewshot {HOSTILE}",
        "settings": settings_record(settings),
        "learner": {"learner": "MAML", "execution": "folded", "parameters": 112005},
        "transductive": True,
        "data": {"name": kind, "classes": {"train": 4400, "validation": 400, "test": 1692}},
        "seeds": {"weights": 0, "test": 7},
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "processes": 1,
        "notes": [f"A note {HOSTILE}."],
        "machine": {"cpu": "A processor", "cores": 2},
        "versions": {"automl-meta": "0.1.0", "torch": "2.13.0"},
        "training": {
            "steps": 40,
            "best_step": 30,
            "best_validation": 0.97,
            "stopped_by": "steps",
            "seconds": 90.0,
            "cpu_seconds": 88.0,
            "thread_seconds": 90.0,
        },
        "tests": [accuracy | {"mean": 0.98123, "interval95": 0.0012, "worst": 0.5}],
    }
    return found | changes


def written(folder: Path, result: dict[str, Any], examples: Examples | None = None) -> Path:
    folder.mkdir(parents=True)
    write_result(folder, result)
    for step in range(1, 41):
        line = {"step": step, "loss": 2.0 / step if step != 7 else None, "seconds": 2.0 * step}
        line |= {"validation": 0.5 / step} if step % 10 == 0 else {}
        append_line(folder / "training", line)
    if examples is not None:
        save_examples(examples, folder)
    return folder


def images(ways: int, shots: int = 1, queries: int = 3) -> Examples:
    """Every query is predicted right but the first of each class but the first."""
    x = torch.rand(4, ways, shots + queries, 1, 8, 8)
    labels = torch.arange(ways)
    query_y = labels.repeat_interleave(queries).expand(4, -1)
    guess = query_y.clone()
    guess[:, queries::queries] = 0
    some = Episodes(
        x[:, :, :shots].flatten(1, 2),
        labels.repeat_interleave(shots).expand(4, -1),
        x[:, :, shots:].flatten(1, 2),
        query_y,
        ways,
    )
    return Examples(some, torch.nn.functional.one_hot(guess, ways).float()[None], (3,))


def functions() -> Examples:
    x = torch.linspace(-5, 5, 50).view(1, 50, 1).expand(4, -1, -1)
    some = Episodes(x[:, ::10], x[:, ::10].sin(), x, x.sin(), None)
    return Examples(some, torch.stack([x * 0, x * 0.1, x.sin()]), (0, 1, 5))


def test_the_page_is_self_contained_and_escaped(tmp_path: Path) -> None:
    html = fewshot_report(written(tmp_path / "run", document(), images(5)))
    page = html.read_text()
    assert "MAML on omniglot, 5-way 1-shot" in page
    assert "98.12 ± 0.12 % of the queries are right after 3 inner steps" in page
    assert "over 1,000 episodes" in page
    assert "transductive" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=\"(?!#|data:)", page)
    assert page.count("<svg") == 8  # loss, validation and two episodes, each for desktop and phone
    for name in ("loss", "validation", "episode-1", "episode-2"):
        assert "var(" not in (tmp_path / "run" / f"{name}.svg").read_text()


def test_wrong_predictions_are_marked_with_the_class_taken(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", document(), images(5))
    fewshot_report(folder)
    picture = (folder / "episode-1.svg").read_text()
    assert picture.count("✗1<") == 4  # once in each class but the first
    assert ">support<" in picture


@pytest.mark.parametrize(("ways", "shots", "queries"), [(2, 1, 1), (20, 5, 15), (25, 1, 2)])
def test_episodes_of_any_size_can_be_drawn(
    tmp_path: Path, ways: int, shots: int, queries: int
) -> None:
    folder = written(tmp_path / "run", document(), images(ways, shots, queries))
    fewshot_report(folder)
    picture = (folder / "episode-1.svg").read_text()
    assert f">{min(ways, 20)}<" in picture
    assert ">21<" not in picture  # at most twenty classes
    assert picture.count("✗1<") == min(ways, 20) - 1
    assert len(picture) < 300_000


def test_regression(tmp_path: Path) -> None:
    tests = [
        {"metric": "mean squared error", "shots": points, "steps": steps, "episodes": 100}
        | {"mean": 1.5 / (steps + 1), "interval95": 0.1, "worst": 9.0}
        for points in (1, 5)
        for steps in (0, 1, 5)
    ]
    result = document("sinusoid", tests=tests, data={"name": "sinusoid"})
    html = fewshot_report(written(tmp_path / "run", result, functions()))
    page = html.read_text()
    # The run is known by the number of steps that it was trained for.
    assert "Mean squared error 0.7500 ± 0.1000 after 1 inner step on 1 points" in page
    assert "true function" in page
    assert "after 5 steps" in page
    assert page.count('<tr><td class="n">') == 6


def test_an_inner_loop_that_diverges_is_said_to(tmp_path: Path) -> None:
    test = evaluation_record(Evaluation("mean squared error", (1.0, 2.0, math.inf)), 1, 1)
    assert (test["mean"], test["interval95"], test["median"], test["worst"]) == (
        None,
        None,
        2,
        None,
    )
    result = document("sinusoid", tests=[test], data={"name": "sinusoid"})
    page = fewshot_report(written(tmp_path / "run", result, functions())).read_text()
    assert "diverges" in page
    assert _pair(test) == "diverges (median 2.000)"
    large = test | {"mean": 50.0, "interval95": 40.0}
    assert _pair(large) == "50.000 ± 40.000 (median 2.000)"
    assert _pair(large | {"mean": 3.0, "interval95": 0.5}) == "3.000 ± 0.500"


def test_a_run_without_test_or_pictures(tmp_path: Path) -> None:
    result = document(tests=[], training=None, status="training")
    page = fewshot_report(written(tmp_path / "run", result)).read_text()
    assert "ended before it was tested" in page
    assert main_test(result) is None


def test_other_documents_are_refused() -> None:
    with pytest.raises(StoreError, match="schema"):
        view({"schema": "automl-meta/result/1"})
    broken = document()
    del broken["machine"]
    with pytest.raises(StoreError, match="machine"):
        view(broken)


def test_the_table_of_a_suite(tmp_path: Path) -> None:
    settings = recipe("maml", steps=40)
    suite = FewShotSuite(
        f"A table {HOSTILE}",
        (SuiteRun("one", settings, 98.7), SuiteRun("missing-run", settings)),
        ("A note.",),
    )
    written(tmp_path / "out" / "one", document())
    html = suite_report(suite, tmp_path / "out", command="automl-meta fewshot --suite x")
    page, text = html.read_text(), (tmp_path / "out" / "report.md").read_text()
    assert "<script" not in page
    assert "1 of 2 runs" in page
    for shown in (page, text):
        assert "98.12 ± 0.12 %" in shown
        assert "98.7" in shown
        assert "missing-run" in shown
        assert "automl-meta fewshot --suite x" in shown
        assert "1 min 30 s" in shown
    assert page.count("<svg") == 2
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert len({row.count("|") for row in rows}) == 1
    assert "var(" not in (tmp_path / "out" / "curves.svg").read_text()


def test_functions_in_the_table_of_a_suite(tmp_path: Path) -> None:
    settings = recipe("meta-sgd", "sinusoid-frequency", shots=5, steps=40)
    suite = FewShotSuite("Waves", (SuiteRun("waves", settings, 0.9),), ())
    tests = [
        {"metric": "mean squared error", "shots": points, "steps": steps, "episodes": 100}
        | {"mean": points + steps / 10, "interval95": 0.25, "median": 1.0, "worst": 9.0}
        for points in (5, 20)
        for steps in (0, 1, 5)
    ]
    result = document("sinusoid-frequency", tests=tests, data={"name": "sinusoid-frequency"})
    result["settings"] |= {"shots": 5, "inner_steps": 1, "test_steps": None}
    written(tmp_path / "out" / "waves", result, functions())
    suite_report(suite, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    # The paper's figure stands where as many points are given as it is about.
    assert "| waves | 5 | 5.000 ± 0.250 | 5.100 ± 0.250 | 5.500 ± 0.250 | 0.9 |" in text
    far = "20.000 ± 0.250 (median 1.000) | 20.100 ± 0.250 (median 1.000) | 20.500 ± 0.250 (median 1.000)"
    assert f"| waves | 20 | {far} | {DASH} |" in text
    assert "5.1000 ± 0.2500" in text  # known by its own points and steps


def test_sequences_are_shown_by_appearance(tmp_path: Path) -> None:
    entries = [
        {"appearance": k, "episodes": 1000, "mean": 1 - 0.7 / k, "interval95": 0.004}
        for k in (2, 3)
    ]
    result = document(appearances=entries)
    shown = [row["score"] for row in view(result)["appearances"]]
    assert shown == ["65.00 ± 0.40 %", "76.67 ± 0.40 %"]
    html = fewshot_report(written(tmp_path / "run", result))
    assert "By appearance" in html.read_text()
    assert "var(" not in (tmp_path / "run" / "appearances.svg").read_text()
    assert "By appearance" not in fewshot_report(written(tmp_path / "b", document())).read_text()
