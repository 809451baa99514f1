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

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl_meta._resources import tasks_folder
from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.recipes import recipe
from automl_meta.fewshot.result import RESULT, FewShotResult, read_result
from automl_meta.fewshot.settings import FewShotSettings

_OWN = {"name", "published"}


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
        names = [run.name for run in self.runs]
        for name in only:
            if name not in names:
                rule = f"one of {', '.join(names)}"
                raise InvalidParameterError.of("only", "fewshot", rule, name, "Correct it.")
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
    path = _located(suite)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is no valid TOML: {error}. Correct the file."
        raise InvalidParameterError(msg) from error
    entries, defaults = document.get("run"), document.get("defaults", {})
    if not isinstance(entries, list) or not entries or not isinstance(defaults, dict):
        rule = "one [[run]] table at least, and [defaults] a table"
        raise InvalidParameterError.of("run", str(path), rule, entries, "Add a [[run]] table.")
    runs = tuple(_entry(entry, defaults, changes, path.name) for entry in entries)
    if len({run.name for run in runs}) != len(runs):
        names = [run.name for run in runs]
        raise InvalidParameterError.of("name", path.name, "unique", names, "Rename one.")
    return FewShotSuite(
        str(document.get("title", path.stem)), runs, tuple(map(str, document.get("notes", ())))
    )


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


def _located(suite: str | Path) -> Path:
    shipped = tasks_folder() / f"{Path(suite).name.removesuffix('.toml')}.toml"
    for path in (Path(suite), shipped):
        if path.is_file():
            return path
    rule = "a TOML file or a shipped suite"
    raise InvalidParameterError.of("suite", "fewshot", rule, str(suite), "Try omniglot.")


def _entry(
    entry: Mapping[str, Any], defaults: Mapping[str, Any], changes: Mapping[str, Any], where: str
) -> SuiteRun:
    merged = {**defaults, **entry}
    # A budget replaces the other kind of budget.
    if {"steps", "seconds"} & changes.keys():
        merged = {k: v for k, v in merged.items() if k not in {"steps", "seconds"}}
    merged |= changes
    name, published = merged.get("name"), merged.get("published")
    if not isinstance(name, str) or not name or Path(name).name != name:
        rule = "a name without slashes"
        raise InvalidParameterError.of("name", where, rule, name, 'Add name = "maml-5-way".')
    try:
        settings = recipe(**{key: value for key, value in merged.items() if key not in _OWN})
    except TypeError as error:
        msg = f"Run {name!r} of {where} is incomplete or of wrong types: {error}. Correct it."
        raise InvalidParameterError(msg) from error
    return SuiteRun(name, settings, None if published is None else float(published))
