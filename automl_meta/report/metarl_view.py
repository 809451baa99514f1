"""From the ``result.json`` of a meta-reinforcement-learning run to what its page shows."""

from collections.abc import Mapping
from typing import Any

from automl_meta._typing import JSON
from automl_meta._words import counted
from automl_meta.exceptions import StoreError
from automl_meta.metarl.result import SCHEMA
from automl_meta.report.text import DASH, STOPPED, duration, fact_rows, signed

METHODS = {
    "rl2": "RL²",
    "rl2-drawn": "RL², actions drawn",
    "snail": "SNAIL",
    "snail-drawn": "SNAIL, actions drawn",
    "random": "Random",
    "greedy": "Greedy",
    "ucb1": "UCB1",
    "ucb1-tuned": "UCB1, prior and tuned bonus",
    "thompson": "Thompson sampling",
    "gittins": "Gittins index",
    "psrl": "PSRL",
    "optimistic-psrl": "Optimistic PSRL",
    "informed": "Informed of the task",
    "maml-rl": "MAML",
    "e-maml": "E-MAML",
    "promp": "ProMP",
    "shared": "One policy for all tasks",
    "fine-tuned": "That policy, fine-tuned",
    "untrained": "An untrained policy, fine-tuned",
}


def view(result: JSON) -> dict[str, Any]:
    """Turn a result into the values that the template prints.

    Args:
        result: A document of schema ``automl-meta/metarl/1``.

    Returns:
        A mapping of plain strings, lists and mappings; nothing in it is escaped yet.

    Raises:
        StoreError: If the schema is another one or a field is missing.
    """
    if result.get("schema") != SCHEMA:
        msg = (
            f"The report needs a result of schema {SCHEMA!r}. Got {result.get('schema')!r} instead."
        )
        raise StoreError(msg)
    try:
        settings = result["settings"]
        return {
            "title": title(settings),
            "subtitle": f"{settings['test_trials']:,} new tasks, the same for all methods · seed {settings['seed']}",
            "verdict": _verdict(result),
            "cards": _cards(result),
            "methods": [_method_row(method) for method in result["methods"]],
            "learner": fact_rows(result["learner"]),
            "seeds": fact_rows(result["seeds"]),
            "settings": fact_rows({k: v for k, v in settings.items() if k != "training"}),
            "training": fact_rows(settings["training"]),
            "versions": fact_rows(result["versions"]),
            "machine": machine_line(result),
            "notes": result["notes"],
            "command": result["command"] or "",
            "version": result["versions"].get("automl-meta", ""),
            "started": result["started"].replace("T", " ")[:16],
            "episode": episode_name(settings),
            "adaptation": adaptation_rows(result),
        }
    except KeyError as error:
        msg = f"The result lacks the field {error}. Write it again: automl-meta metarl."
        raise StoreError(msg) from error


def title(settings: Mapping[str, Any]) -> str:
    """Return the heading of a run: learner and kind of trials.

    Example:
        >>> title({"learner": "rl2", "env": "bandits", "arms": 5, "episodes": 10})
        'RL² on bandits of 5 arms, 10 pulls'
    """
    learner = METHODS.get(settings["learner"], settings["learner"])
    if settings.get("adaptation"):
        steps = settings["adaptation"]["inner_steps"]
        rounds = f"{steps} step{'s' if steps > 1 else ''} from {settings['episodes']} episodes each"
        return f"{learner} on {settings['env']}, {rounds}"
    fewer = settings.get("train_episodes")
    trained = f", trained on {fewer}" if fewer else ""
    if settings["env"] == "bandits":
        pulls = f"{settings['episodes']} pulls{trained}"
        return f"{learner} on bandits of {settings['arms']} arms, {pulls}"
    return (
        f"{learner} on processes of {settings['states']} states and {settings['arms']} actions, "
        f"{settings['episodes']} episodes of {settings['episode_steps']} steps{trained}"
    )


def episode_name(settings: Mapping[str, Any]) -> str:
    """Return what an episode of a trial is called: ``"pull"`` or ``"episode"``."""
    return "pull" if settings["env"] == "bandits" else "episode"


def learned(result: JSON) -> Mapping[str, Any] | None:
    """Return the entry of the trained policy, or None before the test."""
    methods: list[JSON] = result["methods"]
    return methods[0] if methods else None


def score_text(method: Mapping[str, Any]) -> str:
    """Return mean total reward and interval, where the policy did not diverge.

    Example:
        >>> score_text({"mean": 6.6801, "interval95": 0.0312})
        '6.68 ± 0.03'
        >>> score_text({"mean": None, "interval95": None})
        'diverges'
    """
    if method["mean"] is None or method["interval95"] is None:
        return "diverges"
    digits = 2 if abs(method["mean"]) < 1000 else 1
    return f"{method['mean']:.{digits}f} ± {method['interval95']:.{digits}f}"


def share_text(method: Mapping[str, Any]) -> str:
    """Return the mean as a share of the published figure, or a dash.

    Example:
        >>> share_text({"mean": 77.91, "published": 78.7})
        '99.0 %'
    """
    known = method["published"]
    return (
        DASH if known is None or method["mean"] is None else f"{100 * method['mean'] / known:.1f} %"
    )


def adaptation_rows(result: JSON) -> list[dict[str, Any]]:
    """Return the mean return after each inner step by method.

    Args:
        result: Of a run.

    Returns:
        Names, cells and rates of a table; nothing for learners that make no inner steps.
    """
    if not result["settings"].get("adaptation"):
        return []
    most = max((len(method["rewards"]) for method in result["methods"]), default=0)
    rows = []
    for method in result["methods"]:
        scores = zip(method["rewards"], method["intervals"], strict=True)
        cells = [score_text({"mean": mean, "interval95": half}) for mean, half in scores]
        rows.append(
            {
                "name": METHODS.get(method["name"], method["name"]),
                "cells": cells + [DASH] * (most - len(cells)),
                "rate": DASH if method["rate"] is None else f"{method['rate']:g}",
            }
        )
    return rows


def machine_line(result: JSON) -> str:
    """Return on what a run was made, in one line."""
    machine = result["machine"]
    return (
        f"{machine['cpu']}, {counted(machine['cores'], 'core')}; computed on {result['device']} with "
        f"{result['threads']} threads, {result['precision']}"
    )


def _verdict(result: JSON) -> str:
    found = learned(result)
    if found is None:
        return "The run ended before it was tested."
    tasks = f"{result['settings']['test_trials']:,} new tasks"
    adaptation = result["settings"].get("adaptation")
    if adaptation:
        start = score_text({"mean": found["rewards"][0], "interval95": found["intervals"][0]})
        steps = adaptation["inner_steps"]
        return (
            f"Mean total reward of an episode {start} before and {score_text(found)} after {steps} "
            f"gradient step{'s' if steps > 1 else ''}, over {tasks}."
        )
    text = f"Mean total reward {score_text(found)} over {tasks}"
    if found["published"] is not None:
        return f"{text}: {share_text(found)} of the published {found['published']:g}."
    return f"{text}."


def _cards(result: JSON) -> list[dict[str, str]]:
    found, training = learned(result), result["training"]
    cards = []
    if found is not None:
        value, _, half = score_text(found).partition(" ± ")
        note = f"{'± ' + half + ', 95 % of ' if half else ''}{result['settings']['test_trials']:,} trials"
        cards.append({"label": "mean total reward", "value": value, "note": note})
    if training is not None:
        cards += [
            {
                "label": "training time",
                "value": duration(training["seconds"]),
                "note": f"{duration(training['cpu_seconds'])} of processor",
            },
            {
                "label": "outer steps",
                "value": f"{training['steps']:,}",
                "note": f"{training['trials']:,} trials; best at {training['best_step']:,}; "
                + STOPPED.get(training["stopped_by"], training["stopped_by"]),
            },
        ]
    note = f"{result['learner']['policy']} on {result['device']}"
    parameters = f"{result['learner']['parameters']:,}"
    return [*cards, {"label": "parameters", "value": parameters, "note": note}]


def _method_row(method: Mapping[str, Any]) -> dict[str, str]:
    regrets = method["regrets"]
    ahead = method["learned_ahead"]
    return {
        "name": METHODS.get(method["name"], method["name"]),
        "score": score_text(method),
        "ahead": f"{signed(round(ahead, 3))} ± {method['learned_ahead_interval95']:.3f}"
        if ahead
        else DASH,
        "regret": DASH if regrets is None else f"{sum(regrets):.2f}",
        "published": DASH if method["published"] is None else f"{method['published']:g}",
    }
