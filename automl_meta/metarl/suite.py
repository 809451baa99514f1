"""Suites of meta-reinforcement-learning runs; the format of the file is that of ``automl_meta.training.suite``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.result import FOLDER, MetaRLResult
from automl_meta.metarl.settings import MetaRLSettings
from automl_meta.training.folder import RESULT
from automl_meta.training.suite import check_chosen, completed, read_suite


@dataclass(frozen=True)
class MetaRLSuite:
    """A table of runs.

    Attributes:
        title: Heading of the report.
        runs: Name, which is the name of the run's folder, to settings; in the order of the table.
        notes: What a reader must know.
    """

    title: str
    runs: dict[str, MetaRLSettings]
    notes: tuple[str, ...] = ()


def load_metarl_suite(suite: str | Path, **changes: Any) -> MetaRLSuite:
    """Read a suite.

    Args:
        suite: Path of a TOML file, or the name of one that ships, such as ``"bandits"``.
        **changes: Settings of every run that take precedence over the file's.

    Raises:
        InvalidParameterError: If there is no such file or it breaks the format.

    Example:
        >>> load_metarl_suite("bandits").runs["bandits-10-5"].episodes
        10
    """
    file = read_suite(suite, changes, command="metarl", example="bandits")
    runs = {entry.name: completed(entry, recipe, file.file) for entry in file.entries}
    return MetaRLSuite(file.title, runs, file.notes)


def run_suite(
    suite: MetaRLSuite,
    folder: Path,
    run: Callable[[MetaRLSettings, Path], MetaRLResult],
    *,
    only: Sequence[str] = (),
) -> list[MetaRLResult]:
    """Do the runs of a suite one after the other; finished ones are not repeated.

    Args:
        suite: The suite.
        folder: Each run goes to the folder of its name in it.
        run: Does one run, with resume.
        only: Names of the runs to do; empty for all.

    Returns:
        The results, up to the first that was interrupted.

    Raises:
        InvalidParameterError: If a name is unknown.
    """
    check_chosen(only, list(suite.runs), "metarl")
    results: list[MetaRLResult] = []
    for name, settings in suite.runs.items():
        if only and name not in only:
            continue
        results.append(run(settings, folder / name))
        if results[-1].document["status"] == "interrupted":
            break
    return results


def stored_results(suite: MetaRLSuite, folder: Path) -> dict[str, MetaRLResult]:
    """Return what a folder holds of a suite, by name of the run; others are left out.

    Args:
        suite: The suite.
        folder: Where ``run_suite`` wrote.
    """
    return {
        name: MetaRLResult(folder / name, FOLDER.read(folder / name))
        for name in suite.runs
        if (folder / name / RESULT).is_file()
    }
