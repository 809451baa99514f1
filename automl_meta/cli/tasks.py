"""``automl-meta tasks``: what can be given to ``--task``."""


import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("tasks")(tasks)


def tasks() -> None:
    """X."""
