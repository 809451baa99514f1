"""``automl-meta fewshot``: train and test few-shot learners."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_meta.cli.values import budget as read_budget
from automl_meta.cli.values import check_only, decimals, wholes

if TYPE_CHECKING:
    from automl_meta.fewshot.result import FewShotResult
    from automl_meta.fewshot.settings import FewShotSettings

_WHERE = "fewshot"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("fewshot")(fewshot)


def fewshot(  # noqa: PLR0917 - typer turns the parameters into options
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder to write, new or empty; or see --resume.")
    ],
    learner: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="maml, fomaml, anil, boil, reptile, meta-sgd, maml++, cavia, prompts, protonet, matching, snail, "
            "meta-networks or mann.",
        ),
    ] = "meta-sgd",
    data: Annotated[
        str,
        typer.Option(
            metavar="D",
            help="omniglot, sinusoid, sinusoid-frequency, harmonic, or a folder with one folder of pictures "
            "per class.",
        ),
    ] = "omniglot",
    ways: Annotated[str, typer.Option(metavar="N", help="Classes of an episode.")] = "5",
    shots: Annotated[
        str | None,
        typer.Option(
            metavar="K", help="Examples of a class, or points of a function.  [default: 1 or 10]"
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|STEPS",
            help="Training time without validations (90s, 20m, 1h), or a plain number of steps.  "
            "[default: 5000]",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="D", help="auto (a GPU where there is one), cpu or cuda.  [default: auto]"
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="P", help="float32, tf32 or bf16, where the device has it.  [default: float32]"
        ),
    ] = None,
    threads: Annotated[
        str | None, typer.Option(metavar="N", help="Threads of PyTorch.  [default: its own]")
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(metavar="S", help="Of the weights and the training episodes.  [default: 0]"),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="A TOML file with a list of runs, or omniglot: does all of them, each in a folder of "
            "--output; those that are finished are not repeated.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of a suite only this run; repeat for several."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --output, even a killed one.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print result.json to stdout instead of a summary.")
    ] = False,
    data_folder: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where Omniglot is.  [default: AUTOML_META_DATA]"),
    ] = None,
    inner_rate: Annotated[
        str | None, typer.Option(metavar="R", help="Learning rate of the inner loop.")
    ] = None,
    inner_steps: Annotated[
        str | None, typer.Option(metavar="N", help="Steps of the inner loop in training.")
    ] = None,
    test_steps: Annotated[
        str | None, typer.Option(metavar="N", help="Steps of the inner loop in the test.")
    ] = None,
    meta_batch: Annotated[
        str | None, typer.Option(metavar="N", help="Episodes of an outer step.")
    ] = None,
    queries: Annotated[
        str | None, typer.Option(metavar="N", help="Query items of a class in training.")
    ] = None,
    train_ways: Annotated[
        str | None, typer.Option(metavar="N", help="Classes of a training episode.")
    ] = None,
    train_shots: Annotated[
        str | None, typer.Option(metavar="N", help="Examples of a class in a training episode.")
    ] = None,
    learning_rate: Annotated[
        str | None, typer.Option(metavar="R", help="Learning rate of the outer loop.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(metavar="S", help="Of that rate: constant, cosine or linear.")
    ] = None,
    filters: Annotated[
        str | None, typer.Option(metavar="N", help="Filters of each convolution.")
    ] = None,
    pooling: Annotated[
        str | None, typer.Option(metavar="P", help="stride, max, average or flat.")
    ] = None,
    transductive: Annotated[
        bool | None,
        typer.Option(
            "--transductive/--no-transductive",
            help="Whether the query's batch-norm statistics are its own.  [default: transductive]",
        ),
    ] = None,
    execution: Annotated[
        str | None, typer.Option(metavar="E", help="auto, folded, vectorized or looped.")
    ] = None,
    chunk: Annotated[
        str | None, typer.Option(metavar="N", help="Episodes at once: less memory, same result.")
    ] = None,
    recompute: Annotated[
        bool | None,
        typer.Option(
            "--recompute",
            help="Compute the graph of each inner step again instead of keeping it: less memory, more time.",
        ),
    ] = None,
    validate_every: Annotated[
        str | None, typer.Option(metavar="N", help="Steps between validations.")
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option(metavar="N", help="End after so many validations without improvement."),
    ] = None,
    test_episodes: Annotated[
        str | None, typer.Option(metavar="N", help="Episodes of the test.  [default: 1000]")
    ] = None,
) -> None:
    """Train few-shot learners and test them on new classes.

    What is not given comes from the learner's recipe. Writes DIR with result.json, report.html,
    meta.safetensors and training/log.jsonl. For several GPUs: torchrun --no-python automl-meta fewshot ...

    Ctrl-C stops after the step, and what there is is tested; the exit code is then 130.
    """
    options: dict[str, Any] = {
        "data_folder": data_folder,
        "device": device,
        "precision": precision,
        "pooling": pooling,
        "transductive": transductive,
        "execution": execution,
        "schedule": schedule,
        "recompute": recompute,
        **wholes(
            _WHERE,
            seed=(seed, 0),
            threads=(threads, 1),
            inner_steps=(inner_steps, 1),
            test_steps=(test_steps, 0),
            meta_batch=(meta_batch, 1),
            queries=(queries, 1),
            train_ways=(train_ways, 2),
            train_shots=(train_shots, 1),
            filters=(filters, 1),
            chunk=(chunk, 1),
            validate_every=(validate_every, 1),
            patience=(patience, 1),
            test_episodes=(test_episodes, 2),
        ),
        **decimals(_WHERE, inner_rate=inner_rate, learning_rate=learning_rate),
        **read_budget(budget, _WHERE),
    }
    given = {name: value for name, value in options.items() if value is not None}
    check_only(only, suite, _WHERE)
    if suite is not None:
        status = _run_suite(suite, output, only or [], given, as_json=as_json)
    else:
        from automl_meta.fewshot.recipes import recipe

        sizes = wholes(_WHERE, ways=(ways, 2), shots=(shots, 1))
        settings = recipe(learner, data, **sizes, **given)
        status = _run_one(settings, output, resume=resume, as_json=as_json)
    if status == "interrupted":
        raise typer.Exit(130)


def _run_one(settings: "FewShotSettings", output: Path, *, resume: bool, as_json: bool) -> str:
    document = _trained(settings, output, resume=resume).document
    if not _speaks():
        return str(document["status"])
    from automl_meta.cli.screen import print_json

    if as_json:
        print_json({"path": str(output), **document})
    else:
        from automl_meta.cli.summary import fewshot_summary

        print(fewshot_summary(document, output))
    return str(document["status"])


def _run_suite(
    suite: str, output: Path, only: list[str], given: dict[str, Any], *, as_json: bool
) -> str:
    from automl_meta.fewshot.suite import load_fewshot_suite, run_suite

    loaded = load_fewshot_suite(suite, **given)
    results = run_suite(
        loaded,
        output,
        lambda run, folder: _trained(run.settings, folder, resume=True),
        only=only,
    )
    if _speaks():
        from automl_meta.report.fewshot_suite import suite_report

        page = suite_report(loaded, output, command=_command())
        shown = (output / "suite.json" if as_json else output / "report.md").read_text("utf-8")
        print(shown if as_json else f"{shown}\nThe report is in {page}")
    return str(results[-1].document["status"])


def _trained(settings: "FewShotSettings", output: Path, *, resume: bool) -> "FewShotResult":
    from automl_meta.cli.training_progress import following
    from automl_meta.fewshot.run import run_fewshot

    with following(output.name) as (on_step, on_test):
        result = run_fewshot(
            settings, output, resume=resume, on_step=on_step, on_test=on_test, command=_command()
        )
    if _speaks():
        from automl_meta.report.fewshot import fewshot_report

        fewshot_report(result.path)
    return result


def _command() -> str:
    return shlex.join(["automl-meta", *sys.argv[1:]])


def _speaks() -> bool:
    """Whether this process writes and prints: under torchrun only the first does."""
    return os.environ.get("RANK", "0") == "0"
