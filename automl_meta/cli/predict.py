"""``automl-meta predict``: new rows in, predictions out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from automl_meta.cli.screen import print_json
from automl_meta.exceptions import InvalidParameterError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("predict")(predict)


def predict(
    model: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that fit wrote, or its model.skops.")
    ],
    table: Annotated[
        Path, typer.Option("--input", metavar="FILE", help="New rows: .csv, .parquet or .arff.")
    ],
    proba: Annotated[
        bool, typer.Option("--proba", help="Class probabilities instead of labels.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV file to write.  [default: stdout]")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of CSV.")
    ] = False,
) -> None:
    """Predict new rows with a fitted model.

    Unseen categories and empty cells are handled; a missing column is refused by name.
    """
    if output is not None and not output.parent.is_dir():
        raise InvalidParameterError.of(
            "output", "predict", "a file in an existing folder", str(output), "Create the folder."
        )
    from automl_meta.api import predict as api_predict

    predictions = api_predict(model, table, proba=proba)
    if output is not None:
        predictions.to_csv(output, index=False)
        if sys.stderr.isatty():
            print(f"{len(predictions):,} predictions written to {output}", file=sys.stderr)
    if as_json:
        print_json(predictions.to_dict(orient="list"))
    elif output is None:
        print(predictions.to_csv(index=False), end="")
