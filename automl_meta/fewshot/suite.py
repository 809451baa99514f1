"""Suites of few-shot runs: a TOML file that makes a whole table, each run resumable.

```toml
title = "Omniglot"
notes = ["What a reader must know."]

[defaults]            # of every run: any name of FewShotSettings or TrainingSettings
threads = 1

[[run]]
name = "maml-5-way-1-shot"
learner = "maml"
ways = 5
shots = 1
seconds = 2400
published = 98.7      # accuracy in % of the paper, shown beside; or a mean squared error
```
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl_meta.exceptions import check_types
from automl_meta.fewshot.recipes import recipe
from automl_meta.fewshot.result import RESULT, FewShotResult, read_result
from automl_meta.fewshot.settings import FewShotSettings
from automl_meta.training.suite import check_chosen, completed, read_suite


@dataclass(frozen=True)
class SuiteRun:
    """One row of the table.

    Attributes:
        name: Unique within the suite; the name of the run's folder.
        settings: Of the run.
        published: The paper's figure, or None.
    """

    name: str
    settings: FewShotSettings
    published: float | None = None


@dataclass(frozen=True)
class FewShotSuite:
    """A table of runs.

    Attributes:
        title: Heading of the report.
        runs: In the order of the table.
        notes: What a reader must know.
    """

    title: str
    runs: tuple[SuiteRun, ...]
    notes: tuple[str, ...] = ()

    def chosen(self, only: Sequence[str]) -> tuple[SuiteRun, ...]:
        """Return the runs of some names, or all for none.

        Args:
            only: Names.

        Raises:
            InvalidParameterError: If one is unknown.
        """
        check_chosen(only, [run.name for run in self.runs], "fewshot")
        return tuple(run for run in self.runs if not only or run.name in only)


def load_fewshot_suite(suite: str | Path, **changes: Any) -> FewShotSuite:
    """Read a suite.

    Args:
        suite: Path of a TOML file, or the name of one that ships, such as ``"omniglot"``.
        **changes: Settings of every run that take precedence over the file's.

    Raises:
        InvalidParameterError: If there is no such file or it breaks the format.

    Example:
        >>> load_fewshot_suite("omniglot").runs[0].settings.data
        'omniglot'
    """
    file = read_suite(suite, changes, command="fewshot", example="omniglot")
    runs = []
    for entry in file.entries:
        settings = completed(entry, recipe, file.file, ignored=("published",))
        check_types(entry.values, (SuiteRun,), file.file)
        runs.append(SuiteRun(entry.name, settings, entry.values.get("published")))
    return FewShotSuite(file.title, tuple(runs), file.notes)


def run_suite(
    suite: FewShotSuite,
    folder: Path,
    run: Callable[[SuiteRun, Path], FewShotResult],
    *,
    only: Sequence[str] = (),
) -> list[FewShotResult]:
    """Do the runs of a suite one after the other; finished ones are not repeated.

    Args:
        suite: The suite.
        folder: Each run goes to the folder of its name in it.
        run: Does one run, with resume.
        only: Names of the runs to do; empty for all.

    Returns:
        The results, up to the first that was interrupted.
    """
    results: list[FewShotResult] = []
    for entry in suite.chosen(only):
        results.append(run(entry, folder / entry.name))
        if results[-1].document["status"] == "interrupted":
            break
    return results


def stored_results(suite: FewShotSuite, folder: Path) -> dict[str, FewShotResult]:
    """Return what a folder holds of a suite, by name of the run; others are left out.

    Args:
        suite: The suite.
        folder: Where ``run_suite`` wrote.
    """
    return {
        entry.name: FewShotResult(folder / entry.name, read_result(folder / entry.name))
        for entry in suite.runs
        if (folder / entry.name / RESULT).is_file()
    }
