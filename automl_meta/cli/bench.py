"""``automl-meta benchmark``: the package's parts beside other libraries."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from automl_meta.cli.hpo import hpo
from automl_meta.cli.progress import counter
from automl_meta.cli.values import decimal, whole
from automl_meta.exceptions import InvalidParameterError

_WHERE = "benchmark engine"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(
        help="Measure the package's parts beside other libraries.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("engine")(engine)
    group.command("hpo")(hpo)
    app.add_typer(group, name="benchmark")


def engine(  # noqa: PLR0917 - typer turns the parameters into options
    ways: Annotated[str, typer.Option(metavar="N", help="Classes of a task.")] = "5",
    shots: Annotated[str, typer.Option(metavar="K", help="Support images of a class.")] = "1",
    queries: Annotated[str, typer.Option(metavar="Q", help="Query images of a class.")] = "15",
    steps: Annotated[str, typer.Option(metavar="N", help="Inner steps.")] = "5",
    order: Annotated[
        str, typer.Option(metavar="O", help="second (MAML) or first (first-order MAML).")
    ] = "second",
    tasks: Annotated[str, typer.Option(metavar="T", help="Tasks of the meta-batch.")] = "32",
    net: Annotated[
        str, typer.Option(metavar="NET", help="conv4 with stride, or with max-pooling: max.")
    ] = "stride",
    filters: Annotated[str, typer.Option(metavar="N", help="Filters of each convolution.")] = "64",
    inner_rate: Annotated[
        str, typer.Option(metavar="R", help="Learning rate of the inner loop.")
    ] = "0.1",
    device: Annotated[
        str, typer.Option(metavar="D", help="auto (a GPU where there is one), cpu or cuda.")
    ] = "auto",
    threads: Annotated[str, typer.Option(metavar="N", help="Threads of PyTorch.")] = "2",
    repeats: Annotated[str, typer.Option(metavar="N", help="Measured rounds.")] = "5",
    chunk: Annotated[
        str,
        typer.Option(
            metavar="N|auto", help="Tasks at once of the folded execution; auto searches."
        ),
    ] = "auto",
    executions: Annotated[
        str, typer.Option(metavar="A,B", help="Any of folded, vectorized, looped.")
    ] = "folded,vectorized,looped",
    peers: Annotated[
        str,
        typer.Option(
            metavar="P",
            help="auto: also learn2learn, higher and TorchOpt, where they can be imported; or none.",
        ),
    ] = "auto",
    data: Annotated[str, typer.Option(metavar="D", help="synthetic or omniglot.")] = "synthetic",
    data_folder: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where Omniglot is.  [default: AUTOML_META_DATA]"),
    ] = None,
    matmul: Annotated[
        str,
        typer.Option(metavar="P", help="Precision of float32 products: highest, high or medium."),
    ] = "highest",
    memory: Annotated[
        bool, typer.Option("--memory/--no-memory", help="Whether to measure peak memory.")
    ] = True,
    seed: Annotated[str, typer.Option(metavar="S", help="Of weights and data.")] = "0",
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="New folder for result.json and report.md."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of a table.")
    ] = False,
) -> None:
    """Time one meta-iteration of MAML.

    Our executions run beside a plain loop in PyTorch and beside other libraries, in turns, with the same
    weights, data, threads and precision. Ratios above 1 mean faster; in brackets their range over the rounds.
    """
    words = {
        "ways": ways,
        "shots": shots,
        "queries": queries,
        "steps": steps,
        "tasks": tasks,
        "filters": filters,
        "threads": threads,
        "repeats": repeats,
        "seed": seed,
    }
    least = {"ways": 2, "repeats": 2, "seed": 0}
    numbers = {
        name: whole(text, name, low=least.get(name, 1), where=_WHERE)
        for name, text in words.items()
    }
    fixed = None if chunk == "auto" else whole(chunk, "chunk", low=1, where=_WHERE)
    rate = decimal(inner_rate, "inner_rate", where=_WHERE)
    wants_peers = _wants_peers(peers)

    from automl_meta.benchmark.engine import bench_engine
    from automl_meta.benchmark.engine_report import new_folder, write_engine
    from automl_meta.benchmark.engine_settings import EngineSettings

    settings = EngineSettings(
        **numbers,
        order=order,
        net=net,
        inner_rate=rate,
        device=device,
        chunk=fixed,
        executions=tuple(name.strip() for name in executions.split(",")),
        peers=wants_peers,
        data=data,
        data_folder=data_folder,
        matmul=matmul,
        memory=memory,
    )
    folder = None if output is None else new_folder(output)
    with counter("benchmark engine") as progress:
        document = bench_engine(
            settings, command=shlex.join(["automl-meta", *sys.argv[1:]]), on_progress=progress
        )
    if folder is not None:
        write_engine(document, folder)
    _show(document, folder, as_json=as_json)


def _wants_peers(text: str) -> bool:
    if text not in {"auto", "none"}:
        raise InvalidParameterError.of(
            "peers", _WHERE, "auto or none", text, "Use none to measure this package alone."
        )
    return text == "auto"


def _show(document: dict[str, object], folder: Path | None, *, as_json: bool) -> None:
    from automl_meta.benchmark.engine_report import conditions, notes, table, title
    from automl_meta.cli.screen import bold, columns, dim, print_json

    if as_json:
        print_json(document)
        return
    header, rows = table(document, every=False)
    print(bold(title(document)))
    print(dim(conditions(document)))
    print()
    print(columns(rows, header=header))
    print()
    for note in notes(document):
        print(f"- {note}")
    if folder is not None:
        print(f"The report is in {folder / 'report.md'}")
