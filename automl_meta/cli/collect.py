"""``automl-meta collect``: evaluate configurations on many tasks, to learn from."""

from pathlib import Path
from typing import Annotated

import typer

from automl_meta.cli.progress import counter
from automl_meta.cli.values import whole


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("collect")(collect)


def collect(  # noqa: PLR0917 - typer turns the parameters into options
    suite: Annotated[
        str,
        typer.Option(metavar="S", help="A suite in tasks/, or the path of a suite's TOML file."),
    ] = "meta",
    family: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A family to evaluate; repeat for several.  [default: the seven scikit-learn ones]",
        ),
    ] = None,
    configs: Annotated[
        str, typer.Option(metavar="N", help="Configurations of each family on each task.")
    ] = "40",
    folds: Annotated[str, typer.Option(metavar="K", help="Cross-validation folds.")] = "3",
    max_rows: Annotated[
        str, typer.Option(metavar="N", help="Larger tasks are cut to a stratified sample.")
    ] = "1000",
    fold_seconds: Annotated[
        str, typer.Option(metavar="N", help="An evaluation may take this many seconds a fold.")
    ] = "5",
    jobs: Annotated[
        str, typer.Option(metavar="N", help="Evaluations at once, one thread each.")
    ] = "1",
    seed: Annotated[
        str, typer.Option(metavar="S", help="Seed of samples, folds and configurations.")
    ] = "0",
    output: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where evaluations go; a folder that has some goes on."),
    ] = Path("evaluations"),
    compact: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="When done, also write them there as two small files."),
    ] = None,
) -> None:
    """Evaluate configurations on the tasks of a suite.

    Interrupt it at any time: the same command goes on where it stopped. Further tasks, families and
    configurations may join a folder's evaluations; other folds, rows, limits or seeds may not.
    """
    from automl_meta.metadata import store
    from automl_meta.metadata.collect import CollectSettings
    from automl_meta.metadata.collect import collect as collect_evaluations
    from automl_meta.pipelines import SKLEARN_FAMILIES, get_family
    from automl_meta.tasks.suites import load_suite, load_suite_task

    settings = CollectSettings(
        n_configurations=whole(configs, "configs", low=1, where="collect"),
        folds=whole(folds, "folds", low=2, where="collect"),
        max_rows=whole(max_rows, "max_rows", low=50, where="collect"),
        seconds_per_fold=float(whole(fold_seconds, "fold_seconds", low=1, where="collect")),
        jobs=whole(jobs, "jobs", low=1, where="collect"),
        seed=whole(seed, "seed", low=0, where="collect"),
    )
    families = [get_family(name) for name in family] if family else SKLEARN_FAMILIES
    tasks = [load_suite_task(entry) for entry in load_suite(suite).tasks]
    with counter("collecting") as progress:
        collect_evaluations(tasks, families, output, settings, progress)
    if compact is None:
        n, folder = len(store.read_evaluations(output)), output
    else:
        n, folder = store.compact(output, compact), compact
    print(f"{n} evaluations of {len(store.read_tasks(folder))} tasks in {folder}")
