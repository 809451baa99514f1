"""The report of a search benchmark: ``report.md``, self-contained ``report.html`` and the figures as SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from automl_meta import __version__
from automl_meta.report.benchmark_figures import (
    differences_figure,
    rank_curves,
    regret_curves,
    tasks_figure,
)
from automl_meta.report.benchmark_numbers import ProblemNumbers
from automl_meta.report.benchmark_tables import (
    Table,
    duel_table,
    later_table,
    regret_table,
    standing_table,
    verdict,
)
from automl_meta.report.page import render
from automl_meta.report.svg import Size, svg_text
from automl_meta.report.text import p_value

_WIDE = Size(7.6, 4.2)
_NARROW = Size(4.0, 3.8, narrow=True)


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        name: File name without suffix.
        label: What it shows, in a few words.
        caption: How to read it.
        draw: Size to figure.
    """

    name: str
    label: str
    caption: str
    draw: Callable[[Size], Figure]


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        title: Heading.
        text: Paragraphs.
        pictures: Figures.
        tables: Tables.
    """

    title: str
    text: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = field(default=())


def benchmark_report(
    problems: Sequence[ProblemNumbers],
    folder: Path,
    *,
    title: str,
    command: str = "",
    notes: Sequence[str] = (),
) -> Path:
    """Write the report.

    Args:
        problems: The numbers of each problem.
        folder: Where to write; made if needed.
        title: Heading.
        command: The command that makes the report again.
        notes: What a reader must know: protocol, versions, machine.

    Returns:
        Path of the HTML page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sections = [_section(numbers) for numbers in problems]
    pictures = [picture for section in sections for picture in section.pictures]
    drawings = {picture.name: _drawn(picture, folder) for picture in pictures}
    values = {
        "title": title,
        "sections": sections,
        "notes": list(notes),
        "command": command,
        "version": __version__,
    }
    html = folder / "report.html"
    html.write_text(render("benchmark.html.j2", drawings=drawings, **values), encoding="utf-8")
    (folder / "report.md").write_text(render("benchmark.md.j2", **values), encoding="utf-8")
    return html


def _drawn(picture: Picture, folder: Path) -> list[tuple[str, str]]:
    """Write a picture as a file of its own and return it for wide and narrow pages."""
    alone = svg_text(picture.draw(_WIDE), name=picture.name, page=False)
    (folder / f"{picture.name}.svg").write_text(alone, encoding="utf-8")
    return [
        (css, svg_text(picture.draw(size), name=f"{picture.name}-{css}"))
        for css, size in (("wide", _WIDE), ("narrow", _NARROW))
    ]


def _section(numbers: ProblemNumbers) -> Section:
    several = len(numbers.courses) > 1
    pictures = [
        Picture(
            f"{numbers.name}-regret",
            f"{numbers.name}: mean regret against trials",
            "Mean over tasks of the normalised regret of the best trial so far, 0 is the best known score; "
            "bands: 95 % bootstrap over tasks. Lower is better.",
            lambda size: regret_curves(numbers, size),
        )
    ]
    if several:
        pictures += [
            Picture(
                f"{numbers.name}-rank",
                f"{numbers.name}: mean rank against trials",
                "Mean over tasks of the rank among the methods that have as many trials; 1 is best.",
                lambda size: rank_curves(numbers, size),
            ),
            Picture(
                f"{numbers.name}-differences",
                f"{numbers.name}: critical differences after {numbers.differences_at} trials",
                f"Mean ranks after {numbers.differences_at} trials; a bar joins methods that Wilcoxon's test "
                f"(Holm-corrected, .05) cannot tell apart.{_friedman(numbers)}",
                lambda size: differences_figure(numbers.differences, size),
            ),
        ]
        other = _strongest(numbers)
        at = min(10, numbers.regrets[numbers.ours].shape[1], numbers.regrets[other].shape[1])
        pictures.append(
            Picture(
                f"{numbers.name}-tasks",
                f"{numbers.name}: each task, {numbers.ours} and {other}",
                f"One point a task, both after {at} trials; above the line {numbers.ours} is better.",
                lambda size: tasks_figure(numbers, other, (at, at), size),
            )
        )
    tables = [regret_table(numbers), standing_table(numbers)]
    if several:
        tables += [duel_table(numbers)]
        if numbers.later:
            tables.append(later_table(numbers))
    return Section(numbers.title, verdict(numbers), pictures, tables)


def _strongest(numbers: ProblemNumbers) -> str:
    """Return the other method with the least mean regret after ten trials, or at its end."""
    others = [c for c in numbers.courses if c.method != numbers.ours]
    return min(others, key=lambda c: c.mean[min(10, len(c.mean)) - 1]).method


def _friedman(numbers: ProblemNumbers) -> str:
    if len(numbers.courses) < 3:
        return ""
    p = p_value(numbers.differences.friedman)
    return f" Friedman's test: p {p if p.startswith('<') else f'= {p}'}."
