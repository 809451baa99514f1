"""Matplotlib figures as inline SVG that follows the page's light or dark colours.

Figures are drawn with marker colours (one hex value per role, never seen by a reader). In a page the
markers become CSS variables, so that one drawing serves both colour schemes; in a file of its own they
become the light palette.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: Role -> (marker colour, light colour, dark colour). The series colours are Okabe and Ito's, which stay
#: apart under the common colour-vision deficiencies; dark mode uses lighter shades of the same hues.
PALETTE: Final[dict[str, tuple[str, str, str]]] = {
    "ink": ("#100001", "#1c2024", "#e8eaed"),
    "muted": ("#100002", "#5f6873", "#9aa4b0"),
    "line": ("#100003", "#d9dee4", "#363d46"),
    "paper": ("#100004", "#ffffff", "#171a1f"),
    "accent": ("#100005", "#0b62b0", "#6db3f2"),
    "s-orange": ("#100006", "#d55e00", "#ff9a4d"),
    "s-blue": ("#100007", "#0072b2", "#56b4e9"),
    "s-green": ("#100008", "#00856a", "#2fc79f"),
    "s-grey": ("#100009", "#7a828c", "#9aa4b0"),
    "s-purple": ("#10000a", "#a3498a", "#d99ac5"),
    "s-yellow": ("#10000b", "#b58900", "#f0c94a"),
    "bad": ("#10000c", "#b3261e", "#ff8a80"),
}
#: Trial origin -> colour role, in the order of the legend.
ORIGINS: Final[dict[str, str]] = {
    "warm start": "s-orange",
    "model": "s-blue",
    "tpe": "s-green",
    "random": "s-grey",
    "user": "s-purple",
}
#: Colour roles of the methods of a comparison, in order.
SERIES: Final[tuple[str, ...]] = (
    "s-blue",
    "s-orange",
    "s-green",
    "s-purple",
    "s-grey",
    "s-yellow",
)


@dataclass(frozen=True)
class Size:
    """Size of a drawing in inches; a page shows the wide one on a desktop and the narrow one on a phone."""

    width: float
    height: float
    narrow: bool = False


#: Draws for a size; None where there is nothing to draw.
Draw: TypeAlias = Callable[[Size], Figure | None]


def marker(role: str) -> str:
    """Return the colour to draw with for a role.

    Args:
        role: A key of ``PALETTE``.

    Returns:
        A hex colour that ``svg_text`` later replaces.

    Example:
        >>> marker("ink")
        '#100001'
    """
    return PALETTE[role][0]


def css_variables(scheme: str) -> str:
    """Return the palette as CSS custom properties.

    Args:
        scheme: ``"light"`` or ``"dark"``.

    Returns:
        Declarations such as ``--ink: #1c2024; ...``.

    Example:
        >>> css_variables("light").split(";")[0]
        '--ink: #1c2024'
    """
    column = 1 if scheme == "light" else 2
    return " ".join(f"--{role}: {colours[column]};" for role, colours in PALETTE.items())


def new_figure(size: Size) -> tuple[Figure, Any]:
    """Return an empty figure with one pair of axes in the house style.

    Args:
        size: Width and height in inches.

    Returns:
        The figure and its axes; neither is registered with pyplot, so nothing needs closing.
    """
    figure = Figure(figsize=(size.width, size.height), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0.0)
    axes = figure.add_subplot()
    style_axes(axes)
    return figure, axes


def style_axes(axes: Any) -> None:
    """Give axes the house style.

    Args:
        axes: Axes of a figure that ``new_figure`` made.
    """
    axes.patch.set_alpha(0.0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(marker("line"))
    axes.tick_params(
        which="both", colors=marker("line"), labelcolor=marker("muted"), labelsize=9, length=3
    )
    axes.grid(visible=True, axis="y", color=marker("line"), linewidth=0.7)
    axes.set_axisbelow(True)


def _clean(text: str) -> str:
    """Drop what only a stand-alone XML file needs, and fix the size to the width of the page."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"',
        r"\1",
        re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1),
        count=1,
    )


def svg_text(figure: Figure, *, name: str, page: bool = True) -> str:
    """Render a figure as SVG text.

    Args:
        figure: A figure drawn with ``marker`` colours.
        name: Unique within the page: it seeds the ids inside the drawing.
        page: True for a drawing inside an HTML page (colours are CSS variables), False for a file of its
            own (light colours on white).

    Returns:
        One ``<svg>`` element; text stays text, escaped by the backend.
    """
    buffer = io.StringIO()
    settings: Any = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "font.family": ["sans-serif"],
    }
    with rc_context(settings):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    for role, (mark, light, _) in PALETTE.items():
        text = text.replace(mark, f"var(--{role})" if page else light)
    if page:
        return _clean(text)
    white = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return text.replace('<g id="figure_1">', f'<g id="figure_1">{white}', 1)


def responsive(name: str, wide: Size, narrow: Size, draw: Draw) -> list[tuple[str, str]]:
    """Draw for a desktop and for a phone.

    Args:
        name: Unique within the page.
        wide: Size on a desktop.
        narrow: Size on a phone.
        draw: Draws for a size.

    Returns:
        (CSS class, SVG text) pairs; empty where there is nothing to draw.
    """
    figures = [(css, draw(size)) for css, size in (("wide", wide), ("narrow", narrow))]
    return [
        (css, svg_text(figure, name=f"{name}-{css}"))
        for css, figure in figures
        if figure is not None
    ]
