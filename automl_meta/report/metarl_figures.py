"""The figures of a meta-reinforcement-learning report: learning, reward within a trial, regret."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from automl_meta._typing import JSON
from automl_meta.report.metarl_view import METHODS
from automl_meta.report.svg import Size, marker, new_figure
from automl_meta.report.text import CLOCKS

#: Methods that the curves leave out: the second form of a method says little in a picture.
_UNDRAWN = {"rl2-drawn", "snail-drawn", "ucb1"}
#: A method has one colour in all pictures; learned ones, which are none of these, have orange.
_COLOURS = {
    "random": "s-grey",
    "greedy": "s-purple",
    "ucb1-tuned": "s-green",
    "thompson": "s-yellow",
    "gittins": "s-blue",
    "psrl": "s-yellow",
    "optimistic-psrl": "s-green",
    "informed": "s-blue",
    "shared": "s-green",
    "fine-tuned": "s-blue",
    "untrained": "s-grey",
}


def learning_curve(
    log: Sequence[JSON], best_step: int, levels: JSON, size: Size, clock: str
) -> Figure | None:
    """Draw the mean validation reward against the time of training and mark the chosen step.

    Args:
        log: Lines of ``training/log.jsonl``; ``validation`` is minus the mean total reward.
        best_step: The step whose parameters were kept.
        levels: Name to a reward drawn as a line across.
        size: Size of the drawing.
        clock: From ``training_clock``.

    Returns:
        The figure, or None without validations.
    """
    lines = [line for line in log if line.get("validation") is not None]
    if not lines:
        return None
    minutes = np.array([line[clock] / 60 for line in lines])
    rewards = np.array([-line["validation"] for line in lines])
    figure, axes = new_figure(size)
    axes.plot(minutes, rewards, "-", color=marker("s-orange"), linewidth=1.5, label="validation")
    chosen = np.array([line["step"] == best_step for line in lines])
    axes.plot(minutes[chosen], rewards[chosen], "o", color=marker("s-orange"), markersize=6)
    for place, (name, level) in enumerate(levels.items()):
        colour = marker(("s-blue", "s-green", "s-grey")[place % 3])
        axes.axhline(level, color=colour, linewidth=1.2, linestyle="--", label=name)
    _label(axes, CLOCKS[clock], "mean total reward")
    _legend(axes, 3)
    return figure


def reward_curves(methods: Sequence[JSON], episode: str, size: Size) -> Figure | None:
    """Draw the mean reward of each episode of a trial, a line for each method.

    Args:
        methods: Of a result.
        episode: What an episode is called.
        size: Size of the drawing.

    Returns:
        The figure, or None without methods or with a single episode.
    """
    curves = [(m["name"], m["rewards"]) for m in methods if m["name"] not in _UNDRAWN]
    return _curves(curves, episode, f"mean reward of the {episode}", size)


def regret_curves(methods: Sequence[JSON], size: Size) -> Figure | None:
    """Draw what was lost so far against the best arm, a line for each method but the random one.

    Args:
        methods: Of a result.
        size: Size of the drawing.

    Returns:
        The figure, or None where the regret is not known.
    """
    curves = [
        (m["name"], list(accumulate(m["regrets"])))
        for m in methods
        if m["regrets"] is not None and m["name"] not in _UNDRAWN | {"random"}
    ]
    return _curves(curves, "pull", "regret so far", size)


def adaptation_curves(methods: Sequence[JSON], size: Size) -> Figure | None:
    """Draw the mean return of an episode after each inner step with its interval, a line for each method.

    Args:
        methods: Of a result; one that never adapts is drawn as a level.
        size: Size of the drawing.

    Returns:
        The figure, or None without methods that adapt.
    """
    if not methods or "intervals" not in methods[0]:
        return None
    figure, axes = new_figure(size)
    last = max(len(method["rewards"]) for method in methods) - 1
    for place, method in enumerate(methods):
        name = method["name"]
        # None, where a policy diverged, is a gap.
        values, halves = (
            np.array(method[key], dtype=np.float64).tolist() for key in ("rewards", "intervals")
        )
        colour = marker(_COLOURS.get(name, "s-orange"))
        label, style = METHODS.get(name, name), "-" if place == 0 else "--"
        if len(values) == 1:
            axes.plot([0, last], values * 2, ":", color=colour, linewidth=1.5, label=label)
            continue
        axes.errorbar(
            range(len(values)),
            values,
            yerr=halves,
            fmt=f"o{style}",
            color=colour,
            linewidth=2.0 if place == 0 else 1.3,
            markersize=4,
            label=label,
        )
    _label(axes, "gradient steps on the task", "mean total reward")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes, 2)
    return figure


def _curves(
    curves: Sequence[tuple[str, Sequence[float]]], episode: str, label: str, size: Size
) -> Figure | None:
    if not curves or len(curves[0][1]) < 2:
        return None
    figure, axes = new_figure(size)
    for place, (name, values) in enumerate(curves):
        axes.plot(
            range(1, len(values) + 1),
            values,
            "-" if place == 0 else "--",
            color=marker(_COLOURS.get(name, "s-orange")),
            linewidth=2.0 if place == 0 else 1.3,
            label=METHODS.get(name, name),
        )
    _label(axes, episode, label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    _legend(axes, 2 if size.narrow else 3)
    return figure


def _label(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x, color=marker("muted"), fontsize=9)
    axes.set_ylabel(y, color=marker("muted"), fontsize=9)


def _legend(axes: Any, columns: int) -> None:
    axes.figure.legend(
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=8,
        labelcolor=marker("ink"),
    )
