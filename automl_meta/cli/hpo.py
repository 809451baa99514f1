"""``automl-meta benchmark hpo``, and what ``automl-meta compare --problem`` does."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automl_meta.cli.progress import counter
from automl_meta.cli.values import whole
from automl_meta.exceptions import InvalidParameterError

if TYPE_CHECKING:
    from automl_meta.benchmark.hpo.methods import Method


def hpo(
    problem: Annotated[
        str, typer.Option(metavar="A,B", help="Definitions in tasks/hpo, TOML files, or all.")
    ] = "all",
    methods: Annotated[
        str,
        typer.Option(
            metavar="A,B", help="Methods, ours first, or all; see docs/search-benchmark.md."
        ),
    ] = "automl-meta,random,tpe,tpe-univariate,portfolio,portfolio+tpe,portfolio+gp,gp",
    trials: Annotated[
        str | None,
        typer.Option(metavar="N", help="Trials of a search, at most.  [default: definition's]"),
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="N", help="Searches a task, at most.")] = "5",
    workers: Annotated[str, typer.Option(metavar="N", help="Trials at once in a search.")] = "1",
    jobs: Annotated[str, typer.Option(metavar="N", help="Processes.")] = "1",
    fix_scales: Annotated[
        bool,
        typer.Option("--fix-scales", help="Store the best known scores for later comparisons."),
    ] = False,
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the report goes; an interrupted one goes on.")
    ] = Path("search-benchmark"),
) -> None:
    """Compare search methods on recorded evaluations and surrogates.

    Each method learns from four fifths of a problem's tasks and searches on the others. Most problems need the
    data folder that AUTOML_META_DATA names, and the extra: pip install 'automl-meta[benchmark]'.
    """
    run_hpo(
        problem, methods, trials, seeds, workers=workers, jobs=jobs, fix=fix_scales, output=output
    )


def run_hpo(
    problem: str,
    methods: str,
    trials: str | None,
    seeds: str,
    *,
    workers: str,
    jobs: str,
    fix: bool,
    output: Path,
) -> None:
    """Run a comparison from the words of a command line."""
    counts = {"seeds": seeds, "workers": workers, "jobs": jobs}
    numbers = {name: whole(text, name, low=1, where="compare") for name, text in counts.items()}
    limit = None if trials is None else whole(trials, "trials", low=1, where="compare")

    from automl_meta.api import benchmark_hpo
    from automl_meta.benchmark.hpo.definition import definition_names
    from automl_meta.benchmark.hpo.plans import HpoSettings
    from automl_meta.benchmark.hpo.registry import methods as known_methods
    from automl_meta.cli.screen import quiet_libraries

    quiet_libraries()
    known = known_methods()
    names = definition_names() if problem == "all" else split_names(problem)
    with counter("comparing") as progress:
        page = benchmark_hpo(
            names,
            [known[name] for name in (known if methods == "all" else known_names(methods, known))],
            output,
            settings=HpoSettings(trials=limit, **numbers),
            title=f"Search benchmark: {', '.join(Path(name).stem for name in names)}",
            command=shlex.join(["automl-meta", *sys.argv[1:]]),
            fix=fix,
            on_progress=progress,
        )
    print(f"The report is in {page}")


def split_names(text: str) -> list[str]:
    """Return the names of a comma-separated list."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return list(dict.fromkeys(names))


def known_names(text: str, known: "Mapping[str, Method] | Mapping[str, object]") -> Sequence[str]:
    """Return the names of a comma-separated list of methods.

    Raises:
        InvalidParameterError: If one is not known.
    """
    names = split_names(text)
    for name in names:
        if name not in known:
            raise InvalidParameterError.of(
                "methods", "compare", f"among {', '.join(known)}", name, "Separate them by commas."
            )
    return names
