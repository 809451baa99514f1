"""One page about all search reports: regrets of ours beside the aims, who comes closest, and ten trials against a hundred.

It runs nothing; the figures are those of the published results:

    AUTOML_META_DATA=DATA python benchmarks/summary.py
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from automl_meta.benchmark.hpo.publish import scales_of
from automl_meta.benchmark.hpo.sources import load_problem
from automl_meta.report.benchmark_numbers import Duel, ProblemNumbers, problem_numbers

ROOT = Path(__file__).resolve().parents[1]
OURS = "automl-meta"
MARKS = (5, 10, 25, 50, 100)
#: Mean regret at most, after 5, 10, 25 and 50 trials.
AIMS = {
    "rbv2_xgboost-pool": (0.010, 0.006, 0.0015, 0.0006),
    "lcbench": (0.060, 0.040, 0.022, 0.014),
    "oboe": (0.034, 0.019, 0.006, 0.0015),
}
#: Whom ours after ten trials is held against. The aim is to be not worse than TPE after 100 and GPSampler after 40: the
#: interval stays above minus this.
LATER = ("TPE", "GPSampler", "portfolio + GPSampler")
SLACK = 0.005


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=Path, default=ROOT / "reports" / "hpo")
    options = parser.parse_args()
    found = {path.parent.name: numbers(path) for path in results(options.reports)}
    sections = (regret_table, closest_table, rank_table, later_table)
    lines = ["# All search reports on one page", ""]
    for section in sections:
        lines += [*section(found), ""]
    lines.append("Made with: `AUTOML_META_DATA=DATA python benchmarks/summary.py`")
    (options.reports / "summary.md").write_text("\n".join(lines) + "\n")


def results(folder: Path) -> list[Path]:
    """Return the published results in the order of their folders."""
    return sorted(folder.glob("*/results.parquet"))


def numbers(path: Path) -> ProblemNumbers:
    """Return what a report says."""
    table = pd.read_parquet(path)
    name = str(table["problem"].iloc[0])
    return problem_numbers(table, scales_of(load_problem(name)), name=name, title=name, ours=OURS)


def regret_table(found: Mapping[str, ProblemNumbers]) -> list[str]:
    """Ours at the marks; bold where an aim is met."""

    def row(name: str, of: ProblemNumbers) -> list[str]:
        course = of.course(OURS)
        # Aims are for all tasks; the reports with slow methods may have a part of them.
        aims = AIMS.get(name, ())
        cells = []
        for place, mark in enumerate(MARKS):
            if mark not in of.marks:
                cells.append("")
                continue
            regret = float(course.mean[mark - 1])
            cell = f"{regret:.4f}"
            if place < len(aims):
                met = round(regret, 4) <= aims[place]
                cell = f"**{cell}** (≤ {aims[place]:g})" if met else f"{cell} (> {aims[place]:g})"
            cells.append(cell)
        return [link(name), str(of.n_tasks), str(course.seeds), str(len(of.courses)), *cells]

    header = ["report", "tasks", "seeds", "methods", *(f"after {n}" for n in MARKS)]
    note = "In brackets the aim, where there is one; bold: met."
    rows = [row(name, of) for name, of in found.items()]
    return ["## Mean normalised regret of automl-meta", "", *table(header, rows), "", note]


def closest_table(found: Mapping[str, ProblemNumbers]) -> list[str]:
    """The other method of least mean regret at each mark, and what ours gains on it."""

    def cell(of: ProblemNumbers, mark: int) -> str:
        duels = [d for d in of.duels if d.ours_at == mark]
        if not duels:
            return ""
        best = min(duels, key=lambda d: float(of.course(d.method).mean[mark - 1]))
        theirs = float(of.course(best.method).mean[mark - 1])
        return f"{best.method} {theirs:.4f}: {interval(best)}"

    note = "Regret that ours gains on it (negative: ours is behind), 95 % bootstrap over tasks; bold where zero lies outside."
    return ["## Who comes closest", "", *at_marks(found, cell), "", note]


def rank_table(found: Mapping[str, ProblemNumbers]) -> list[str]:
    """Mean rank of ours, and whose is the best where it is not ours."""

    def cell(of: ProblemNumbers, mark: int) -> str:
        ranks = {c.method: float(c.rank[mark - 1]) for c in of.courses if len(c.rank) >= mark}
        if OURS not in ranks:
            return ""
        best = min(ranks, key=lambda m: ranks[m])
        ours = f"{ranks[OURS]:.2f}"
        return f"**{ours}**" if best == OURS else f"{ours}; {best} {ranks[best]:.2f}"

    note = "1 is best, ties share their mean; bold: ours is the best of all methods that have as many trials, else whose is."
    return ["## Mean rank of automl-meta", "", *at_marks(found, cell), "", note]


def later_table(found: Mapping[str, ProblemNumbers]) -> list[str]:
    """Ours after ten trials against cold and warm samplers after many more."""
    header = ["report", "method", "its trials", "wins/ties/losses", "regret gained [95 %]", ""]
    rows = []
    for name, of in found.items():
        for method in LATER:
            duels = [d for d in of.later if d.method == method]
            for duel in duels if method == "GPSampler" else duels[-1:]:
                verdict = "ahead" if duel.low > 0 else "behind" if duel.high < 0 else "level"
                if duel.low > -SLACK:
                    verdict += ", not worse"
                gained = interval(duel)
                rows.append([link(name), method, str(duel.theirs_at), duel.tasks, gained, verdict])
    note = f"Not worse: the interval stays above -{SLACK:g}. Level: zero lies within it. Methods that a report lacks are left out."
    return ["## Ours after 10 trials against others later", "", *table(header, rows), "", note]


def interval(duel: Duel) -> str:
    """Return a gain with its interval, bold where zero lies outside."""
    text = f"{duel.gain:+.4f} [{duel.low:+.4f}, {duel.high:+.4f}]"
    return f"**{text}**" if duel.low > 0 or duel.high < 0 else text


def link(name: str) -> str:
    """Return a link to a report of this folder."""
    return f"[{name}]({name}/report.md)"


def at_marks(
    found: Mapping[str, ProblemNumbers], cell: Callable[[ProblemNumbers, int], str]
) -> list[str]:
    """Return a table with a row a report and a column a mark."""
    header = ["report", *(f"after {n}" for n in MARKS)]
    rows = [[link(name), *(cell(of, n) for n in MARKS)] for name, of in found.items()]
    return table(header, rows)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


if __name__ == "__main__":
    main()
