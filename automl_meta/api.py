"""The public functions: what the command line does, from Python."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_meta._typing import JSON, Configuration
from automl_meta.exceptions import InvalidParameterError, SearchError
from automl_meta.runs.events import Listener, ignore
from automl_meta.runs.folder import default_folder, read_result
from automl_meta.runs.model import FittedModel, load_model
from automl_meta.runs.predict import predict_table
from automl_meta.runs.settings import FitSettings
from automl_meta.tasks import load_task, read_table
from automl_meta.tasks.task import Task

if TYPE_CHECKING:
    import pandas as pd

    from automl_meta.benchmark.hpo.methods import Method as HpoMethod
    from automl_meta.benchmark.hpo.plans import HpoSettings
    from automl_meta.benchmark.hpo.problem import Problem
    from automl_meta.benchmark.live import LiveSettings, Method
    from automl_meta.spaces import SearchSpace

__all__ = ["FitResult", "benchmark_hpo", "compare", "fit", "load_result", "load_task", "predict"]


@dataclass(frozen=True)
class FitResult:
    """What ``fit`` found; everything in it also lies in the folder ``path``.

    Attributes:
        path: Folder with ``model.skops``, ``result.json``, ``study.log``, ``report.html``, ``report.md`` and
            ``predictions/``.
        best_configuration: The best configuration by cross-validation.
        best_score: Its cross-validation score; greater is better.
        weights: Trial number to its share of the model; a single one where that was best or asked for,
            empty where Ctrl-C came before the choice.
        test_score: Score of the refitted model on the held-out rows, or None where it has none;
            ``document["test"]["reason"]`` says why.
        metric: The scikit-learn scorer behind both scores.
        document: The whole ``result.json``.
    """

    path: Path
    best_configuration: Configuration
    best_score: float
    weights: Mapping[int, float]
    test_score: float | None
    metric: str
    document: JSON

    @cached_property
    def model(self) -> FittedModel:
        """The refitted model, loaded from ``model.skops`` on first use."""
        return load_model(self.path)

    def predict(self, table: "pd.DataFrame", *, proba: bool = False) -> "pd.DataFrame":
        """Predict the rows of a table; see ``automl_meta.predict``."""
        return predict_table(self.model, table, proba=proba)


def fit(  # noqa: PLR0913 - the command's options, one to one
    task: str | Path | Task,
    target: str | None = None,
    *,
    family: str = "auto",
    trials: int = 30,
    timeout: float | None = None,
    folds: int = 5,
    metric: str | None = None,
    seed: int = 0,
    prior: str | Path = "default",
    output: str | Path | None = None,
    jobs: int = 1,
    ensemble: int = 10,
    resume: bool = False,
    offline: bool = False,
    server: str | None = None,
    ignore_columns: Sequence[str] = (),
    test_file: str | Path | None = None,
    trial_time_limit: float = 300.0,
    memory_limit: int | None = 4096,
    space: "SearchSpace | None" = None,
    starting_points: Sequence[Configuration] = (),
    listener: Listener = ignore,
    command: str | None = None,
) -> FitResult:
    """Search for a good model of a task and write the model, the study and a report.

    Args:
        task: ``"openml:ID"``, ``"openml-data:ID"``, the path of a table, or a loaded task.
        target: Target column; needed for a table.
        family: A family's name, or ``"auto"`` for all scikit-learn families.
        trials: Trials in all, warm starts included, >= 1.
        timeout: Seconds for the search (the trials, not loading, refits and report), or None.
        folds: Cross-validation folds inside the training part, >= 2.
        metric: A scikit-learn scorer name; by default the task's own.
        seed: Seed of folds, sampler and estimators. The same seed gives the same study with one job
            and no time limit that strikes.
        prior: ``"default"`` for the meta-learner that ships, ``"none"``, or the path of one.
        output: Folder to write, new or empty; by default ``runs/<task>-<timestamp>``.
        jobs: Trials evaluated at the same time, one thread each.
        ensemble: Most trials that the model averages, weighed by their predictions on the folds; 1 is the
            single best trial.
        resume: Continue the run in ``output``.
        offline: Never touch the network.
        server: URL of another OpenML server.
        ignore_columns: Columns of a table that are no features.
        test_file: A table whose rows are the held-out part.
        trial_time_limit: Seconds for one trial, all folds together.
        memory_limit: MiB for one trial beyond the libraries' own, or None.
        space: A search space that replaces the family's own.
        starting_points: Configurations to be tried first.
        listener: Hears about progress.
        command: The command to quote in the report; by default this call.

    Returns:
        The result; its model loads on first use.

    Raises:
        InvalidParameterError: If a parameter breaks its rule.
        TaskError: If the task cannot be loaded or learned from.
        NetworkError: If a server was needed and not reachable.
        StoreError: If the folder cannot be used.
        SearchError: If no trial was completed; the report in ``output`` says why.
    """
    from automl_meta.report import run_report
    from automl_meta.runs.fit import RunRequest, run_fit

    settings = FitSettings(
        family=family,
        trials=trials,
        timeout=timeout,
        folds=folds,
        seed=seed,
        jobs=jobs,
        prior=str(prior),
        ensemble=ensemble,
        trial_time_limit=trial_time_limit,
        memory_limit=memory_limit,
    )
    if resume and output is None:
        raise InvalidParameterError.of(
            "output", "fit with resume", "the folder of the run", None, "Name it with --output."
        )
    if not isinstance(task, Task):
        task = load_task(
            str(task),
            target=target,
            metric=metric,
            ignore=tuple(ignore_columns),
            test_file=None if test_file is None else Path(test_file),
            offline=offline,
            server=server,
            seed=seed,
        )
    folder = default_folder(task.name, datetime.now()) if output is None else Path(output)
    quoted = f"automl_meta.fit({task.name!r}, trials={trials}, seed={seed}, ...)"
    request = RunRequest(
        task=task,
        settings=settings,
        folder=folder,
        resume=resume,
        command=quoted if command is None else command,
        space=space,
        starting_points=tuple(starting_points),
    )
    document = run_fit(request, listener)
    run_report(document, folder)
    return _result(folder, document)


def load_result(path: str | Path) -> FitResult:
    """Return the result of an earlier run.

    Args:
        path: Its folder.

    Raises:
        StoreError: If there is no readable ``result.json``.
        SearchError: If that run completed no trial.
    """
    return _result(Path(path), read_result(Path(path)))


def predict(
    model: str | Path, table: "pd.DataFrame | str | Path", *, proba: bool = False
) -> "pd.DataFrame":
    """Predict new rows with the model of a run.

    Args:
        model: Folder of the run, or its ``model.skops``.
        table: New rows, as a DataFrame or the path of a table. Unseen categories and missing values are
            handled, further columns ignored, missing columns refused.
        proba: Return class probabilities instead of labels.

    Returns:
        Shape [n, 1] under the target's name, or [n, n_classes] under the class labels.

    Raises:
        InvalidParameterError: If the table does not fit the model.
        StoreError: If there is no readable model.
    """
    if isinstance(table, str | Path):
        if not Path(table).is_file():
            raise InvalidParameterError.of(
                "input", "predict", "an existing table", str(table), "Check the path."
            )
        table = read_table(table)
    return predict_table(load_model(Path(model)), table, proba=proba)


def _result(folder: Path, document: dict[str, Any]) -> FitResult:
    search = document["search"]
    if search["best_trial"] is None:
        reasons = {t["reason"] for t in document["trials"] if t["reason"]}
        shown = f" First reason: {sorted(reasons)[0]}" if reasons else ""
        msg = f"No trial was completed, so there is no model; see {folder / 'report.html'}.{shown}"
        raise SearchError(msg)
    return FitResult(
        path=folder,
        best_configuration=search["best_configuration"],
        best_score=search["best_score"],
        weights={
            m["trial"]: m["weight"] for m in (document.get("ensemble") or {}).get("members", [])
        },
        test_score=(document["test"] or {}).get("score"),
        metric=document["task"]["metric"],
        document=document,
    )


def compare(
    suite: str | Path,
    output: str | Path,
    methods: "Sequence[Method]",
    *,
    family: str = "auto",
    settings: "LiveSettings",
    command: str = "",
    on_progress: "Callable[[int, int, str], None] | None" = None,
) -> Path:
    """Compare search methods on the tasks of a suite and write a report.

    Every run is kept in ``output``, so an interrupted comparison goes on where it stopped; a report that was published
    with its settings but without its runs, too.

    Args:
        suite: Name of a suite in ``tasks/`` or path of a suite file.
        output: Folder of the report.
        methods: At least two, such as ``benchmark.live.META`` and ``TPE``; the last one is the baseline.
        family: The family to search.
        settings: Trials, folds, seeds and limits.
        command: The command to quote in the report.
        on_progress: Called after each run with (done, all, name).

    Returns:
        Path of ``report.html``; beside it ``report.md``, ``curves.svg`` and ``results.parquet``.

    Raises:
        InvalidParameterError: If there are fewer than two methods or a setting breaks its rule.
    """
    from automl_meta.benchmark.live import MARKS, compare_live, comparison_notes
    from automl_meta.benchmark.results import RESULTS
    from automl_meta.pipelines import get_family
    from automl_meta.report.comparison import comparison_report
    from automl_meta.tasks.suites import load_suite, load_suite_task

    if len(methods) < 2:
        raise InvalidParameterError.of(
            "methods", "compare", "at least two methods", [m.name for m in methods], "Add tpe."
        )
    folder = Path(output)
    tasks = [load_suite_task(entry) for entry in load_suite(suite).tasks]
    table = compare_live(tasks, methods, get_family(family), folder, settings, on_progress)
    table.to_parquet(folder / RESULTS, index=False)
    marks = [n for n in MARKS if n <= settings.trials] or [settings.trials]
    page, _ = comparison_report(
        table.drop(columns=["status", "seconds", "origin", "model"]),
        folder,
        title=f"Live search on {len(tasks)} tasks, family {family}",
        baseline=methods[-1].name,
        checkpoints=marks,
        command=command,
        notes=comparison_notes(table, tasks, settings),
    )
    return page


def benchmark_hpo(
    problems: "Sequence[str | Problem]",
    methods: "Sequence[HpoMethod]",
    output: str | Path,
    *,
    settings: "HpoSettings | None" = None,
    title: str = "Search benchmark",
    command: str = "",
    fix: bool = False,
    on_progress: "Callable[[int, int, str], None] | None" = None,
) -> Path:
    """Compare search methods on recorded and surrogate problems and write a report.

    Every search is kept in ``output``, so an interrupted comparison goes on where it stopped, and methods,
    seeds and trials may be added; to a report that was published without its runs, too.

    Args:
        problems: Names of definitions in ``tasks/hpo``, paths of such files, or problems of your own: the fields of
            ``benchmark.hpo.problem.Problem``.
        methods: The methods, the one that is compared with the others first. A new method is one small class
            with the shape of ``benchmark.hpo.methods.Method``.
        output: Folder of the report.
        settings: Seeds, trials, workers and processes.
        title: Heading of the report.
        command: The command to quote in the report.
        fix: Store the best known scores for later comparisons, where a problem's whole space is open.
        on_progress: Called after each part with (done, all, name).

    Returns:
        Path of ``report.html``; beside it ``report.md``, the figures, ``results.parquet`` and ``hpob/``.

    Raises:
        InvalidParameterError: If there is no problem or no method, or a setting breaks its rule.
        StoreError: If data of a problem are missing.
    """
    import pandas as pd

    from automl_meta.benchmark.hpo.compare import read_comparison, run_comparison
    from automl_meta.benchmark.hpo.plans import HpoSettings
    from automl_meta.benchmark.hpo.publish import (
        fix_scales,
        protocol_notes,
        restore_runs,
        scales_of,
        write_hpob,
    )
    from automl_meta.benchmark.hpo.sources import problem_of
    from automl_meta.benchmark.results import RESULTS
    from automl_meta.report.benchmark import benchmark_report
    from automl_meta.report.benchmark_numbers import problem_numbers

    chosen = HpoSettings() if settings is None else settings
    for name, given in (("problems", problems), ("methods", methods)):
        if not given:
            raise InvalidParameterError.of(name, "compare", "at least one", given, "Name one.")
    folder = Path(output)
    loaded = [problem_of(name) for name in problems]
    for problem in loaded:
        restore_runs(problem, methods, folder)
    run_comparison(problems, methods, folder, chosen, on_progress=on_progress)
    found, tables = [], []
    for problem in loaded:
        table = read_comparison(problem, methods, folder, chosen)
        if fix and not problem.definition.table:
            fix_scales(problem, table)
        scales, name = scales_of(problem), problem.definition.name
        write_hpob(name, table, scales, folder / "hpob")
        tables.append(table.assign(problem=name))
        found.append(
            problem_numbers(
                table, scales, name=name, title=problem.definition.title, ours=methods[0].name
            )
        )
    pd.concat(tables, ignore_index=True).to_parquet(folder / RESULTS, index=False)
    notes = protocol_notes(loaded, methods, chosen)
    return benchmark_report(found, folder, title=title, command=command, notes=notes)
