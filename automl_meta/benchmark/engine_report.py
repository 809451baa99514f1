"""The benchmark's result as text: the rows of its table, its notes and the files of its folder."""

import json
from collections.abc import Sequence
from pathlib import Path

from automl_meta._folders import made_folder
from automl_meta._typing import JSON
from automl_meta.benchmark.engine_settings import WHERE
from automl_meta.exceptions import InvalidParameterError

RESULT, REPORT = "result.json", "report.md"

#: The library that a terminal shows; titles of the last columns of ``table``.
_MAIN = "learn2learn"
_FIXED = ("to plain", "error", "float64", "MiB", "GFLOP/s", "of peak", "of floor")


def table(document: JSON, *, every: bool = True) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows, fastest first.

    Args:
        document: From ``bench_engine``.
        every: Compare with every library, not only with the plain loop and learn2learn; that is too wide for
            a terminal.
    """
    competitors = sorted(document["competitors"], key=lambda row: float(row["median_seconds"]))
    baselines = [
        row["name"]
        for row in document["competitors"]
        if row["kind"] == "plain" or (row["kind"] == "peer" and (every or row["name"] == _MAIN))
    ]
    header = ["", "seconds", *(f"x {name}" for name in baselines), *_FIXED]
    return header, [_cells(row, baselines) for row in competitors]


def notes(document: JSON) -> list[str]:
    """Return what a reader of the table must know.

    Args:
        document: From ``bench_engine``.
    """
    cost, chunk, summary = document["cost"], document["chunk"], document["summary"]
    ratio = summary["faster"]
    found = [
        (
            f"{summary['fastest']} is {ratio['of_medians']:.2f} times as fast as {summary['reference']} "
            f"(rounds: {ratio['lowest_round']:.2f} to {ratio['highest_round']:.2f})."
        ),
        (
            f"A meta-iteration's matrix products: {cost['flops'] / 1e9:.1f} GFLOP; alone, in their own shapes, they "
            f"take {cost['floor_seconds']:.3f} s here (the floor). One product of side {cost['peak_side']} ran at "
            f"{cost['peak_flops_per_second'] / 1e9:.0f} GFLOP/s (the peak)."
        ),
    ]
    if chunk["searched_seconds"]:
        tried = ", ".join(f"{n}: {s:.3f} s" for n, s in chunk["searched_seconds"].items())
        found.append(f"Tasks at once of the folded execution, searched: {tried}.")
    if document["memory_mib_by_chunk"]:
        sizes = document["memory_mib_by_chunk"].items()
        grown = ", ".join(f"{n}: {_mib(m)} MiB" for n, m in sizes)
        found.append(f"Its peak memory by tasks at once: {grown}.")
    found.append(
        "x: how many times as fast, by medians, and the range over the rounds. Relative differences of the "
        "meta-gradient: to plain, in the run's precision; error, to the plain loop in float64; float64, both in "
        "float64 on two tasks. MiB: peak of one iteration beyond weights, data and libraries."
    )
    found += [f"{name}: left out, {reason}." for name, reason in document["missing"].items()]
    return found


def title(document: JSON) -> str:
    """Return one line that says what was measured.

    Args:
        document: From ``bench_engine``.
    """
    s = document["settings"]
    return (
        f"{'MAML' if s['order'] == 'second' else 'First-order MAML'}, conv4-{s['filters']} ({s['net']}), "
        f"{s['ways']}-way {s['shots']}-shot, {s['queries']} queries a class, {s['steps']} inner steps, "
        f"{s['tasks']} tasks"
    )


def conditions(document: JSON) -> str:
    """Return one line that says where and how.

    Args:
        document: From ``bench_engine``.
    """
    s, machine = document["settings"], document["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    return (
        f"{machine['gpu'] or machine['cpu']}, {document['device']}, {s['threads']} threads, matmul {s['matmul']}, "
        f"{s['data']} data, median of {s['repeats']} rounds in turns; {versions}"
    )


def markdown_report(document: JSON) -> str:
    """Return ``report.md``.

    Args:
        document: From ``bench_engine``.
    """
    header, rows = table(document)
    lines = [f"# {title(document)}", "", conditions(document), ""]
    lines += [_line(header), _line(["---"] * len(header)), *map(_line, rows), ""]
    lines += [f"- {_plain(note)}" for note in notes(document)]
    if document["command"]:
        lines += ["", "```", document["command"], "```"]
    return "\n".join(lines) + "\n"


def write_engine(document: JSON, folder: Path) -> None:
    """Write ``result.json`` and ``report.md``.

    Args:
        document: From ``bench_engine``.
        folder: Checked by ``new_folder``.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    (folder / RESULT).write_text(text, encoding="utf-8")
    (folder / REPORT).write_text(markdown_report(document), encoding="utf-8")


def new_folder(folder: Path) -> Path:
    """Make a folder for a result, before anything is measured.

    Args:
        folder: New or empty.

    Raises:
        InvalidParameterError: If something is there.
        StoreError: If it cannot be made.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        rule, remedy = "a new or empty folder", "Name another one."
        raise InvalidParameterError.of("output", WHERE, rule, str(folder), remedy)
    return made_folder(folder)


def _cells(row: JSON, baselines: Sequence[str]) -> list[str]:
    chunk = row["chunk"]
    at_once = "" if row["kind"] != "ours" else f" ({'all' if chunk is None else chunk} at once)"
    return [
        row["name"] + at_once,
        f"{row['median_seconds']:.3f}",
        *(_faster(row["faster_than"].get(name)) for name in baselines),
        f"{row['difference_to_plain']:.0e}",
        f"{row['error']:.0e}",
        f"{row['difference_to_plain_float64']:.0e}",
        _mib(row["peak_memory_mib"]),
        f"{row['flops_per_second'] / 1e9:.0f}",
        f"{100 * row['share_of_peak']:.0f} %",
        f"{100 * row['share_of_floor']:.0f} %",
    ]


def _faster(ratio: JSON | None) -> str:
    if ratio is None:
        return "1"
    low, high = ratio["lowest_round"], ratio["highest_round"]
    return f"{ratio['of_medians']:.2f} ({low:.2f}-{high:.2f})"


def _mib(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Keep text of other libraries from ending a cell or a line."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
