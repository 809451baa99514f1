from itertools import pairwise
from typing import Any

import pytest

from automl_meta.report.figures import best_so_far, importance_bars, search_curve, test_scores
from automl_meta.report.svg import ORIGINS, PALETTE, Size, marker, svg_text

WIDE = Size(7.6, 3.4)
draw_test_scores = test_scores
del test_scores  # pytest would collect it


def test_the_line_never_falls_and_skips_what_did_not_complete(result: dict[str, Any]) -> None:
    curve = best_so_far(result["trials"])
    assert [n for n, _ in curve] == [
        t["number"] for t in result["trials"] if t["state"] == "complete"
    ]
    assert all(a <= b for (_, a), (_, b) in pairwise(curve))
    assert curve[-1][1] == result["search"]["best_score"]


def test_an_outlier_does_not_flatten_the_curve(result: dict[str, Any]) -> None:
    figure = search_curve(result, WIDE)
    assert figure is not None
    low, high = figure.axes[0].get_ylim()
    assert low > 0.6  # one trial scored 0.3; it is drawn at the edge
    assert high > result["search"]["best_score"]


def test_every_trial_is_drawn_once(result: dict[str, Any]) -> None:
    figure = search_curve(result, WIDE)
    assert figure is not None
    points = sum(len(c.get_offsets()) for c in figure.axes[0].collections)
    assert points == len(result["trials"])


@pytest.mark.parametrize("score", [0.0, 1.0, -3.5])
def test_equal_scores_still_make_a_picture(score: float, result: dict[str, Any]) -> None:
    result["trials"] = result["trials"][:1]
    result["trials"][0]["score"] = score
    figure = search_curve(result, WIDE)
    assert figure is not None
    low, high = figure.axes[0].get_ylim()
    assert low < score < high


def test_nothing_to_draw_is_none(result: dict[str, Any]) -> None:
    result.update(importances={}, test=None)
    for trial in result["trials"]:
        trial["state"], trial["score"] = "failed", None
    assert search_curve(result, WIDE) is None
    assert importance_bars(result, WIDE) is None
    assert draw_test_scores(result, WIDE) is None


def test_a_default_without_a_score_is_left_out(result: dict[str, Any]) -> None:
    figure = draw_test_scores(result, WIDE)
    assert figure is not None
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[-1] == "this search"
    assert "mlp" not in names
    assert len(names) == 6 + len(["this search", "its best trial"])
    result["ensemble"]["used"] = False
    alone = draw_test_scores(result, WIDE)
    assert alone is not None
    assert "its best trial" not in [t.get_text() for t in alone.axes[0].get_yticklabels()]


def test_colours_become_variables_or_the_light_palette(result: dict[str, Any]) -> None:
    figure = search_curve(result, WIDE)
    assert figure is not None
    page = svg_text(figure, name="a")
    alone = svg_text(figure, name="a", page=False)
    assert page.startswith("<svg")
    assert "var(--s-orange)" in page
    assert PALETTE["s-orange"][1] in alone
    assert "var(" not in alone
    for role in PALETTE:
        assert marker(role) not in page
        assert marker(role) not in alone
    assert svg_text(figure, name="a") == page


def test_each_origin_has_a_colour_of_its_own() -> None:
    assert len(set(ORIGINS.values())) == len(ORIGINS)
    for column in (1, 2):
        assert len({PALETTE[role][column] for role in ORIGINS.values()}) == len(ORIGINS)
