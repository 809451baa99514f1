"""From the ``result.json`` of a few-shot run to what its page shows: words, rounded numbers, table rows."""

from collections.abc import Mapping
from typing import Any

from automl_meta._typing import JSON
from automl_meta._words import counted
from automl_meta.exceptions import StoreError
from automl_meta.fewshot.result import SCHEMA
from automl_meta.report.text import DASH, STOPPED, duration, fact_rows, number

LEARNERS = {
    "maml": "MAML",
    "fomaml": "First-order MAML",
    "anil": "ANIL",
    "boil": "BOIL",
    "reptile": "Reptile",
    "meta-sgd": "Meta-SGD",
    "maml++": "MAML++",
    "cavia": "CAVIA",
    "prompts": "Prompt tuning",
    "protonet": "Prototypical networks",
    "matching": "Matching networks",
    "snail": "SNAIL",
    "meta-networks": "Meta networks",
    "mann": "Memory-augmented network",
}
#: Families of functions, in the plural.
_FUNCTIONS = {
    "sinusoid": "sinusoids",
    "sinusoid-frequency": "sinusoids of varied frequency",
    "harmonic": "harmonics",
}
_DIVERGES = "diverges"


def view(result: JSON) -> dict[str, Any]:
    """Turn a result into the values that the template prints.

    Args:
        result: A document of schema ``automl-meta/fewshot/1``.

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
            "subtitle": _subtitle(result),
            "verdict": _verdict(result),
            "cards": _cards(result),
            "tests": [_test_row(test) for test in result["tests"]],
            "appearances": [_appearance_row(entry) for entry in result.get("appearances", ())],
            "metric": metric_of(result),
            "learner": fact_rows(result["learner"]),
            "data": fact_rows(result["data"]) + fact_rows({"seeds": result["seeds"]}),
            "settings": fact_rows({k: v for k, v in settings.items() if k != "training"}),
            "training": fact_rows(settings["training"]),
            "versions": fact_rows(result["versions"]),
            "machine": _machine(result),
            "notes": result["notes"],
            "command": result["command"] or "",
            "version": result["versions"].get("automl-meta", ""),
            "started": result["started"].replace("T", " ")[:16],
        }
    except KeyError as error:
        msg = f"The result lacks the field {error}. Write it again: automl-meta fewshot."
        raise StoreError(msg) from error


def title(settings: Mapping[str, Any]) -> str:
    """Return the heading of a run: learner and kind of episodes."""
    learner = LEARNERS.get(settings["learner"], settings["learner"])
    data = str(settings["data"]).rstrip("/").rpartition("/")[2]
    if settings["data"] in _FUNCTIONS:
        return f"{learner} on {_FUNCTIONS[settings['data']]}, {settings['shots']} points"
    return f"{learner} on {data}, {settings['ways']}-way {settings['shots']}-shot"


def metric_of(result: JSON) -> str:
    """Return the name of the metric of a result's tests."""
    regression = result["settings"]["data"] in _FUNCTIONS
    return "mean squared error" if regression else "accuracy"


def score_text(test: Mapping[str, Any]) -> str:
    """Return a test's mean and confidence interval, accuracies in percent; or that it diverges.

    Example:
        >>> score_text({"metric": "accuracy", "mean": 0.98123, "interval95": 0.0012})
        '98.12 ± 0.12 %'
    """
    if test["metric"] == "accuracy":
        return f"{100 * test['mean']:.2f} ± {100 * test['interval95']:.2f} %"
    if test["mean"] is None:
        return _DIVERGES
    return f"{number(test['mean'])} ± {number(test['interval95'])}"


def main_test(result: JSON) -> Mapping[str, Any] | None:
    """Return the test that a run is known by: its own shots, and the inner steps that it was trained for."""
    settings = result["settings"]
    own = [test for test in result["tests"] if test["shots"] == settings["shots"]]
    wanted = settings["test_steps"]
    wanted = settings["inner_steps"] if wanted is None else wanted
    return next((test for test in own if test["steps"] in {None, wanted}), own[-1] if own else None)


def _verdict(result: JSON) -> str:
    test = main_test(result)
    if test is None:
        return "The run ended before it was tested."
    n, steps = f"{test['episodes']:,}", test["steps"]
    after = "" if steps is None else f" after {steps} inner step{'s' * (steps != 1)}"
    if test["metric"] == "accuracy":
        return (
            f"{score_text(test)} of the queries are right{after}, over {n} episodes of classes "
            "that training never saw."
        )
    return f"Mean squared error {score_text(test)}{after} on {test['shots']} points, over {n} new functions."


def _subtitle(result: JSON) -> str:
    settings, parts = result["settings"], []
    if "classes" in result["data"]:
        counts = result["data"]["classes"]
        parts.append(
            f"{counts['train']:,} classes to learn from, {counts['validation']:,} to choose the best step, "
            f"{counts['test']:,} for the test"
        )
        kind = "the query's own" if result["transductive"] else "the support's"
        parts.append(
            f"batch normalisation by {kind} statistics "
            f"({'transductive' if result['transductive'] else 'not transductive'})"
        )
    parts.append(f"seed {settings['seed']}")
    return " · ".join(parts)


def _cards(result: JSON) -> list[dict[str, str]]:
    test, training = main_test(result), result["training"]
    cards = []
    if test is not None:
        cards.append(
            {
                "label": f"test {test['metric']}",
                "value": score_text(test).split(" ±")[0]
                + (" %" if test["metric"] == "accuracy" else ""),
                "note": ""
                if test["mean"] is None
                else f"± {score_text(test).split('± ')[1]}, 95 % of {test['episodes']:,} episodes",
            }
        )
    if training is not None:
        cards.append(
            {
                "label": "training time",
                "value": duration(training["seconds"]),
                "note": f"{duration(training['thread_seconds'])} times threads, "
                f"{duration(training['cpu_seconds'])} of processor",
            }
        )
        cards.append(
            {
                "label": "outer steps",
                "value": f"{training['steps']:,}",
                "note": f"best at {training['best_step']:,}; "
                + STOPPED.get(training["stopped_by"], training["stopped_by"]),
            }
        )
    cards.append(
        {
            "label": "parameters",
            "value": f"{result['learner']['parameters']:,}",
            "note": f"{result['learner']['execution']} execution on {result['device']}",
        }
    )
    return cards


def _test_row(test: Mapping[str, Any]) -> dict[str, str]:
    return {
        "shots": str(test["shots"]),
        "steps": DASH if test["steps"] is None else str(test["steps"]),
        "score": score_text(test),
        "episodes": f"{test['episodes']:,}",
    }


def _appearance_row(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        "appearance": str(entry["appearance"]),
        "score": score_text({"metric": "accuracy", **entry}),
        "episodes": f"{entry['episodes']:,}",
    }


def _machine(result: JSON) -> str:
    machine = result["machine"]
    return (
        f"{machine['cpu']}, {counted(machine['cores'], 'core')}; computed on {result['device']} with "
        f"{result['threads']} threads, {result['processes']} process(es), {result['precision']}"
    )
