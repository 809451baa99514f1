"""``automl-meta compare``: our search beside others, on live tasks or on a problem of recorded evaluations."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from automl_meta.cli.hpo import known_names, run_hpo
from automl_meta.cli.progress import counter
from automl_meta.cli.values import whole
from automl_meta.exceptions import InvalidParameterError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("compare")(compare)


#: Options that say how models are trained: nothing is trained on recorded evaluations.
_LIVE_ONLY = ("suite", "family", "folds", "max_rows", "prior")


def compare(  # noqa: PLR0917 - typer turns the parameters into options
    context: typer.Context,
    problem: Annotated[
        str,
        typer.Option(metavar="A,B", help="live, or problems of tasks/hpo such as lcbench, or all."),
    ] = "live",
    suite: Annotated[
        str,
        typer.Option(metavar="S", help="A suite in tasks/, or the path of a suite's TOML file."),
    ] = "live",
    family: Annotated[str, typer.Option(metavar="NAME", help="The family to search.")] = "auto",
    methods: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Methods; for live tasks automl-meta, tpe, tpe-univariate, random, portfolio+gp.",
        ),
    ] = "automl-meta,tpe",
    trials: Annotated[
        str | None,
        typer.Option(metavar="N", help="Trials of each search.  [default: 25, or the problem's]"),
    ] = None,
    folds: Annotated[str, typer.Option(metavar="K", help="Cross-validation folds.")] = "3",
    seeds: Annotated[
        str, typer.Option(metavar="N", help="Searches a task and method, with seeds 0 to N-1.")
    ] = "3",
    max_rows: Annotated[
        str, typer.Option(metavar="N", help="Larger tasks are cut to a stratified sample.")
    ] = "1000",
    prior: Annotated[
        str, typer.Option(metavar="P", help="default, or the path of trained meta-learners.")
    ] = "default",
    jobs: Annotated[str, typer.Option(metavar="N", help="Searches at once.")] = "1",
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the report goes; an interrupted one goes on.")
    ] = Path("comparison"),
) -> None:
    """Compare search methods.

    On live tasks models are trained, a suite and a family say which; on problems of recorded evaluations the
    searches alone cost time (see automl-meta benchmark hpo). All methods get the same spaces, folds, seeds and
    limits. An interrupted comparison goes on where it stopped; more methods, tasks and seeds may join it, other
    settings may not.
    """
    if problem != "live":
        _refuse_live_options(context, problem)
        run_hpo(problem, methods, trials, seeds, workers="1", jobs=jobs, fix=False, output=output)
        return

    from automl_meta.api import compare as compare_methods
    from automl_meta.benchmark.live import (
        META,
        PORTFOLIO_GP,
        RANDOM,
        TPE,
        TPE_UNIVARIATE,
        LiveSettings,
    )
    from automl_meta.cli.screen import quiet_libraries

    quiet_libraries()
    known = {
        "automl-meta": META,
        "tpe": TPE,
        "tpe-univariate": TPE_UNIVARIATE,
        "random": RANDOM,
        "portfolio+gp": PORTFOLIO_GP,
    }
    names = known_names(methods, known)
    settings = LiveSettings(
        trials=whole("25" if trials is None else trials, "trials", low=1, where="compare"),
        folds=whole(folds, "folds", low=2, where="compare"),
        seeds=tuple(range(whole(seeds, "seeds", low=1, where="compare"))),
        max_rows=whole(max_rows, "max_rows", low=50, where="compare"),
        prior=prior,
        jobs=whole(jobs, "jobs", low=1, where="compare"),
    )
    with counter("comparing") as progress:
        page = compare_methods(
            suite,
            output,
            [known[name] for name in names],
            family=family,
            settings=settings,
            command=shlex.join(["automl-meta", *sys.argv[1:]]),
            on_progress=progress,
        )
    print(f"The report is in {page}")


def _refuse_live_options(context: typer.Context, problem: str) -> None:
    """Refuse options that would change nothing."""
    for name in _LIVE_ONLY:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            option = f"--{name.replace('_', '-')}"
            raise InvalidParameterError.of(
                name,
                "compare",
                f"left out with --problem {problem}: {option} is for live tasks alone",
                context.params[name],
                f"Leave out {option}, or use --problem live.",
            )
