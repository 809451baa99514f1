"""The ensemble of a run: chosen on the folds, refitted, stored, resumed, and what may go wrong."""

import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import get_scorer

from automl_meta.cli.summary import fit_summary
from automl_meta.evaluation import Folds, score_folds
from automl_meta.pipelines import get_family
from automl_meta.report import run_report
from automl_meta.runs import FitSettings, Progress, RunRequest, finish, load_model, run_fit
from automl_meta.runs.finish import refit
from automl_meta.runs.model import FittedModel
from automl_meta.runs.predict import predict_table
from automl_meta.runs.predictions import PredictionStore
from automl_meta.tasks.task import Task

Run = tuple[Path, dict[str, Any]]
KINDS = ("binary", "multiclass", "regression")


@pytest.fixture(scope="session")
def ensemble_runs(
    tasks_of_every_kind: dict[str, Task], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Run]:
    """Kind to (folder, result) of a run whose model averages; tests must not write into the folder."""
    runs = {}
    for kind, task in tasks_of_every_kind.items():
        folder = tmp_path_factory.mktemp("ensemble") / kind
        runs[kind] = folder, run_fit(RunRequest(task, settings_of(), folder))
    return runs


def settings_of(**changes: Any) -> FitSettings:
    settings = FitSettings(family="auto", trials=8, folds=3, seed=1, prior="none")
    return dataclasses.replace(settings, **changes)


def output_of(task: Task, model: FittedModel) -> Any:
    rows = task.features.iloc[task.split.test]
    return model.predict_proba(rows) if task.classes else model.predict(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_is_that_of_the_members_out_of_fold(
    kind: str, ensemble_runs: dict[str, Run], tasks_of_every_kind: dict[str, Task]
) -> None:
    (folder, result), task = ensemble_runs[kind], tasks_of_every_kind[kind]
    ensemble = result["ensemble"]
    assert ensemble["used"], ensemble
    assert ensemble["candidates"] == result["search"]["counts"]["complete"]
    assert 2 <= len(ensemble["members"]) <= 10
    assert sum(m["weight"] for m in ensemble["members"]) == pytest.approx(1.0)
    store = PredictionStore(folder, len(task.classes), len(task.split.train))
    outputs = {m["trial"]: store.load(m["trial"]) for m in ensemble["members"]}
    blend = sum(m["weight"] * outputs[m["trial"]] for m in ensemble["members"])
    scores = score_folds(task, Folds.of(task, 3, 1), blend)
    assert ensemble["fold_scores"] == pytest.approx(list(scores))
    assert ensemble["score"] == pytest.approx(np.mean(scores))
    assert ensemble["score"] > result["search"]["best_score"]
    best = result["trials"][result["search"]["best_trial"]]
    assert result["search"]["best_score"] == best["score"]  # still the single trial's own


@pytest.mark.parametrize("kind", KINDS)
def test_the_stored_model_is_the_average_of_the_refitted_members(
    kind: str, ensemble_runs: dict[str, Run], tasks_of_every_kind: dict[str, Task]
) -> None:
    (folder, result), task = ensemble_runs[kind], tasks_of_every_kind[kind]
    model = load_model(folder)
    family, expected = get_family("auto"), 0.0
    for member in result["ensemble"]["members"]:
        configuration = result["trials"][member["trial"]]["configuration"]
        pipeline = refit(task, family, configuration, seed=1)
        alone = FittedModel(pipeline, task.columns, task.classes, "label", "t")
        expected = expected + member["weight"] * output_of(task, alone)
    np.testing.assert_allclose(output_of(task, model), expected)
    rows = task.split.test
    scorer = get_scorer(task.metric)
    scored = scorer(model.pipeline, task.features.iloc[rows], task.target[rows])
    assert result["test"]["score"] == pytest.approx(scored)
    best = result["trials"][result["search"]["best_trial"]]["configuration"]
    single = refit(task, family, best, seed=1)
    alone_score = scorer(single, task.features.iloc[rows], task.target[rows])
    assert result["test"]["single_best"]["score"] == pytest.approx(alone_score)


@pytest.mark.parametrize("kind", KINDS)
def test_predict_takes_new_rows_as_before(
    kind: str, ensemble_runs: dict[str, Run], tasks_of_every_kind: dict[str, Task]
) -> None:
    model, task = load_model(ensemble_runs[kind][0]), tasks_of_every_kind[kind]
    new = task.features.head(4).assign(colour=["never seen", None, "red", "blue"], more=1)
    labels = predict_table(model, new)["label"]
    assert len(labels) == 4
    if task.classes:
        proba = predict_table(model, new, proba=True)
        assert list(proba.columns) == list(task.classes)
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)
        assert list(labels) == list(proba.idxmax(axis=1))


def test_the_reports_show_it(ensemble_runs: dict[str, Run], tmp_path: Path) -> None:
    folder, result = ensemble_runs["binary"]
    _, text = run_report(result, tmp_path)
    assert "## Members of the model" in text.read_text()
    shown = fit_summary(result, folder)
    assert f"average: trial {result['ensemble']['members'][0]['trial']}" in shown
    assert "best trial alone there" in shown


def test_the_same_seed_is_the_same_model_and_a_label_metric_works(
    tmp_path: Path, task: Task
) -> None:
    labelled = dataclasses.replace(task, metric="f1")
    runs = [run_fit(RunRequest(labelled, settings_of(), tmp_path / name)) for name in "ab"]
    assert runs[0]["ensemble"] == runs[1]["ensemble"]
    assert runs[0]["test"] == runs[1]["test"]
    assert runs[0]["ensemble"]["score"] >= runs[0]["search"]["best_score"]


def test_one_is_the_single_best_trial_and_keeps_no_predictions(
    task: Task, ensemble_runs: dict[str, Run], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    result = run_fit(RunRequest(task, settings_of(ensemble=1), folder))
    several = ensemble_runs["binary"][1]
    keys = ("configuration", "score", "state")
    assert [[t[k] for k in keys] for t in result["trials"]] == [
        [t[k] for k in keys] for t in several["trials"]
    ]  # the search itself is the same
    assert result["ensemble"]["used"] is False
    assert [m["trial"] for m in result["ensemble"]["members"]] == [result["search"]["best_trial"]]
    assert result["test"]["single_best"] == several["test"]["single_best"]
    assert result["test"]["single_best"]["score"] == result["test"]["score"]
    assert not (folder / "predictions").exists()


def test_resuming_chooses_as_an_uninterrupted_run_and_lost_files_only_cost_candidates(
    task: Task, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    whole = run_fit(RunRequest(task, settings_of(), folder))
    (folder / "model.skops").unlink()
    again = run_fit(RunRequest(task, settings_of(), folder, resume=True))
    assert again["ensemble"] == whole["ensemble"]
    assert again["test"] == whole["test"]
    assert (folder / "model.skops").is_file()

    lost = [m["trial"] for m in whole["ensemble"]["members"]]
    for number in lost:
        (folder / "predictions" / f"trial-{number:05d}.npz").unlink()
    fewer = run_fit(RunRequest(task, settings_of(), folder, resume=True))
    assert fewer["ensemble"]["candidates"] == whole["ensemble"]["candidates"] - len(lost)
    if fewer["ensemble"]["used"]:
        assert fewer["ensemble"]["score"] > fewer["search"]["best_score"]
    else:
        assert [m["trial"] for m in fewer["ensemble"]["members"]] == [fewer["search"]["best_trial"]]
    assert fewer["test"]["single_best"] == whole["test"]["single_best"]

    one = run_fit(RunRequest(task, settings_of(ensemble=1), folder, resume=True))  # may change
    assert one["ensemble"]["used"] is False


def break_refit(monkeypatch: pytest.MonkeyPatch, which: set[int]) -> None:
    """Let the refits with these positions fail."""
    done: list[int] = []

    def fails(*args: Any, **options: Any) -> Any:
        done.append(1)
        if len(done) - 1 in which:
            raise ValueError("made to fail")
        return refit(*args, **options)

    monkeypatch.setattr(finish, "refit", fails)


def test_a_member_that_cannot_be_refitted_is_left_out(
    task: Task,
    ensemble_runs: dict[str, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = ensemble_runs["binary"][1]["ensemble"]
    break_refit(monkeypatch, {0})
    result = run_fit(RunRequest(task, settings_of(), tmp_path / "run"))
    ensemble = result["ensemble"]
    gone = whole["members"][0]["trial"]
    assert ensemble["dropped"] == [{"trial": gone, "reason": "ValueError: made to fail"}]
    assert [m["trial"] for m in ensemble["members"]] == [m["trial"] for m in whole["members"][1:]]
    assert sum(m["weight"] for m in ensemble["members"]) == pytest.approx(1.0)
    assert ensemble["score"] != whole["score"]  # of what is left, not of what was chosen
    assert result["test"]["score"] is not None
    assert load_model(tmp_path / "run").predict(task.features).shape == (len(task.features),)
    assert f"Trial {gone} was left out" in run_report(result, tmp_path)[1].read_text()


def test_a_run_whose_every_refit_fails_says_so_and_loses_nothing_else(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_refit(monkeypatch, set(range(12)))
    folder = tmp_path / "run"
    result = run_fit(RunRequest(task, settings_of(), folder))
    assert "made to fail" in result["test"]["reason"]
    assert result["test"]["score"] is None
    assert not (folder / "model.skops").exists()
    assert json.loads((folder / "result.json").read_text()) == result
    run_report(result, folder)
    assert "made to fail" in fit_summary(result, folder)


def test_ctrl_c_between_two_refits_is_made_good_by_a_resume(
    task: Task, ensemble_runs: dict[str, Run], tmp_path: Path
) -> None:
    def press(event: Progress) -> None:
        if event.phase == "refit" and event.done == 1:
            signal.raise_signal(signal.SIGINT)

    folder = tmp_path / "run"
    result = run_fit(RunRequest(task, settings_of(), folder), press)
    assert result["search"]["stopped_by"] == "interrupt"
    assert not (folder / "model.skops").exists()
    again = run_fit(RunRequest(task, settings_of(), folder, resume=True))
    assert again["ensemble"] == ensemble_runs["binary"][1]["ensemble"]
    assert (folder / "model.skops").is_file()


def test_pruned_and_failed_trials_are_no_candidates(task: Task, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    slow = settings_of(trials=2, trial_time_limit=0.001)
    failed = run_fit(RunRequest(task, slow, folder))
    assert failed["ensemble"] is None
    assert not (folder / "predictions").exists()
    result = run_fit(RunRequest(task, settings_of(trials=4), folder, resume=True))
    assert result["ensemble"]["candidates"] == result["search"]["counts"]["complete"] == 2
