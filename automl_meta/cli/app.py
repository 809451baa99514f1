"""The application: its commands and the one place where errors become exit codes."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from automl_meta import __version__
from automl_meta.cli import (
    bench,
    collect,
    compare,
    doctor,
    families,
    fewshot,
    fit,
    metarl,
    predict,
    suggest,
    tasks,
    train,
)
from automl_meta.cli.errors import exit_code_of, report_error

app = typer.Typer(
    name="automl-meta",
    help="Hyperparameter search that has seen your problem before.",
    epilog="Start with: automl-meta fit --task openml:9946 --offline",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"automl-meta {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


for module in (
    fit,
    predict,
    tasks,
    families,
    collect,
    train,
    suggest,
    compare,
    fewshot,
    metarl,
    bench,
    doctor,
):
    module.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: The words after ``automl-meta``.

    Returns:
        The exit code: 0 done, 1 it failed, 2 a parameter is wrong, 130 ended by Ctrl-C.
    """
    try:
        code = app(list(arguments), prog_name="automl-meta", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe (head, less) has left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user
        report_error(error)
        return exit_code_of(error)
    return code if isinstance(code, int) else 0


def main() -> None:
    """Entry point of the ``automl-meta`` script."""
    sys.exit(run(sys.argv[1:]))
