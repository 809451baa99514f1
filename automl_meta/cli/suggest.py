"""``automl-meta suggest``: the configurations to try first, from a meta-learner."""

import json
from pathlib import Path
from typing import Annotated

import typer

from automl_meta.cli.values import whole
from automl_meta.exceptions import InvalidParameterError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("suggest")(suggest)


def suggest(
    learner: Annotated[
        Path, typer.Option(metavar="DIR", help="A folder that automl-meta train or save wrote.")
    ],
    n: Annotated[str, typer.Option("-n", metavar="N", help="How many configurations.")] = "5",
    feature: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=X", help="A number that describes the new task; repeat."),
    ] = None,
) -> None:
    """Print the configurations to try first.

    Best first, one JSON object a line.
    """
    from automl_meta.cli.screen import quiet_libraries
    from automl_meta.search import MetaLearner
    from automl_meta.search.task_features import known_numbers

    quiet_libraries()
    count = whole(n, "n", low=1, where="suggest")
    features = dict(_feature(text) for text in feature) if feature else None
    prior = MetaLearner.load(learner).prior
    told = known_numbers(features, prior, "suggest", "feature")
    for configuration in prior.warm_start(count, told):
        print(json.dumps(configuration))


def _feature(text: str) -> tuple[str, float]:
    name, sign, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        sign, value = "", 0.0
    if not name or not sign:
        raise InvalidParameterError.of(
            "feature", "suggest", "of the form NAME=NUMBER", text, "Try --feature rows=1000."
        )
    return name, value
