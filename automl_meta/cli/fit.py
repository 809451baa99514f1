"""``automl-meta fit``: from a task to a model and a report."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from automl_meta.cli.progress import make_listener
from automl_meta.cli.screen import print_json, quiet_libraries
from automl_meta.cli.values import duration, whole


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("fit")(fit)


def fit(  # noqa: PLR0917 - typer turns the parameters into options
    task: Annotated[
        str,
        typer.Option(
            metavar="T",
            help="openml:ID (a task), openml-data:ID (a data set), or a .csv, .parquet or .arff file.",
        ),
    ],
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Target column; needed for a file.")
    ] = None,
    family: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Kind of model to search: see automl-meta families; auto searches all scikit-learn ones.",
        ),
    ] = "auto",
    trials: Annotated[
        str, typer.Option(metavar="N", help="Trials in all, warm starts included.")
    ] = "30",
    timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="End the search after this time (90s, 10m, 1h). It covers the trials, not loading the "
            "task before nor the choice of members, refits, defaults and report after them. A trial that runs at its end "
            "is cut.  [default: none]",
        ),
    ] = None,
    folds: Annotated[
        str,
        typer.Option(
            metavar="K",
            help="Cross-validation folds inside the training part; pruning needs at least 4.",
        ),
    ] = "5",
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="M",
            help="A scikit-learn scorer name.  [default: the task's own, else roc_auc, neg_log_loss or "
            "neg_root_mean_squared_error]",
        ),
    ] = None,
    seed: Annotated[
        str,
        typer.Option(
            metavar="S",
            help="Same seed, same study: with one job and no time limit that strikes.",
        ),
    ] = "0",
    prior: Annotated[
        str,
        typer.Option(
            metavar="default|none|PATH",
            help="Meta-learner: the one that ships, none (plain Optuna TPE; it starts blind, no defaults are "
            "queued), or a trained one.",
        ),
    ] = "default",
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder to write, new or empty.  [default: runs/<task>-<time>]"
        ),
    ] = None,
    jobs: Annotated[
        str, typer.Option(metavar="N", help="Trials at the same time, one thread each.")
    ] = "1",
    ensemble: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Most trials that the model averages, weighed on the folds; 1 for the single best trial.",
        ),
    ] = "10",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --output, even a killed one.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Never touch the network: cache and bundled tasks only."),
    ] = False,
    openml_server: Annotated[
        str | None, typer.Option(metavar="URL", help="Another OpenML server.")
    ] = None,
    ignore: Annotated[
        str | None,
        typer.Option(metavar="COLUMNS", help="Columns that are no features, separated by commas."),
    ] = None,
    test_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A table whose rows are the held-out part.")
    ] = None,
    trial_time_limit: Annotated[
        str, typer.Option(metavar="TIME", help="Time for one trial, all folds together.")
    ] = "5m",
    memory_limit: Annotated[
        str, typer.Option(metavar="MIB", help="Memory for one trial; 0 for no limit.")
    ] = "4096",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print result.json to stdout instead of a summary.")
    ] = False,
) -> None:
    """Search for a good model of a task.

    Writes DIR with model.skops, result.json, study.log, report.html, report.md, and predictions/ for --resume.

    Ctrl-C stops after the running trial and still writes everything (a second one ends that trial at
    once); the exit code is then 130.
    """
    memory = whole(memory_limit, "memory_limit", low=0)
    options: dict[str, Any] = {
        "trials": whole(trials, "trials", low=1),
        "timeout": None if timeout is None else duration(timeout, "timeout"),
        "folds": whole(folds, "folds", low=2),
        "seed": whole(seed, "seed", low=0),
        "jobs": whole(jobs, "jobs", low=1),
        "ensemble": whole(ensemble, "ensemble", low=1),
        "trial_time_limit": duration(trial_time_limit, "trial_time_limit"),
        "memory_limit": memory or None,
    }
    quiet_libraries()
    with make_listener() as listener:
        from automl_meta.api import fit as api_fit

        result = api_fit(
            task,
            target,
            family=family,
            metric=metric,
            prior=prior,
            output=output,
            resume=resume,
            offline=offline,
            server=openml_server,
            ignore_columns=[c.strip() for c in ignore.split(",") if c.strip()] if ignore else (),
            test_file=test_file,
            listener=listener,
            command=shlex.join(["automl-meta", *sys.argv[1:]]),
            **options,
        )
    if as_json:
        print_json({"path": str(result.path), **result.document})
    else:
        from automl_meta.cli.summary import fit_summary

        print(fit_summary(result.document, result.path))
    if result.document["search"]["stopped_by"] == "interrupt":
        raise typer.Exit(130)
