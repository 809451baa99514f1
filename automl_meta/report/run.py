"""The report of one run: ``report.html`` and ``report.md`` from ``result.json``."""

from pathlib import Path

from automl_meta._typing import JSON
from automl_meta.report.figures import importance_bars, responsive, search_curve, test_scores
from automl_meta.report.page import render
from automl_meta.report.view import view


def run_report(result: JSON, folder: Path) -> tuple[Path, Path]:
    """Write the report of one run.

    Args:
        result: A document of schema ``automl-meta/result/1``.
        folder: An existing folder; ``report.html`` and ``report.md`` in it are replaced.

    Returns:
        Paths of the HTML page (self-contained, needs no network) and of the Markdown text.

    Raises:
        StoreError: If the result has another schema or lacks a field.
    """
    values = view(result)
    drawings = {
        "curve": responsive(search_curve, result, name="curve"),
        "importance": responsive(importance_bars, result, name="importance"),
        "scores": responsive(test_scores, result, name="scores"),
    }
    html, text = folder / "report.html", folder / "report.md"
    html.write_text(render("run.html.j2", drawings=drawings, **values), encoding="utf-8")
    text.write_text(render("run.md.j2", **values), encoding="utf-8")
    return html, text
