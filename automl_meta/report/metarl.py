"""The reports of meta-reinforcement-learning: the page of one run, and the table of a suite."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automl_meta import __version__
from automl_meta._typing import JSON
from automl_meta.metarl.result import FOLDER
from automl_meta.metarl.suite import MetaRLSuite, stored_results
from automl_meta.report.metarl_figures import (
    adaptation_curves,
    learning_curve,
    regret_curves,
    reward_curves,
)
from automl_meta.report.metarl_view import (
    METHODS,
    adaptation_rows,
    episode_name,
    learned,
    machine_line,
    score_text,
    share_text,
    title,
    view,
)
from automl_meta.report.page import render
from automl_meta.report.svg import Draw, Size, responsive, svg_text
from automl_meta.report.text import DASH, duration, training_clock
from automl_meta.training import read_log
from automl_meta.training.folder import TRAINING

SUITE_SCHEMA = "automl-meta/metarl-suite/1"
_WIDE, _NARROW = Size(5.2, 3.4), Size(4.0, 3.2, narrow=True)


def metarl_report(folder: Path) -> Path:
    """Write the report of one run.

    Args:
        folder: Where ``automl-meta metarl`` wrote; ``report.html`` and its figures (``learning.svg``,
            ``rewards.svg``, ``regret.svg``, ``adaptation.svg``) in it are replaced.

    Returns:
        Path of the page, which is self-contained and needs no network.

    Raises:
        StoreError: If there is no result, or a file is damaged.
    """
    result = FOLDER.read(folder)
    values, drawings = view(result), {}
    for name, draw in _figures(folder, result).items():
        drawings[name] = responsive(name, _WIDE, _NARROW, draw)
        figure = draw(_WIDE)
        if figure is not None:
            alone = svg_text(figure, name=name, page=False)
            (folder / f"{name}.svg").write_text(alone, encoding="utf-8")
    html = folder / "report.html"
    html.write_text(render("metarl.html.j2", drawings=drawings, **values), encoding="utf-8")
    return html


def _figures(folder: Path, result: JSON) -> dict[str, Draw]:
    log, methods = read_log(folder / TRAINING), result["methods"]
    best_step = (result["training"] or {}).get("best_step", -1)
    episode, clock = episode_name(result["settings"]), training_clock([result["device"]])
    within = [] if result["settings"].get("adaptation") else methods
    return {
        "learning": lambda size: learning_curve(log, best_step, _levels(result), size, clock),
        "rewards": lambda size: reward_curves(within, episode, size),
        "regret": lambda size: regret_curves(within, size),
        "adaptation": lambda size: adaptation_curves(methods, size),
    }


def _levels(result: JSON) -> dict[str, float]:
    """Return what the learning curve is set against: the published figure and the best rule of the test."""
    known = result["published"].get(result["settings"]["learner"])
    levels = {} if known is None else {"published": float(known)}
    skipped = {result["settings"]["learner"], f"{result['settings']['learner']}-drawn", "informed"}
    rules = [m for m in result["methods"] if m["name"] not in skipped]
    if rules:
        best = max(rules, key=lambda method: float(method["mean"]))
        levels[METHODS.get(best["name"], best["name"])] = float(best["mean"])
    return levels


def suite_report(suite: MetaRLSuite, folder: Path, *, command: str = "") -> Path:
    """Write the table of a suite from the runs that are done.

    Args:
        suite: The suite.
        folder: Where its runs are; ``report.html``, ``report.md`` and ``suite.json`` in it are replaced;
            the figures beside the results of the runs are shown.
        command: What makes the table again.

    Returns:
        Path of the page.

    Raises:
        StoreError: If a result is damaged.
    """
    results = {name: found.document for name, found in stored_results(suite, folder).items()}
    rows = [_row(name, results.get(name)) for name in suite.runs]
    document = {
        "schema": SUITE_SCHEMA,
        "title": suite.title,
        "command": command,
        "runs": [_suite_record(name, results.get(name)) for name in suite.runs],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    (folder / "suite.json").write_text(text, encoding="utf-8")
    names = list(dict.fromkeys(m["name"] for r in results.values() for m in r["methods"]))
    values: dict[str, Any] = {
        "title": suite.title,
        "subtitle": f"{len(results)} of {len(rows)} runs",
        "rows": rows,
        "columns": [name for name, result in results.items() if result["methods"]],
        "methods": [_comparison(name, results) for name in names],
        "adaptations": [
            (name, adaptation_rows(result))
            for name, result in results.items()
            if adaptation_rows(result)
        ],
        "pictures": [
            (name, title(result["settings"]), _drawn(folder / name))
            for name, result in results.items()
        ],
        "notes": [*suite.notes, *sorted({machine_line(result) for result in results.values()})],
        "command": command,
        "version": __version__,
    }
    drawings = {
        f"{kind}-{name}": responsive(f"{kind}-{name}", _WIDE, _NARROW, draw)
        for name, result in results.items()
        for kind, draw in _figures(folder / name, result).items()
        if kind != "rewards"
    }
    html = folder / "report.html"
    html.write_text(render("metarl_suite.html.j2", drawings=drawings, **values), encoding="utf-8")
    (folder / "report.md").write_text(render("metarl_suite.md.j2", **values), encoding="utf-8")
    return html


def _drawn(folder: Path) -> list[str]:
    """Return the figures that the report of a run drew, of those that a suite shows."""
    return [
        kind for kind in ("learning", "regret", "adaptation") if (folder / f"{kind}.svg").is_file()
    ]


def _row(name: str, result: JSON | None) -> dict[str, str]:
    found = None if result is None else learned(result)
    training = None if result is None else result["training"]
    shown = dict.fromkeys(("score", "published", "share", "steps", "trials", "cpu"), DASH)
    shown |= {"name": name, "title": DASH if result is None else title(result["settings"])}
    if found is not None:
        known = found["published"]
        shown |= {"score": score_text(found), "share": share_text(found)}
        shown["published"] = DASH if known is None else f"{known:g}"
    if training is not None:
        shown |= {
            "steps": f"{training['steps']:,}",
            "trials": f"{training['trials']:,}",
            "cpu": duration(training["cpu_seconds"]),
        }
    return shown


def _comparison(name: str, results: Mapping[str, JSON]) -> dict[str, Any]:
    """Return one row of the table of methods: its score in each run."""
    cells = []
    for result in results.values():
        if result["methods"]:
            by_name = {method["name"]: method for method in result["methods"]}
            cells.append(score_text(by_name[name]) if name in by_name else DASH)
    return {"name": METHODS.get(name, name), "cells": cells}


def _suite_record(name: str, result: JSON | None) -> JSON:
    if result is None:
        return {"name": name, "status": "missing"}
    curves = {"rewards", "regrets"}
    return {
        "name": name,
        "status": result["status"],
        "settings": result["settings"],
        "training": result["training"],
        "methods": [{k: v for k, v in m.items() if k not in curves} for m in result["methods"]],
        "command": result["command"],
    }
