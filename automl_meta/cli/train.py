"""``automl-meta train``: make meta-learners from evaluations, Optuna studies or earlier fits."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automl_meta.cli.progress import counter
from automl_meta.cli.values import whole
from automl_meta.exceptions import InvalidParameterError, StoreError

if TYPE_CHECKING:
    from automl_meta.prior import Prior


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("train")(train)


def train(  # noqa: PLR0917 - typer turns the parameters into options
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the meta-learners go; then: fit --prior DIR.")
    ],
    evaluations: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder that automl-meta collect wrote.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Or an Optuna storage: a database URL or a journal file; then: suggest --learner DIR.",
        ),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A study of the storage; repeat.  [default: all]"),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Numbers that describe the storage's tasks, a CSV: a column study, then a column a number.",
        ),
    ] = None,
    from_runs: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Or the folder of an earlier fit; repeat."),
    ] = None,
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
        str | None,
        typer.Option(metavar="N", help="Meta-learners at once, one thread each.  [default: 1]"),
    ] = None,
    seed: Annotated[str, typer.Option(metavar="S", help="Seed of folds, weights and draws.")] = "0",
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep those in --output that would come out the same.")
    ] = False,
) -> None:
    """Train meta-learners from evaluations, studies or earlier fits.

    From evaluations, for each family: responses, surrogate, warm-start set and pruner, once from all tasks and once
    without each fold of them, so that no task need be judged by a model that was trained on it. From studies
    and fits: one meta-learner over their common space.
    """
    _check_sources(evaluations, storage, from_runs)
    of_studies = {"study": study, "features": None if features is None else str(features)}
    of_evaluations = {"family": family, "steps": steps, "jobs": jobs, "resume": resume}
    _check_source_of(of_studies, "--storage", storage)
    _check_source_of(of_evaluations, "--evaluations", evaluations)
    number = whole(seed, "seed", low=0, where="train")
    if storage is not None or from_runs:
        _train_from_studies(storage, study, features, from_runs or (), output, number)
        return
    assert evaluations is not None
    from dataclasses import replace

    from automl_meta.metadata.store import read_evaluations
    from automl_meta.pipelines import AUTO, families, get_family
    from automl_meta.prior.build import BuildSettings, build_collection

    settings = BuildSettings(seed=number)
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
            jobs=whole(jobs or "1", "jobs", low=1, where="train"),
            resume=resume,
            on_built=lambda built: progress(built.done, built.total, built.name),
        )
    print(f"{len(names)} meta-learners in {output}: {', '.join(names)}")


def _check_sources(
    evaluations: Path | None,
    storage: str | None,
    from_runs: Sequence[Path] | None,
) -> None:
    sources = {"--evaluations": evaluations, "--storage": storage, "--from-runs": from_runs}
    given = [name for name, value in sources.items() if value is not None and value != []]
    if len(given) != 1:
        raise InvalidParameterError.of(
            "evaluations",
            "train",
            f"given, or one of {', '.join(list(sources)[1:])} in its place",
            ", ".join(given) or "none of them",
            "Name one source of past evaluations.",
        )


def _check_source_of(options: Mapping[str, object], name: str, source: object) -> None:
    for option, value in options.items():
        if value and source is None:
            rule = f"given with {name} only"
            raise InvalidParameterError.of(option, "train", rule, value, "Leave it out.")


def _train_from_studies(
    storage: str | None,
    names: Sequence[str] | None,
    features: Path | None,
    runs: Sequence[Path],
    output: Path,
    seed: int,
) -> None:
    import torch

    from automl_meta._folders import reserved
    from automl_meta.cli.features import read_features
    from automl_meta.cli.screen import quiet_libraries
    from automl_meta.metadata.studies import load_studies
    from automl_meta.prior.storage import MANIFEST
    from automl_meta.runs.folder import existing_run
    from automl_meta.search import MetaLearner

    quiet_libraries()
    torch.set_num_threads(1)  # small products: threads cost more than they bring
    told = "from_runs" if storage is None else "storage"
    loaded = partial(load_studies, where="train", parameters=(told, "study"))
    sources = [storage] if storage is not None else [str(existing_run(run)) for run in runs]
    _check_one_kind(runs)
    chosen = None if names is None else list(dict.fromkeys(names))
    studies = [s for source in dict.fromkeys(sources) for s in loaded(source, chosen)]
    study_names = [s.study_name for s in studies]
    described = None if features is None else read_features(features, study_names)
    replaced = "It replaces the one that was there." if (output / MANIFEST).is_file() else ""
    with reserved(output):  # before the training: its result shall have a place
        learner = MetaLearner.from_studies(studies, task_features=described, seed=seed)
        learner.save(output)
    facts = learner.prior.facts
    print(
        f"A meta-learner in {output}: {facts['n_tasks']} studies, {facts['n_evaluations']} trials, "
        f"{len(learner.space.distributions)} parameters. {replaced}".rstrip()
    )
    print(_features_line(learner.prior))
    print(_pruner_line(facts["n_pruner_tasks"]))
    if facts["left_out"]:
        print(f"Left out, for they tell nothing: {', '.join(facts['left_out'])}.")


def _features_line(prior: "Prior") -> str:
    """Say what numbers that describe the tasks are good for."""
    n = len(prior.portfolio.feature_names)
    if not n:
        return "No study describes its task with numbers: all count the same for a new one."
    words = "number describes" if n == 1 else "numbers describe"
    told = f"{n} {words} the tasks: those like a new one count more for its starting points"
    if prior.conditioner is None:
        return f"{told}, and for no more: they are few, or the numbers predict nothing."
    return f"{told}, and for what is expected of it."


def _pruner_line(n_studies: int) -> str:
    if n_studies:
        return f"Its pruner learned from {n_studies} studies that reported fold scores."
    return "It never prunes: too few studies reported fold scores."


def _check_one_kind(runs: Sequence[Path]) -> None:
    """Refuse runs of several families, or of classification and regression: their union is no space of either."""
    from automl_meta._typing import problem_kind
    from automl_meta.runs.folder import read_result

    kinds: dict[str, Path] = {}
    for run in runs:
        try:
            result = read_result(run)
            problem = problem_kind(result["task"]["kind"])
            kinds.setdefault(f"{result['settings']['family']} for {problem}", run)
        except (OSError, StoreError, KeyError, TypeError):
            continue  # killed before it wrote a result
    if len(kinds) > 1:
        rule = "runs of one family and kind of problem"
        found = ", ".join(f"{kind} ({run})" for kind, run in kinds.items())
        remedy = "Train a learner for each of them."
        raise InvalidParameterError.of("from_runs", "train", rule, found, remedy)
