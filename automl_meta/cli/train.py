"""``automl-meta train``: make meta-learners from evaluations."""

from pathlib import Path
from typing import Annotated

import typer

from automl_meta.cli.progress import counter
from automl_meta.cli.values import whole


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train")(train)


def train(
    evaluations: Annotated[
        Path, typer.Option(metavar="DIR", help="A folder that automl-meta collect wrote.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the meta-learners go; then: fit --prior DIR.")
    ],
    family: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A family to learn; repeat for several.  [default: all that were collected, and auto]",
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(metavar="N", help="Meta-training steps of each model.  [default: 600]"),
    ] = None,
    jobs: Annotated[
        str, typer.Option(metavar="N", help="Meta-learners at once, one thread each.")
    ] = "1",
    seed: Annotated[str, typer.Option(metavar="S", help="Seed of folds, weights and draws.")] = "0",
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep those in --output that would come out the same.")
    ] = False,
) -> None:
    """Train meta-learners from evaluations.

    For each family: surrogate, warm-start set and pruner, once from all tasks and once without each fold
    of them, so that no task need be judged by a model that was trained on it.
    """
    from dataclasses import replace

    from automl_meta.metadata.store import read_evaluations
    from automl_meta.pipelines import AUTO, families, get_family
    from automl_meta.prior.build import BuildSettings, build_collection

    settings = BuildSettings(seed=whole(seed, "seed", low=0, where="train"))
    if steps is not None:
        n = whole(steps, "steps", low=1, where="train")
        settings = replace(settings, training=replace(settings.training, steps=n))
    if family:
        chosen = [get_family(name) for name in family]
    else:
        collected = set(read_evaluations(evaluations)["family"])
        chosen = [AUTO, *(f for f in families() if f.name in collected)]
    with counter("training") as progress:
        names = build_collection(
            evaluations,
            output,
            chosen,
            settings,
            jobs=whole(jobs, "jobs", low=1, where="train"),
            resume=resume,
            on_built=lambda built: progress(built.done, built.total, built.name),
        )
    print(f"{len(names)} meta-learners in {output}: {', '.join(names)}")
