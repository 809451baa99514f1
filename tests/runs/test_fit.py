import dataclasses
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from automl_meta.cli.summary import fit_summary
from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import get_family
from automl_meta.report.view import view
from automl_meta.runs import FitSettings, Progress, RunRequest, load_model, run_fit
from automl_meta.runs.study import KILLED, finished
from automl_meta.tasks.meta_features import meta_features
from automl_meta.tasks.task import Task

Run = tuple[Path, dict[str, Any]]
OWN_START = {"n_neighbors": 7, "weights": "distance"}


def load(folder: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(folder / "study.log")))
    return optuna.load_study(study_name="fit", storage=storage)


def test_a_run_writes_everything(finished_run: Run, task: Task) -> None:
    folder, result = finished_run
    written = {p.name for p in folder.iterdir()}
    assert written == {"model.skops", "predictions", "result.json", "study.log"}
    assert json.loads((folder / "result.json").read_text()) == result
    assert result["search"]["counts"] == {"complete": 5, "pruned": 0, "failed": 0}
    assert result["search"]["stopped_by"] == "trials"
    best = result["trials"][result["search"]["best_trial"]]
    assert best["score"] == max(t["score"] for t in result["trials"])
    assert best["score"] == pytest.approx(np.mean(best["fold_scores"]))
    assert result["search"]["best_configuration"] == best["configuration"]
    assert result["defaults"][0]["family"] == "knn"
    assert result["test"]["best_default"] == result["defaults"][0]
    assert result["prior"]["used"] is False
    assert {t["origin"] for t in result["trials"]} == {"random"}


def test_the_test_score_is_the_stored_model_on_the_held_out_rows(
    finished_run: Run, task: Task
) -> None:
    from sklearn.metrics import roc_auc_score

    folder, result = finished_run
    rows = task.split.test
    proba = load_model(folder).predict_proba(task.features.iloc[rows])[:, 1]
    assert result["test"]["score"] == pytest.approx(roc_auc_score(task.target[rows], proba))


def test_the_journal_describes_the_task_for_those_who_learn_from_it(
    finished_run: Run, task: Task
) -> None:
    assert load(finished_run[0]).user_attrs["task_features"] == meta_features(task)


def test_the_same_seed_is_the_same_study(
    finished_run: Run, task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    again = run_fit(RunRequest(task, settings, tmp_path / "again"))
    keys = ("configuration", "score", "fold_scores", "state")
    assert [[t[k] for k in keys] for t in again["trials"]] == [
        [t[k] for k in keys] for t in finished_run[1]["trials"]
    ]
    assert again["test"] == finished_run[1]["test"]


def test_a_killed_run_goes_on_with_nothing_lost(
    task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    first = run_fit(
        RunRequest(
            task,
            dataclasses.replace(settings, trials=3),
            folder,
            starting_points=(OWN_START,),
        )
    )
    assert first["trials"][0]["origin"] == "user"
    # What kill -9 leaves behind: a running trial that came from the queue, half a line, a lock.
    study = load(folder)
    queued = dict(get_family("knn").default("classification"))
    study.enqueue_trial(queued, user_attrs={"origin": "warm start", "queued": queued})
    study.ask()
    with (folder / "study.log").open("ab") as handle:
        handle.write(b'{"op_code": 6, "wor')
    (folder / "study.log.lock").symlink_to(folder / "study.log")

    result = run_fit(
        RunRequest(
            task,
            dataclasses.replace(settings, trials=6),
            folder,
            resume=True,
            starting_points=(OWN_START,),
        )
    )
    assert result["trials"][:3] == first["trials"]
    swept = result["trials"][3]
    assert (swept["state"], swept["reason"]) == ("failed", KILLED)
    assert result["search"]["counts"] == {"complete": 6, "pruned": 0, "failed": 1}
    again = result["trials"][4]
    assert again["origin"] == "warm start"
    assert again["configuration"] == queued
    later = [t["configuration"] for t in result["trials"][5:]]
    assert all(c not in [t["configuration"] for t in first["trials"]] for c in later)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"folds": 3}, "folds"), ({"seed": 4}, "seed"), ({"family": "linear"}, "family")],
)
def test_resuming_with_another_setting_is_refused(
    change: dict[str, Any], name: str, finished_run: Run, task: Task, settings: FitSettings
) -> None:
    other = dataclasses.replace(settings, **change)
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of fit with resume"):
        run_fit(RunRequest(task, other, finished_run[0], resume=True))


def test_resuming_with_another_table_or_space_is_refused(
    finished_run: Run, task: Task, settings: FitSettings
) -> None:
    other = dataclasses.replace(task, features=task.features.assign(width=1.0))
    with pytest.raises(InvalidParameterError, match="'data'"):
        run_fit(RunRequest(other, settings, finished_run[0], resume=True))
    space = get_family("knn").space("classification").narrow(n_neighbors=IntDistribution(1, 5))
    with pytest.raises(InvalidParameterError, match="'space'"):
        run_fit(RunRequest(task, settings, finished_run[0], resume=True, space=space))


def test_a_run_that_could_not_begin_leaves_the_folder_usable(
    task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    for bad in (
        RunRequest(task, dataclasses.replace(settings, prior="nowhere"), folder),
        RunRequest(task, settings, folder, starting_points=({"no_such_parameter": 1},)),
    ):
        with pytest.raises(InvalidParameterError):
            run_fit(bad)
        assert list(folder.iterdir()) == []


def test_a_trial_over_its_time_fails_with_its_reason_and_the_search_goes_on(
    task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    slow = dataclasses.replace(settings, trials=2, trial_time_limit=0.001)
    result = run_fit(RunRequest(task, slow, tmp_path / "run"))
    assert [t["state"] for t in result["trials"]] == ["failed", "failed"]
    assert all("over 0 s" in t["reason"] for t in result["trials"])
    assert result["search"]["best_trial"] is None
    assert result["test"] is None
    assert not (tmp_path / "run" / "model.skops").exists()


def test_the_timeout_ends_the_search_and_counts_over_a_resume(
    task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    short = dataclasses.replace(settings, trials=100_000, timeout=3.0)
    result = run_fit(RunRequest(task, short, folder))
    assert result["search"]["stopped_by"] == "timeout"
    done = len(result["trials"])
    assert load(folder).user_attrs["search_seconds"] < 4.0
    again = run_fit(RunRequest(task, short, folder, resume=True))
    assert len(again["trials"]) <= done + 1


def test_jobs_run_side_by_side_and_stop_at_the_number(
    task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    result = run_fit(RunRequest(task, dataclasses.replace(settings, jobs=2), tmp_path / "run"))
    assert result["search"]["counts"]["complete"] == 5
    assert [t["number"] for t in result["trials"]] == list(range(5))


@pytest.mark.parametrize(
    ("presses", "jobs"),
    [
        (1, 1),
        (2, 2),
        pytest.param(2, 1, marks=pytest.mark.slow),
        pytest.param(1, 2, marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_ends_the_search_and_everything_is_written(
    presses: int, jobs: int, task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    seen: list[Progress] = []

    def press(event: Progress) -> None:
        # Once: an interrupted trial does not count, so its event has the same number.
        first = not any(e.phase == "search" and e.done == 2 for e in seen)
        seen.append(event)
        if first and event.phase == "search" and event.done == 2:
            os.kill(os.getpid(), signal.SIGINT)
            if presses == 2:
                again = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
                again.start()
                again.join()

    many = dataclasses.replace(settings, trials=500, jobs=jobs)
    result = run_fit(RunRequest(task, many, tmp_path / "run"), press)
    assert result["search"]["stopped_by"] == "interrupt"
    assert [e.phase for e in seen].count("stopping") == 1
    assert 2 <= len(result["trials"]) <= 2 + jobs
    assert (tmp_path / "run" / "model.skops").is_file()
    states = {t.state for t in load(tmp_path / "run").get_trials(deepcopy=False)}
    assert TrialState.RUNNING not in states


def one_class_test(task: Task) -> Task:
    rows = task.split.test[task.target[task.split.test] == 0]
    return dataclasses.replace(task, split=dataclasses.replace(task.split, test=rows))


def test_an_undefined_held_out_score_costs_no_run(
    task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    result = run_fit(RunRequest(one_class_test(task), settings, folder))
    assert result["test"]["score"] is None
    assert "roc_auc" in result["test"]["reason"]
    assert result["test"]["best_default"] is None
    assert result["defaults"][0]["test_score"] is None
    assert json.loads((folder / "result.json").read_text()) == result
    assert load_model(folder).predict(task.features).shape == (len(task.features),)
    assert result["test"]["reason"] in view(result)["verdict"]
    assert result["test"]["reason"] in fit_summary(result, folder)


@pytest.mark.parametrize(("phase", "model"), [("refit", False), ("defaults", True)])
def test_ctrl_c_after_the_search_still_writes_what_exists(
    phase: str, model: bool, task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    def press(event: Progress) -> None:
        if event.phase == phase:
            signal.raise_signal(signal.SIGINT)

    folder = tmp_path / "run"
    result = run_fit(RunRequest(task, settings, folder), press)
    assert result["search"]["stopped_by"] == "interrupt"
    assert result["search"]["counts"]["complete"] == 5
    assert json.loads((folder / "result.json").read_text()) == result
    assert (folder / "model.skops").is_file() is model
    assert (result["test"]["score"] is not None) is model
    assert view(result)["verdict"]
    assert ("model.skops" in fit_summary(result, folder)) is model
    again = run_fit(RunRequest(task, settings, folder, resume=True))
    assert again["trials"] == result["trials"]
    assert again["search"]["stopped_by"] == "trials"
    assert again["test"]["score"] is not None
    assert (folder / "model.skops").is_file()


def test_resuming_with_other_starting_points_is_refused(
    finished_run: Run, task: Task, settings: FitSettings
) -> None:
    point = dict(get_family("knn").default("classification"))
    with pytest.raises(InvalidParameterError, match="'starting_points'"):
        run_fit(RunRequest(task, settings, finished_run[0], resume=True, starting_points=(point,)))


def test_an_interrupted_trial_does_not_count_and_its_starting_point_is_tried_again(
    task: Task, settings: FitSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    short = dataclasses.replace(settings, trials=2)
    run_fit(RunRequest(task, short, folder))
    study = load(folder)
    queued = dict(get_family("knn").default("classification"))
    study.enqueue_trial(queued, user_attrs={"origin": "warm start", "queued": queued})
    trial = study.ask()  # what the second Ctrl-C leaves behind
    trial.set_user_attr("interrupted", True)
    study.tell(trial, state=TrialState.FAIL)
    assert [t.number for t in finished(study)] == [0, 1]
    for resumed in range(2):  # tried again once, not at every resume
        result = run_fit(
            RunRequest(task, dataclasses.replace(settings, trials=3 + resumed), folder, resume=True)
        )
    assert result["search"]["counts"] == {"complete": 4, "pruned": 0, "failed": 1}
    assert result["trials"][3]["configuration"] == queued
    assert [t["origin"] for t in result["trials"]].count("warm start") == 2
