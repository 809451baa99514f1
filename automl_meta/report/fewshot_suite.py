"""The report of a suite of few-shot runs: one table, ``report.html``, ``report.md`` and ``suite.json``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from automl_meta import __version__
from automl_meta._typing import JSON
from automl_meta.fewshot.result import TRAINING
from automl_meta.fewshot.suite import FewShotSuite, stored_results
from automl_meta.report.fewshot_view import LEARNERS, main_test, score_text, title
from automl_meta.report.page import render
from automl_meta.report.svg import SERIES, Size, marker, new_figure, svg_text
from automl_meta.report.text import CLOCKS, DASH, duration, number, training_clock
from automl_meta.training import read_log

SCHEMA = "automl-meta/fewshot-suite/1"
_WIDE, _NARROW = Size(7.6, 3.8), Size(4.0, 3.4, narrow=True)
_STYLES = ("-", "--", ":")
#: Mean over median from which a few functions decide the mean.
_FEW_DECIDE = 10


def suite_report(suite: FewShotSuite, folder: Path, *, command: str = "") -> Path:
    """Write the table of a suite from the runs that are done.

    Args:
        suite: The suite.
        folder: Where its runs are; ``report.html``, ``report.md``, ``curves.svg`` and ``suite.json`` in it
            are replaced.
        command: What makes the table again.

    Returns:
        Path of the page.

    Raises:
        StoreError: If a result is damaged.
    """
    results = {name: found.document for name, found in stored_results(suite, folder).items()}
    rows = [_row(run.name, run.published, results.get(run.name)) for run in suite.runs]
    clock = training_clock(result["device"] for result in results.values())
    curves = [
        (run.name, points)
        for run in suite.runs
        if run.name in results
        and not run.settings.is_regression
        and (points := _points(folder / run.name, clock))
    ]
    document = {"schema": SCHEMA, "title": suite.title, "command": command, "runs": rows}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    (folder / "suite.json").write_text(text, encoding="utf-8")
    values: dict[str, Any] = {
        "title": suite.title,
        "subtitle": f"{len(results)} of {len(rows)} runs",
        "rows": [_shown(row) for row in rows],
        "rows_of_functions": _regression_rows(suite, results),
        "clock": CLOCKS[clock],
        "notes": [*suite.notes, *_machine_notes(results)],
        "command": command,
        "has_curves": bool(curves),
        "version": __version__,
    }
    drawings = []
    if curves:
        drawings = [
            (css, svg_text(_curves_figure(curves, size, CLOCKS[clock]), name=f"curves-{css}"))
            for css, size in (("wide", _WIDE), ("narrow", _NARROW))
        ]
        figure = _curves_figure(curves, _WIDE, CLOCKS[clock])
        alone = svg_text(figure, name="curves", page=False)
        (folder / "curves.svg").write_text(alone, encoding="utf-8")
    html = folder / "report.html"
    html.write_text(
        render("fewshot_suite.html.j2", drawings={"curves": drawings}, **values), encoding="utf-8"
    )
    (folder / "report.md").write_text(render("fewshot_suite.md.j2", **values), encoding="utf-8")
    return html


def _row(name: str, published: float | None, result: JSON | None) -> JSON:
    """Return one row of ``suite.json``; a run that is not done yet has no numbers."""
    row: JSON = {"name": name, "published": published, "status": "missing"}
    if result is None:
        return row
    settings, test, training = result["settings"], main_test(result), result["training"]
    return row | {
        "status": result["status"],
        "learner": settings["learner"],
        "title": title(settings),
        "ways": settings["ways"],
        "shots": settings["shots"],
        "data": settings["data"],
        "transductive": result["transductive"],
        "test": None if test is None else dict(test),
        "training": training,
        "command": result["command"],
    }


def _shown(row: JSON) -> dict[str, str]:
    test, training = row.get("test"), row.get("training")
    published = row["published"]
    inductive = ", inductive" if row.get("transductive") is False else ""
    return {
        "name": row["name"],
        "learner": LEARNERS.get(row.get("learner", ""), DASH) + inductive,
        "episodes": row["title"].rpartition(" on ")[2] if "title" in row else DASH,
        "score": score_text(test) if test else row["status"],
        "inner": DASH if not test or test["steps"] is None else str(test["steps"]),
        "published": DASH if published is None else f"{published:g}",
        "steps": f"{training['steps']:,}" if training else DASH,
        "time": duration(training["thread_seconds"]) if training else DASH,
        "cpu": duration(training["cpu_seconds"]) if training else DASH,
    }


def _regression_rows(suite: FewShotSuite, results: dict[str, JSON]) -> list[dict[str, str]]:
    """One row a run and number of points, a column for each number of inner steps."""
    rows = []
    for run in suite.runs:
        found = results.get(run.name, {"tests": []})
        tests = [test for test in found["tests"] if test["metric"] != "accuracy"]
        for points in sorted({test["shots"] for test in tests}):
            by_steps = {test["steps"]: test for test in tests if test["shots"] == points}
            scores = {f"after_{n}": _pair(by_steps.get(n)) for n in (0, 1, 5)}
            own = run.published is not None and points == run.settings.shots
            published = f"{run.published:g}" if own else DASH
            rows.append({"name": run.name, "points": str(points), "published": published, **scores})
    return rows


def _pair(test: JSON | None) -> str:
    """Return mean and interval; also the median where a few functions on which it diverges decide the mean."""
    if test is None:
        return DASH
    mean, interval, median = test["mean"], test["interval95"], test.get("median")
    shown = "diverges" if mean is None else f"{number(mean, 3)} ± {number(interval, 3)}"
    decided_by_few = median is not None and (mean is None or mean > _FEW_DECIDE * median)
    return f"{shown} (median {number(median, 3)})" if decided_by_few else shown


def _machine_notes(results: dict[str, JSON]) -> list[str]:
    notes = {
        f"{r['machine']['cpu']}, {r['device']}, {r['threads']} thread(s), {r['processes']} process(es), "
        f"{r['precision']}, torch {r['versions'].get('torch', '?')}"
        for r in results.values()
    }
    return sorted(notes)


def _points(folder: Path, clock: str) -> list[tuple[float, float]]:
    """Return (minutes of training, validation accuracy in %) pairs."""
    return [
        (float(line.get(clock) or line["seconds"]) / 60, 100 * (1 - line["validation"]))
        for line in read_log(folder / TRAINING)
        if line.get("validation") is not None
    ]


def _curves_figure(
    curves: Sequence[tuple[str, Sequence[tuple[float, float]]]], size: Size, clock: str
) -> Figure:
    figure, axes = new_figure(size)
    lowest = 100.0
    for place, (name, points) in enumerate(curves):
        minutes, values = zip(*points, strict=True)
        colour = marker(SERIES[place % len(SERIES)])
        style = _STYLES[place // len(SERIES) % len(_STYLES)]
        axes.plot(minutes, values, style, color=colour, linewidth=1.5, label=name)
        lowest = min(lowest, sorted(values)[len(values) // 4])
    axes.set_ylim(max(0.0, lowest - 2), 100.3)
    axes.set_xlabel(clock, color=marker("muted"), fontsize=9)
    axes.set_ylabel("validation accuracy in %", color=marker("muted"), fontsize=9)
    axes.figure.legend(
        loc="outside lower center",
        ncols=2 if size.narrow else 3,
        frameon=False,
        fontsize=8,
        labelcolor=marker("ink"),
    )
    return figure
