"""Rendering of the templates: HTML escapes everything by default, Markdown through its own filter."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from automl_meta.report.svg import css_variables
from automl_meta.report.text import markdown, number

_FOLDER = Path(__file__).resolve().parent / "templates"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = markdown
    environment.filters["number"] = number
    return environment


def render(template: str, **values: Any) -> str:
    """Render one template.

    Args:
        template: File name in ``report/templates``; ``.html`` templates escape every value.
        **values: What the template prints. Drawings come as (CSS class, SVG text) pairs under
            ``drawings`` and are the only values inserted as they are: the package drew them itself.

    Returns:
        The page.
    """
    drawings = {
        name: [(css, Markup(svg)) for css, svg in pairs]  # noqa: S704 - SVG drawn by this package, text escaped by matplotlib
        for name, pairs in values.pop("drawings", {}).items()
    }
    css = Markup((_FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - a file of the package
    colours = {scheme: Markup(css_variables(scheme)) for scheme in ("light", "dark")}  # noqa: S704 - constants
    return (
        _environment()
        .get_template(template)
        .render(drawings=drawings, css=css, colours=colours, **values)
    )
