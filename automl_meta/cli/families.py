"""``automl-meta families``: kinds of models and their search spaces."""

from typing import Annotated, Any

import typer

from automl_meta.cli.screen import bold, columns, dim, print_json
from automl_meta.exceptions import InvalidParameterError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("families")(families)


def families(
    name: Annotated[
        str | None, typer.Argument(help="Show the search space of this family.")
    ] = None,
    regression: Annotated[
        bool, typer.Option("--regression", help="The space for regression.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the families, or show one's search space."""
    from automl_meta.pipelines import families as all_families

    problem: Any = "regression" if regression else "classification"
    known = {family.name: family for family in all_families()}
    if name is not None:
        if name not in known:
            raise InvalidParameterError.of(
                "name", "families", f"one of {', '.join(known)}", name, "Choose one of them."
            )
        _show(known[name], problem, as_json=as_json)
        return
    records = [
        {
            "name": family.name,
            "title": family.title,
            "parameters": len(family.space(problem).distributions),
            "fidelity": family.fidelity,
            "installed": family.is_installed,
        }
        for family in known.values()
    ]
    if as_json:
        print_json(records)
        return
    rows = [
        [
            str(r["name"]),
            str(r["title"]),
            str(r["parameters"]),
            "yes" if r["installed"] else "pip install 'automl-meta[boosting]'",
        ]
        for r in records
    ]
    print(columns(rows, header=["family", "what it is", "parameters", "installed"]))


def _show(family: Any, problem: str, *, as_json: bool) -> None:
    space = family.space(problem)
    if as_json:
        print_json(space.to_json())
        return
    default = family.default(problem)
    rows = []
    for name, distribution in space.distributions.items():
        condition = space.conditions.get(name)
        when = (
            f"{condition.parent} = {' or '.join(map(str, condition.values))}" if condition else ""
        )
        rows.append([name, _range(distribution), str(default.get(name, "")), when])
    print(bold(family.title) + dim(f"  {space.name}, version {space.version}"))
    print(columns(rows, header=["hyperparameter", "range", "default", "only if"]))


def _range(distribution: Any) -> str:
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return " | ".join(map(str, choices))
    log = ", log" if distribution.log else ""
    return f"{distribution.low:g} to {distribution.high:g}{log}"
