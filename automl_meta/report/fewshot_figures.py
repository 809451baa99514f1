"""The figures of a few-shot report: training curves, episodes with predictions, adapted curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from automl_meta._typing import JSON
from automl_meta.fewshot.examples import Examples
from automl_meta.report.svg import SERIES, Size, marker, new_figure

#: Query items of a class, and classes, that the picture of episodes shows at most.
_MOST_QUERIES = {False: 10, True: 5}
_MOST_ROWS = 20
_GAP = 0.14  # between tiles, in tiles


def loss_curve(log: Sequence[JSON], size: Size) -> Figure | None:
    """Draw the training loss against steps: each logged batch, and their running mean.

    Args:
        log: Lines of ``training/log.jsonl``.
        size: Size of the drawing.

    Returns:
        The figure, or None without two finite losses.
    """
    points = [(line["step"], line["loss"]) for line in log if line["loss"] is not None]
    if len(points) < 2:
        return None
    steps, losses = np.array(points, dtype=float).T
    figure, axes = new_figure(size)
    few = max(1, len(points) // 600)  # more dots than pixels only make the page heavy
    axes.plot(steps[::few], losses[::few], ".", color=marker("s-grey"), markersize=2.5, alpha=0.45)
    axes.plot(steps[::few], _running_mean(losses)[::few], color=marker("accent"), linewidth=1.6)
    low, high = float(losses.min()), float(np.quantile(losses, 0.995))
    # Losses that fall over orders of magnitude would lie on the axis of a linear scale.
    if low > 0 and high / low > 30:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    elif high > low:
        axes.set_ylim(0 if low >= 0 else None, high * 1.05)
    _label(axes, "training loss")
    return figure


def validation_curve(log: Sequence[JSON], best_step: int, size: Size, label: str) -> Figure | None:
    """Draw the validation score against steps and mark the chosen step.

    Args:
        log: Lines of ``training/log.jsonl``; ``validation`` is 1 - accuracy, or a mean squared error.
        best_step: The step whose parameters were kept.
        size: Size of the drawing.
        label: ``"accuracy"`` or ``"mean squared error"``.

    Returns:
        The figure, or None without validations.
    """
    points = [(s["step"], s["validation"]) for s in log if s.get("validation") is not None]
    if not points:
        return None
    steps, values = np.array(points, dtype=float).T
    if label == "accuracy":
        values = 100 * (1 - values)
    figure, axes = new_figure(size)
    axes.plot(steps, values, "-", color=marker("s-orange"), linewidth=1.5)
    chosen = steps == best_step
    axes.plot(steps[chosen], values[chosen], "o", color=marker("s-orange"), markersize=6)
    if label == "accuracy":
        # The first validations of an untrained net would squeeze all that matters into the top.
        low = float(np.quantile(values, 0.1 if len(values) > 10 else 0.0))
        axes.set_ylim(max(0.0, low - 0.15 * (100 - low) - 0.2), min(100.3, values.max() + 0.6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    _label(axes, f"validation {label}")
    return figure


def appearance_curve(appearances: Sequence[JSON], ways: int, size: Size) -> Figure:
    """Draw the accuracy at the first, second, ... appearance of a class, with intervals, and chance.

    Args:
        appearances: Entries of a result's ``appearances``.
        ways: Classes of an episode.
        size: Size of the drawing.

    Returns:
        The figure.
    """
    numbers = np.array([entry["appearance"] for entry in appearances])
    means = 100 * np.array([entry["mean"] for entry in appearances])
    widths = 100 * np.array([entry["interval95"] or 0.0 for entry in appearances])
    figure, axes = new_figure(size)
    axes.axhline(100 / ways, linestyle=":", color=marker("s-grey"), linewidth=1.2)
    axes.fill_between(
        numbers, means - widths, means + widths, color=marker("accent"), alpha=0.25, linewidth=0
    )
    axes.plot(numbers, means, "o-", color=marker("accent"), linewidth=1.5, markersize=4)
    axes.set_ylim(0, 100.3)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    _label(axes, "accuracy")
    axes.set_xlabel("appearance of a class", color=marker("muted"), fontsize=9)
    return figure


def episode_picture(examples: Examples, which: int, size: Size) -> Figure:
    """Draw one episode: a row for each class with its support, then its queries, marked right or wrong.

    Args:
        examples: Of a classification.
        which: Number of the episode.
        size: Of the drawing; its height follows the number of classes.

    Returns:
        The figure.
    """
    some = examples.episodes
    rows = min(int(some.ways or 0), _MOST_ROWS)
    shots = some.support_y.shape[1] // int(some.ways or 1)
    n_queries = some.query_y.shape[1] // int(some.ways or 1)
    shown_shots = min(shots, 3 if size.narrow else 5)
    shown = min(n_queries, _MOST_QUERIES[size.narrow])
    support = _by_class(some.support_x[which].numpy(), shots)[:rows, :shown_shots]
    query = _by_class(some.query_x[which].numpy(), n_queries)[:rows, :shown]
    guesses = _by_class(examples.outputs[-1, which].argmax(-1).numpy(), n_queries)
    # Few columns must not become huge tiles.
    columns = max(shown_shots + shown + 0.6, 6.0 if size.narrow else 9.0)
    figure, axes = new_figure(Size(size.width, size.width * rows / columns + 0.3, size.narrow))
    _bare(axes)
    _block(axes, support, 0)
    _block(axes, query, shown_shots + 0.6)
    marks: dict[bool, list[Rectangle]] = {True: [], False: []}
    for row in range(rows):
        for q in range(shown):
            x, right = shown_shots + 0.6 + q, bool(guesses[row, q] == row)
            marks[right].append(Rectangle((x, row), 1 - _GAP, 1 - _GAP))
            if not right:
                _wrong_label(axes, x, row, int(guesses[row, q]) + 1, narrow=size.narrow)
        axes.text(
            -0.12,
            row + 0.43,
            str(row + 1),
            color=marker("muted"),
            fontsize=8,
            ha="right",
            va="center",
        )
    for right, role in ((True, "s-green"), (False, "bad")):
        width = 1.1 if right else 2.4
        axes.add_collection(
            PatchCollection(
                marks[right], facecolor="none", edgecolor=marker(role), linewidth=width, zorder=3
            )
        )
    axes.set_xlim(-0.5, columns)
    axes.set_ylim(rows, -0.55)
    for x, text in ((0, "support"), (shown_shots + 0.6, "query")):
        axes.text(x, -0.2, text, color=marker("muted"), fontsize=9, va="bottom")
    return figure


def adapted_curves(examples: Examples, which: int, size: Size) -> Figure:
    """Draw one function, its support points, and the predictions before and after adaptation.

    Args:
        examples: Of a regression with one input.
        which: Number of the episode.
        size: Size of the drawing.

    Returns:
        The figure.
    """
    some = examples.episodes
    x = some.query_x[which, :, 0].numpy()
    order = np.argsort(x)
    figure, axes = new_figure(size)
    truth = some.query_y[which, :, 0].numpy()[order]
    axes.plot(x[order], truth, color=marker("ink"), linewidth=1.6, label="true function")
    for place, steps in enumerate(examples.steps):
        predicted = examples.outputs[place, which, :, 0].numpy()[order]
        name = "before adaptation" if steps == 0 else f"after {steps} step{'s' * (steps > 1)}"
        style = ":" if steps == 0 else "-" if place == len(examples.steps) - 1 else "--"
        colour = marker("s-grey" if steps == 0 else SERIES[place - 1])
        axes.plot(x[order], predicted, style, color=colour, linewidth=1.6, label=name)
    axes.plot(
        some.support_x[which, :, 0].numpy(),
        some.support_y[which, :, 0].numpy(),
        "o",
        color=marker("s-green"),
        markersize=6,
        label="support",
        zorder=4,
    )
    axes.figure.legend(
        loc="outside upper left",
        ncols=2 if size.narrow else 5,
        frameon=False,
        fontsize=9,
        labelcolor=marker("ink"),
        columnspacing=1.2,
    )
    return figure


def _by_class(items: np.ndarray[Any, Any], per_class: int) -> np.ndarray[Any, Any]:
    """Reshape items in class-major order, [N*K, ...], to [N, K, ...]."""
    return items.reshape(-1, per_class, *items.shape[1:])


def _block(axes: Any, images: np.ndarray[Any, Any], left: float) -> None:
    """Draw images [rows, columns, C, H, W] in [0, 1], ink bright, as tiles from a place on the x axis.

    Gray ones become ink on paper, coloured ones stay as they are. All tiles are one picture, because every
    picture costs time and room of its own.
    """
    rows, columns, channels, height, width = images.shape
    gap_y, gap_x = (round(size * _GAP / (1 - _GAP)) for size in (height, width))
    cells = np.zeros((rows, height + gap_y, columns, width + gap_x, 4))
    pixels = images.transpose(0, 3, 1, 4, 2)  # [rows, H, columns, W, C]
    cells[:, :height, :, :width, :3] = 1 - pixels if channels == 1 else pixels[..., :3]
    cells[:, :height, :, :width, 3] = 1  # the gaps stay transparent
    axes.imshow(
        cells.reshape(rows * (height + gap_y), columns * (width + gap_x), 4),
        extent=(left, left + columns, rows, 0),
        interpolation="nearest",
        zorder=2,
    )


def _wrong_label(axes: Any, x: float, y: float, guess: int, *, narrow: bool) -> None:
    """Say which class was predicted, so that right and wrong differ by more than colour."""
    axes.text(
        x + 0.04,
        y + 0.04,
        f"✗{guess}",
        color=marker("paper"),
        fontsize=6 if narrow else 8,
        va="top",
        zorder=5,
        bbox={"facecolor": marker("bad"), "edgecolor": "none", "pad": 1.0},
    )


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _label(axes: Any, text: str) -> None:
    axes.set_xlabel("outer step", color=marker("muted"), fontsize=9)
    axes.set_ylabel(text, color=marker("muted"), fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _running_mean(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Average over a window of a twentieth of the values around each; narrower at both ends."""
    half = max(1, len(values) // 40)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    mean: np.ndarray[Any, Any] = (sums[high] - sums[low]) / (high - low)
    return mean
