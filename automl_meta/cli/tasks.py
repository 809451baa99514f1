"""``automl-meta tasks``: what can be given to ``--task``, and how one of them is read."""

from pathlib import Path
from typing import Annotated, Any

import typer

from automl_meta.cli.screen import bold, columns, dim, print_json


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("tasks")(tasks)


def tasks(
    reference: Annotated[
        str | None, typer.Argument(help="Show how this task is read: openml:ID or a table.")
    ] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="Target column.")] = None,
    suite: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="List the tasks of a suite.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the tasks that need no network, or show one."""
    if reference is not None:
        _show(reference, target, offline=offline, as_json=as_json)
        return
    records = _suite(suite) if suite is not None else _bundled()
    if as_json:
        print_json(records)
        return
    rows = [[r["reference"], r["title"], r["what"]] for r in records]
    print(columns(rows, header=["task", "title", "what it is"]))
    if suite is None:
        print(dim("\nAny other: openml:ID, openml-data:ID, or a .csv, .parquet or .arff file."))


def _bundled() -> list[dict[str, str]]:
    from automl_meta._resources import tasks_folder
    from automl_meta.tasks.bundled import bundled_tasks

    found = [
        {
            "reference": f"openml:{task.task_id}",
            "title": task.title,
            "what": f"bundled: {task.problem}, target {task.target}",
        }
        for task in bundled_tasks()
    ]
    return found + [
        {
            "reference": path.stem,
            "title": "",
            "what": f"suite: automl-meta {_command_of(path)} --suite {path.stem}",
        }
        for path in sorted(tasks_folder().glob("*.toml"))
    ]


def _command_of(suite: Path) -> str:
    """Return the command that shows or runs a suite: those of few-shot runs list no tasks."""
    return "fewshot" if "[[run]]" in suite.read_text(encoding="utf-8") else "tasks"


def _suite(name: str) -> list[dict[str, str]]:
    from automl_meta.tasks import load_suite

    return [
        {
            "reference": task.reference,
            "title": task.title or Path(task.reference).name,
            "what": f"{task.kind or ''}, target {task.target or 'as stated'}".lstrip(", "),
        }
        for task in load_suite(name).tasks
    ]


def _show(reference: str, target: str | None, *, offline: bool, as_json: bool) -> None:
    from automl_meta.runs.result import task_record
    from automl_meta.tasks import load_task

    record: dict[str, Any] = task_record(load_task(reference, target=target, offline=offline))
    if as_json:
        print_json(record)
        return
    split = record["split"]
    kind = record["kind"]
    if record["classes"]:
        kind += f", {len(record['classes'])} classes: {', '.join(record['classes'][:8])}"
    rows = [
        ["kind", kind],
        ["size", f"{record['n_rows']:,} rows, {record['n_columns']:,} columns"],
        ["target", record["target"]],
        ["metric", f"{record['metric']} ({record['metric_source']})"],
        [
            "split",
            f"{split['source']}: {split['n_train']:,} training, {split['n_test']:,} held out",
        ],
        *([name, value] for name, value in record["provenance"].items()),
    ]
    print(bold(record["title"]))
    print(columns([[dim(name), value] for name, value in rows]))
    for note in record["notes"]:
        print(f"- {note}")
