"""Live comparisons: real tasks, real training, the same space, folds and seeds for every method.

A method is what drives a study; everything else is the same for all. Results are written run by run, so
an interrupted comparison goes on where it stopped. ``settings.json`` beside them says with which settings
they were made: other ones are refused.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
import pandas as pd
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from automl_meta._resources import shipped_learners_folder
from automl_meta._typing import JSON, ProblemKind
from automl_meta.benchmark.held_out import MOST_HELD_OUT, Best, standard_error, with_held_out
from automl_meta.benchmark.results import KEYS, read_results
from automl_meta.evaluation import Evaluator, Limits
from automl_meta.evaluation.worker import WorkerPool, run_all
from automl_meta.exceptions import StoreError, check_least
from automl_meta.metadata.files import file_title, same_settings, write_whole
from automl_meta.pipelines import Family
from automl_meta.prior.pruning import FIRST_STEP
from automl_meta.prior.storage import MANIFEST
from automl_meta.runs.searcher import PriorUse, Searcher, SearchRequest, make_searcher
from automl_meta.search.warm_start import warm_start
from automl_meta.spaces import SearchSpace
from automl_meta.tasks.task import Task

#: Beside the runs: what they have in common.
SETTINGS = "settings.json"
#: Numbers of trials after which the best configuration so far is fitted and scored on the held-out rows.
MARKS = (5, 10, 25, 50, 100)
#: Starting points before GPSampler speaks: as many as it draws at random without them.
_PORTFOLIO = 10


@dataclass(frozen=True)
class Method:
    """A way to search.

    Attributes:
        name: As reports call it.
        make: Request to what drives the study. A new method is one function.
        flat: Whether the study is asked for every parameter at every trial, conditions or not.
    """

    name: str
    make: Callable[[SearchRequest], Searcher]
    flat: bool = False


def cold(name: str, sampler: Callable[[int], BaseSampler]) -> Method:
    """Return a method that knows no past: an Optuna sampler from a seed, no warm start, no pruner.

    Args:
        name: As reports call it.
        sampler: Seed to sampler.
    """

    def make(request: SearchRequest) -> Searcher:
        unused = PriorUse(used=False, name="none", model=None, reason="A cold method.")
        return Searcher(sampler(request.seed), NopPruner(), (), unused, lambda _study: name)

    return Method(name, make)


def portfolio_gp(request: SearchRequest) -> Searcher:
    """Return the prior's warm-start set, ten of it, and GPSampler after them, without a pruner.

    Args:
        request: The request.
    """
    learned = make_searcher(request, _PORTFOLIO)
    sampler = GPSampler(seed=request.seed, n_startup_trials=_PORTFOLIO)
    return replace(
        learned, sampler=sampler, pruner=NopPruner(), origin=lambda _study: "portfolio + GPSampler"
    )


#: Ours: whatever ``fit`` does with the request's prior.
META = Method("automl-meta", make_searcher)
#: Optuna's default since version 5, multivariate with constant liar, and the setting before it.
TPE = cold("TPE", lambda seed: TPESampler(seed=seed))
TPE_UNIVARIATE = cold("TPE univariate", lambda seed: TPESampler(seed=seed, multivariate=False))
PORTFOLIO_GP = Method("portfolio + GPSampler", portfolio_gp, flat=True)
RANDOM = cold("random", lambda seed: RandomSampler(seed=seed))


@dataclass(frozen=True)
class LiveSettings:
    """How methods are compared.

    Attributes:
        trials: Trials of each search, >= 1.
        folds: Cross-validation folds, >= 2.
        seeds: One search a task, method and seed; the seed also decides the folds.
        max_rows: Larger tasks are cut to a stratified sample.
        prior: For methods that use one.
        trial_seconds: Time limit of a trial.
        memory: Memory limit of a trial in MiB.
        jobs: Searches at once.
    """

    trials: int = 25
    folds: int = 3
    seeds: tuple[int, ...] = (0, 1, 2)
    max_rows: int = 1000
    prior: str = "default"
    trial_seconds: float = 60.0
    memory: int = 4096
    jobs: int = 1

    def __post_init__(self) -> None:
        check_least(self, "compare", {"trials": 1, "folds": 2, "max_rows": 50, "jobs": 1})


@dataclass(frozen=True)
class _Run:
    task: Task
    method: Method
    seed: int

    @property
    def file_name(self) -> str:
        return _file_name(self.task.title, self.method.name, self.seed)


def compare_live(
    tasks: Sequence[Task],
    methods: Sequence[Method],
    family: Family,
    folder: Path,
    settings: LiveSettings,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> pd.DataFrame:
    """Run every method on every task with every seed.

    Args:
        tasks: Tasks with unique titles.
        methods: Methods with unique names.
        family: The family to search.
        folder: Where finished runs are kept.
        settings: How.
        on_progress: Called after each run with (done, all, name).

    Returns:
        One row a trial: ``task``, ``method``, ``seed``, ``trial`` (from 0), ``score`` (cross-validation,
        greater is better, NaN for failed or pruned), ``error`` (its standard error over the folds), ``held_out``
        (at ``MARKS`` and at the end: score of the best configuration so far on rows that no search saw, else NaN),
        ``seconds``, ``origin``, ``model`` (of the prior).

    Raises:
        StoreError: If the folder holds runs of other settings, another family or another prior, or a
            damaged run.
    """
    runs = [_Run(t, m, s) for t in tasks for s in settings.seeds for m in methods]
    kept = folder / "runs"
    kept.mkdir(parents=True, exist_ok=True)
    _restore(folder, kept)
    same_settings(
        folder / SETTINGS,
        _settings_of_runs(family, settings),
        has_results=any(kept.glob("*.json")),
    )
    waiting = [run for run in runs if not (kept / run.file_name).exists()]
    done = len(runs) - len(waiting)

    def work(run: _Run, workers: WorkerPool) -> None:
        rows = _search(run, family, settings, workers)
        if not workers.stopped.is_set():
            write_whole(kept / run.file_name, json.dumps(rows))

    def report(run: _Run) -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done, len(runs), run.file_name.removesuffix(".json"))

    run_all(waiting, work, jobs=settings.jobs, memory_limit=settings.memory, on_done=report)
    return pd.DataFrame([row for run in runs for row in _read(kept / run.file_name)])


def comparison_notes(
    table: pd.DataFrame, tasks: Sequence[Task], settings: LiveSettings
) -> list[str]:
    """Return what a reader of the report must know.

    Args:
        table: From ``compare_live``.
        tasks: The tasks.
        settings: How they were compared.
    """
    models = table.dropna(subset=["model"]).drop_duplicates("task").set_index("task")["model"]
    used = ", ".join(f"{task} ({model})" for task, model in models.items())
    pruner = (
        f"With {settings.folds} folds the pruner never acts: it judges a trial after fold {FIRST_STEP} at the "
        "earliest and before the last one."
    )
    failed = table[table["status"] != "ok"].groupby("method").size().to_dict()
    return [
        (
            f"{len(tasks)} tasks, {len(settings.seeds)} seeds, {settings.trials} trials, {settings.folds} folds, "
            f"at most {settings.max_rows} rows; every method had the same space, folds, seeds and limits "
            f"({settings.trial_seconds:g} s a trial)."
        ),
        f"Prior model for each task; a fold model never saw the task or a near copy of it: {used or 'none'}.",
        (
            "Scores are cross-validation scores under each task's metric, the ones that the search optimises: "
            "they say how well a method searches. Held-out scores are of the best configuration so far, fitted on all "
            f"training rows and judged on the task's held-out part (at most {MOST_HELD_OUT} rows, the same for all "
            "seeds and methods), which no search saw."
        ),
        f"Trials without a score (failed, pruned, out of time): {failed or 'none'}.",
        *([pruner] if settings.folds <= FIRST_STEP else []),
    ]


def _settings_of_runs(family: Family, settings: LiveSettings) -> JSON:
    """Return what decides a run beside its task, method and seed, which its file's name tells."""
    problems: tuple[ProblemKind, ...] = ("classification", "regression")
    spaces = [family.space(problem) for problem in problems]
    learners = {} if settings.prior == "none" else _learner_digests(settings.prior, spaces)
    return {
        "family": family.name,
        "spaces": {space.name: space.schema_hash for space in spaces},
        "trials": settings.trials,
        "folds": settings.folds,
        "max_rows": settings.max_rows,
        "trial_seconds": settings.trial_seconds,
        "memory": settings.memory,
        "prior": settings.prior
        if settings.prior in {"default", "none"}
        else str(Path(settings.prior).resolve()),
        "learners": learners,
    }


def _learner_digests(prior: str, spaces: Sequence[SearchSpace]) -> dict[str, str]:
    """Return space name to digest of its learner's manifest, which names all other files of the learner."""
    folder = shipped_learners_folder() if prior == "default" else Path(prior)
    if (folder / MANIFEST).is_file():  # one learner's own folder
        paths = {folder.name: folder / MANIFEST}
    else:
        paths = {space.name: folder / space.name / MANIFEST for space in spaces}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for name, path in paths.items()
        if path.is_file()
    }


def _restore(folder: Path, kept: Path) -> None:
    """Write the runs of a published report back where they are not there: only results and settings travel.

    Args:
        folder: The report's folder.
        kept: Where runs are kept.

    Raises:
        StoreError: If the results are damaged.
    """
    table = read_results(folder, KEYS) if (folder / SETTINGS).exists() else None
    if table is None:
        return
    for (task, method, seed), run in table.groupby(KEYS, sort=False):
        run_path = kept / _file_name(str(task), str(method), int(str(seed)))
        if not run_path.exists():
            write_whole(run_path, run.to_json(orient="records", double_precision=15))


def _file_name(task: str, method: str, seed: int) -> str:
    return file_title(f"{task}--{method}--{seed}") + ".json"


def _read(path: Path) -> list[JSON]:
    try:
        rows: list[JSON] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = (
            f"Cannot read the finished run {path}: {error}. Delete it and run the comparison again."
        )
        raise StoreError(msg) from error
    return rows


def _search(run: _Run, family: Family, settings: LiveSettings, workers: WorkerPool) -> list[JSON]:
    task = with_held_out(run.task, settings.max_rows, seed=run.seed)
    space = family.space(run.task.problem)
    # The prior is chosen for the task as a user has it; the trials run on the small copy.
    request = SearchRequest(
        settings.prior, run.task, family, space, run.seed, settings.trials, settings.folds
    )
    searcher = run.method.make(request)
    study = optuna.create_study(
        direction="maximize", sampler=searcher.sampler, pruner=searcher.pruner
    )
    asked = replace(space, conditions={}) if run.method.flat else space
    warm_start(study, searcher.warm_start, asked)
    limits = Limits(settings.trial_seconds, settings.memory)
    evaluator = Evaluator(task, settings.folds, seed=run.seed, limits=limits, worker=workers.mine())
    rows, best = [], Best(task, family, run.seed)
    for number in range(settings.trials):
        trial = study.ask()
        evaluation = evaluator.evaluate(family, space.clip(asked.suggest(trial)), _reporter(trial))
        if evaluation.score is not None:
            study.tell(trial, evaluation.score)
        else:
            pruned = evaluation.status == "pruned"
            state = optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.FAIL
            study.tell(trial, state=state)
        best.see(evaluation)
        rows.append(
            {
                "task": run.task.title,
                "method": run.method.name,
                "seed": run.seed,
                "trial": number,
                "score": evaluation.score,
                "error": standard_error(evaluation),
                "held_out": best.held_out() if number + 1 in {*MARKS, settings.trials} else None,
                "status": evaluation.status,
                "seconds": round(sum(evaluation.seconds), 4),
                "origin": trial.user_attrs.get("origin", ""),
                "model": searcher.prior.model,
            }
        )
    return rows


def _reporter(trial: optuna.Trial) -> Callable[[int, float], bool]:
    def report(fold: int, score: float) -> bool:
        trial.report(score, fold)
        return bool(trial.should_prune())

    return report
