"""``automl-meta suggest``: the configurations to try first, from a meta-learner."""

import json
import math
import sys
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
    found = prior.warm_start(count, told)
    for configuration in found:
        print(json.dumps(configuration))
    if len(found) < count:
        note = f"The learner has {len(found)} starting points, not {count}."
        print(note, file=sys.stderr)


def _feature(text: str) -> tuple[str, float]:
    name, sign, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not name or not sign or not math.isfinite(value):
        rule, remedy = "of the form NAME=NUMBER, finite", "Try --feature rows=1000."
        raise InvalidParameterError.of("feature", "suggest", rule, text, remedy)
    return name, value
