"""The figures of the report of one run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from automl_meta._typing import JSON
from automl_meta.report.ensemble import used_ensemble
from automl_meta.report.svg import ORIGINS, Size, marker, new_figure, svg_text

_WIDE, _NARROW = 7.6, 4.0


def best_so_far(trials: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Return the best completed score after each completed trial.

    Args:
        trials: The ``trials`` of a result, in order.

    Returns:
        (trial number, best score so far) pairs, one for each completed trial.

    Example:
        >>> best_so_far([{"number": 0, "state": "complete", "score": 0.5},
        ...              {"number": 1, "state": "failed", "score": None},
        ...              {"number": 2, "state": "complete", "score": 0.4}])
        [(0, 0.5), (2, 0.5)]
    """
    best = float("-inf")
    curve = []
    for trial in trials:
        if trial["state"] == "complete" and trial["score"] is not None:
            best = max(best, float(trial["score"]))
            curve.append((int(trial["number"]), best))
    return curve


def _lower_limit(scores: Sequence[float], best: float) -> float:
    """Return where the score axis starts: scores far below the rest would flatten the curve.

    Everything below the limit is drawn on the lower edge as an arrow.
    """
    ordered = sorted(scores)
    quarter = ordered[len(ordered) // 4]
    reach = max(2.5 * (best - quarter), 1e-3 * max(abs(best), 1e-9))
    low = max(ordered[0], best - reach)
    return low - max(0.06 * (best - low), 1e-3 * abs(best), 1e-6)


def _scatter(axes: Any, trials: Sequence[Mapping[str, Any]], floor: float, *, narrow: bool) -> None:
    for origin, role in ORIGINS.items():
        mine = [t for t in trials if t["origin"] == origin and t["score"] is not None]
        size = 22 if narrow else 30
        for shape, filled, chosen in (
            ("o", True, [t for t in mine if t["state"] == "complete" and t["score"] >= floor]),
            ("v", True, [t for t in mine if t["state"] == "complete" and t["score"] < floor]),
            ("o", False, [t for t in mine if t["state"] == "pruned"]),
        ):
            if chosen:
                axes.scatter(
                    [t["number"] for t in chosen],
                    [max(t["score"], floor) for t in chosen],
                    s=size,
                    marker=shape,
                    facecolors=marker(role) if filled else "none",
                    edgecolors=marker(role),
                    linewidths=1.2,
                    zorder=3,
                    clip_on=False,
                )
    failed = [t["number"] for t in trials if t["state"] == "failed"]
    if failed:
        axes.scatter(
            failed,
            [floor] * len(failed),
            s=30,
            marker="x",
            color=marker("bad"),
            zorder=3,
            clip_on=False,
        )


def _legend(axes: Any, trials: Sequence[Mapping[str, Any]], floor: float) -> None:
    from matplotlib.lines import Line2D

    present = {t["origin"] for t in trials}
    dot: dict[str, Any] = {"linestyle": "none", "markersize": 6}
    handles = [Line2D([], [], color=marker("ink"), linewidth=1.6, label="best so far")]
    handles += [
        Line2D([], [], marker="o", color=marker(role), label=origin, **dot)
        for origin, role in ORIGINS.items()
        if origin in present
    ]
    if any(t["state"] == "pruned" for t in trials):
        ring: dict[str, Any] = {"markerfacecolor": "none", "color": marker("muted")}
        handles.append(Line2D([], [], marker="o", label="pruned", **ring, **dot))
    if any(t["state"] == "failed" for t in trials):
        handles.append(Line2D([], [], marker="x", color=marker("bad"), label="failed", **dot))
    if any(t["state"] == "complete" and t["score"] < floor for t in trials):
        handles.append(
            Line2D([], [], marker="v", color=marker("muted"), label="below the axis", **dot)
        )
    axes.figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=3 if axes.figure.get_figwidth() < 5 else 7,
        frameon=False,
        fontsize=9,
        labelcolor=marker("ink"),
        handletextpad=0.4,
        columnspacing=1.2,
    )


def search_curve(result: JSON, size: Size) -> Figure | None:
    """Draw every trial and the best score so far.

    Args:
        result: A ``result.json`` document.
        size: Size of the drawing.

    Returns:
        The figure, or None when no trial was completed.
    """
    trials = result["trials"]
    curve = best_so_far(trials)
    if not curve:
        return None
    figure, axes = new_figure(size)
    scores = [float(t["score"]) for t in trials if t["score"] is not None]
    best = curve[-1][1]
    floor = _lower_limit(scores, best)
    last = max(int(t["number"]) for t in trials)
    xs, ys = [n for n, _ in curve], [max(s, floor) for _, s in curve]
    axes.step(
        [*xs, last], [*ys, ys[-1]], where="post", color=marker("ink"), linewidth=1.6, zorder=2
    )
    _scatter(axes, trials, floor, narrow=size.narrow)
    axes.set_ylim(floor, best + 0.08 * (best - floor))
    axes.set_xlim(-0.5, max(last, 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5 if size.narrow else 10, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set_xlabel("trial", color=marker("muted"), fontsize=9)
    axes.set_ylabel(
        f"{result['task']['metric']}, cross-validated", color=marker("muted"), fontsize=9
    )
    _legend(axes, trials, floor)
    return figure


def importance_bars(result: JSON, size: Size) -> Figure | None:
    """Draw hyperparameter importance as horizontal bars, the ten greatest.

    Args:
        result: A ``result.json`` document.
        size: Size of the drawing; its height is adapted to the number of bars.

    Returns:
        The figure, or None when the result holds no importances.
    """
    ranked = sorted(result["importances"].items(), key=lambda item: -item[1])[:10]
    if not ranked:
        return None
    figure, axes = new_figure(Size(size.width, 0.5 + 0.27 * len(ranked), size.narrow))
    axes.grid(visible=False, axis="y")
    names = [_short(name, 30 if size.narrow else 48) for name, _ in ranked][::-1]
    values = [value for _, value in ranked][::-1]
    axes.barh(range(len(names)), values, color=marker("accent"), height=0.62)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, max(*values, 1e-9) * 1.15)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    for row, value in enumerate(values):
        axes.annotate(
            f"{value:.0%}", (value, row), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=9, color=marker("muted"),
        )  # fmt: skip
    return figure


def test_scores(result: JSON, size: Size) -> Figure | None:
    """Draw the held-out score of the search's model beside those of the family defaults.

    Args:
        result: A ``result.json`` document.
        size: Size of the drawing; its height is adapted to the number of rows.

    Returns:
        The figure, or None when nothing was scored on the test part.
    """
    test = result["test"]
    rows = [(d["family"], d["test_score"], False) for d in result["defaults"]]
    rows = [row for row in rows if row[1] is not None]
    if not rows or not test or test["score"] is None:
        return None
    alone = (test.get("single_best") or {}).get("score")
    if used_ensemble(result) and alone is not None:
        rows.append(("its best trial", alone, True))
    rows = sorted([*rows, ("this search", test["score"], True)], key=lambda row: row[1])
    figure, axes = new_figure(Size(size.width, 0.7 + 0.27 * len(rows), size.narrow))
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=marker("line"), linewidth=0.7)
    for row, (_, score, ours) in enumerate(rows):
        colour = marker("s-orange" if ours else "s-grey")
        axes.scatter([score], [row], s=60 if ours else 34, color=colour, zorder=3, clip_on=False)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    for label, (_, _, ours) in zip(axes.get_yticklabels(), rows, strict=True):
        if ours:
            label.set_color(marker("ink"))
            label.set_fontweight("bold")
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if size.narrow else 6))
    axes.set_xlabel(f"{test['metric']} on the held-out rows", color=marker("muted"), fontsize=9)
    return figure


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def responsive(
    draw: Callable[[JSON, Size], Figure | None], result: JSON, *, name: str, height: float = 3.4
) -> list[tuple[str, str]]:
    """Draw a figure twice, for a desktop and for a phone, so that its text stays readable on both.

    Args:
        draw: One of this module's drawing functions.
        result: A ``result.json`` document.
        name: Unique name of the figure within the page.
        height: Height in inches where the figure does not set its own.

    Returns:
        (CSS class, SVG text) pairs; empty when there is nothing to draw.
    """
    drawings = []
    for css, size in (
        ("wide", Size(_WIDE, height)),
        ("narrow", Size(_NARROW, height * 0.95, narrow=True)),
    ):
        figure = draw(result, size)
        if figure is not None:
            drawings.append((css, svg_text(figure, name=f"{name}-{css}")))
    return drawings
