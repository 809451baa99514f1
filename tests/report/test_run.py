import copy
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from automl_meta.exceptions import StoreError
from automl_meta.report import run_report

HOSTILE = '<script>alert("x")</script>|`*_[a](b)'


def pages(result: dict[str, Any], folder: Path) -> tuple[str, str]:
    html, text = run_report(result, folder)
    return html.read_text(encoding="utf-8"), text.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Collects tags, text and links, and checks that what opens closes."""

    VOID = frozenset({"meta", "br", "use", "path", "rect", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in {"src", "href", "xlink:href"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in {"src", "href", "xlink:href"}]

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_says_what_happened(result: dict[str, Any], tmp_path: Path) -> None:
    html, text = pages(result, tmp_path)
    outline = Outline(html)
    assert outline.open == []
    for words in (
        "credit-g",
        "0.8043",
        "0.0177 above the best family default (random_forest)",
        "With 100 held-out rows",
        "3 pruned, 1 failed",
        "fold 3",
        "so the fold model that never saw it was used",
        "The fold took longer than 300 s.",
        "Column 'foreign_worker' has 2 categories",
        "automl-meta fit --task openml:31 --trials 15 --seed 7 --output runs/credit-g",
        "2.13.0",
        "OpenML fold 0: 900 training rows, 100 held-out rows",
        "extra_trees.max_features",
        "The average of 3 trials scores 0.8043",
        "average of 3 trials",
        "0.8105",
        "0.7777",
        "chosen by, so it flatters a little",
        "Trial 4 was left out: its refit failed (ValueError: no such kernel).",
    ):
        assert words in outline.text, words
        plain = re.sub(r"\\(.)", r"\1", text)
        assert words in plain, words


def test_members_are_shown_with_their_weights(result: dict[str, Any], tmp_path: Path) -> None:
    html, text = pages(result, tmp_path)
    assert "| 5 | svm | 28% | 0.7988 |" in text
    assert '<td>svm</td><td class="n">28%</td><td class="n">0.7988</td>' in html


@pytest.mark.parametrize("absent", [False, True], ids=["not-used", "older"])
def test_a_single_trial_is_no_average(absent: bool, result: dict[str, Any], tmp_path: Path) -> None:
    if absent:  # a result that was written before there were ensembles
        del result["ensemble"], result["test"]["single_best"]
    else:
        result["ensemble"].update(used=False, dropped=[], reason="No average scores better.")
    html, text = pages(result, tmp_path)
    for page in (html, text):
        assert "The best model found scores 0.8043" in page
        assert "Members of the model" not in page
        assert "its best trial" not in page
        assert ("No average scores better." in page) is not absent


def test_the_page_loads_nothing(result: dict[str, Any], tmp_path: Path) -> None:
    html, _ = pages(result, tmp_path)
    outline = Outline(html)
    assert all(link.startswith("#") for link in outline.links)
    assert not {"script", "link", "iframe", "img"} & set(outline.tags)
    assert "@import" not in html
    assert "url(http" not in html
    assert "default-src 'none'" in html
    assert len(html) < 400_000


def test_both_colour_schemes_and_widths_are_there(result: dict[str, Any], tmp_path: Path) -> None:
    html, _ = pages(result, tmp_path)
    assert "prefers-color-scheme: dark" in html
    assert html.count('<div class="wide"') == html.count('<div class="narrow"') == 3
    assert 'name="viewport"' in html
    used = set(re.findall(r"var\((--[a-z-]+)\)", html))
    defined = set(re.findall(r"(--[a-z-]+):", html))
    assert used <= defined
    assert "#1000" not in html, "a drawing kept a marker colour"


def test_ids_in_the_drawings_do_not_clash(result: dict[str, Any], tmp_path: Path) -> None:
    html, _ = pages(result, tmp_path)
    for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        ET.fromstring(svg.replace("xlink:href", "href"))
    clips = re.findall(r'<clipPath id="([^"]+)"', html)
    assert len(clips) == len(set(clips))


@pytest.mark.parametrize(
    "place",
    [
        ("task", "title"),
        ("task", "name"),
        ("task", "target"),
        ("task", "metric"),
        ("task", "metric_source"),
        ("prior", "reason"),
        ("prior", "name"),
        ("command",),
        ("machine", "cpu"),
    ],
    ids=".".join,
)
def test_text_of_others_is_escaped(
    place: tuple[str, ...], result: dict[str, Any], tmp_path: Path
) -> None:
    target = result
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = HOSTILE
    html, text = pages(result, tmp_path)
    assert "<script" not in html
    assert "alert(" in Outline(html).text
    assert "<script" not in text
    assert "&lt;script" in text


def test_names_and_reasons_are_escaped_everywhere(result: dict[str, Any], tmp_path: Path) -> None:
    result["importances"] = {HOSTILE: 1.0}
    result["task"]["notes"] = [HOSTILE]
    result["task"]["classes"] = [HOSTILE, "b"]
    result["task"]["provenance"] = {HOSTILE: HOSTILE}
    result["defaults"][0]["family"] = HOSTILE
    result["search"]["best_configuration"] = {HOSTILE: HOSTILE}
    result["trials"][6]["reason"] = HOSTILE
    result["trials"][0]["configuration"] = {HOSTILE: HOSTILE}
    html, text = pages(result, tmp_path)
    assert "<script" not in html
    assert "<script" not in text
    assert Outline(html).open == []
    for row in re.findall(r"^\|.*\|$", text, flags=re.MULTILINE):
        cells = len(re.findall(r"(?<!\\)\|", row)) - 1
        assert cells in {2, 3, 4, 6}, row


def test_a_run_without_a_usable_trial_is_reported(result: dict[str, Any], tmp_path: Path) -> None:
    for trial in result["trials"]:
        trial.update(state="failed", score=None, fold_scores=[], reason="over 5 s in fold 1")
    result["search"].update(
        best_trial=None,
        best_score=None,
        best_std=None,
        best_configuration=None,
        counts={"complete": 0, "pruned": 0, "failed": 15},
    )
    result.update(test=None, defaults=[], importances={})
    html, text = pages(result, tmp_path)
    assert "without a usable trial" in html
    assert "No trial was completed." in html
    assert "over 5 s in fold 1" in text
    assert Outline(html).open == []


def test_a_default_that_cross_validates_better_is_said(
    result: dict[str, Any], tmp_path: Path
) -> None:
    result["test"]["best_default"]["score"] = 0.9
    html, text = pages(result, tmp_path)
    assert "better than anything that the search tried" in html
    assert "better than anything that the search tried" in text


@pytest.mark.parametrize(
    ("score", "words"),
    [(0.7866, "exactly as the best family default"), (0.7, "below the best family default")],
)
def test_the_verdict_does_not_flatter(
    score: float, words: str, result: dict[str, Any], tmp_path: Path
) -> None:
    result["test"]["score"] = score
    assert words in Outline(pages(result, tmp_path)[0]).text


def test_regression_without_classes_or_prior(result: dict[str, Any], tmp_path: Path) -> None:
    result["task"].update(kind="regression", classes=[], metric="neg_root_mean_squared_error")
    result["prior"].update(used=False, name="none", model=None, reason="No prior was asked for.")
    for trial in result["trials"]:
        if trial["score"] is not None:
            trial["score"] = -1000.0 * trial["score"]
    html, _ = pages(result, tmp_path)
    assert "No prior was asked for." in html
    assert "meta-learner</th>" not in html


@pytest.mark.parametrize("schema", ["automl-meta/result/2", None])
def test_another_schema_is_refused(
    schema: str | None, result: dict[str, Any], tmp_path: Path
) -> None:
    result["schema"] = schema
    with pytest.raises(StoreError, match="automl-meta/result/1"):
        run_report(result, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_field_is_named(result: dict[str, Any], tmp_path: Path) -> None:
    broken = copy.deepcopy(result)
    del broken["search"]["counts"]
    with pytest.raises(StoreError, match="'counts'"):
        run_report(broken, tmp_path)
