"""A live comparison: same folds for all, resumable, honest about what it did."""

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from optuna.samplers import TPESampler

from automl_meta.benchmark.held_out import with_held_out
from automl_meta.benchmark.live import (
    PORTFOLIO_GP,
    RANDOM,
    TPE,
    LiveSettings,
    cold,
    compare_live,
    comparison_notes,
)
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.pipelines import get_family
from automl_meta.tasks import load_task

SETTINGS = LiveSettings(trials=3, folds=2, seeds=(0, 1), max_rows=80)


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def tasks():
    return [load_task("openml:9946", offline=True)]


def test_a_portfolio_and_gpsampler_search_the_space_without_conditions(tasks, tmp_path):
    settings = LiveSettings(trials=12, folds=2, seeds=(0,), max_rows=80)
    table = compare_live(tasks, [PORTFOLIO_GP], get_family("svm"), tmp_path, settings)
    assert table["status"].tolist() == ["ok"] * 12
    assert table["origin"].tolist() == ["warm start"] * 10 + [""] * 2
    assert table["model"].str.startswith("fold").all()


def test_an_interrupted_comparison_goes_on_and_repeats_nothing(tasks, tmp_path):
    told = []

    def stop(done, total, name):
        told.append(name)
        if done == 2:
            raise StoppedError

    family = get_family("knn")
    with pytest.raises(StoppedError):
        compare_live(tasks, [RANDOM, TPE], family, tmp_path, SETTINGS, stop)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").iterdir()}
    assert 2 <= len(kept) < 4
    table = compare_live(tasks, [RANDOM, TPE], family, tmp_path, SETTINGS)
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert table.groupby(["method", "seed"]).size().tolist() == [3] * 4
    assert table["score"].between(0.5, 1.0).all()
    again = compare_live(tasks, [RANDOM, TPE], family, tmp_path / "again", SETTINGS)
    columns = ["task", "method", "seed", "trial", "score"]
    pd.testing.assert_frame_equal(again[columns], table[columns])

    notes = " ".join(comparison_notes(table, tasks, SETTINGS))
    assert "1 tasks, 2 seeds, 3 trials, 2 folds, at most 80 rows" in notes
    assert "never saw the task or a near copy of it: none" in notes
    assert "With 2 folds the pruner never acts" in notes
    four = " ".join(comparison_notes(table, tasks, replace(SETTINGS, folds=4)))
    assert "never acts" not in four


def test_held_out_rows_are_scored_at_the_marks_and_never_searched_on(tasks, tmp_path):
    settings = LiveSettings(trials=6, folds=2, seeds=(0,), max_rows=80, prior="none")
    table = compare_live(tasks, [RANDOM], get_family("knn"), tmp_path, settings)
    assert table["held_out"].notna().tolist() == [False] * 4 + [True, True]
    assert table["held_out"].dropna().between(0.5, 1.0).all()
    assert table["error"].between(0.0, 0.3).all()

    task = with_held_out(tasks[0], 80, seed=1)
    assert (len(task.split.train), len(task.split.test)) == (80, len(tasks[0].split.test))
    held_out = task.features.iloc[task.split.test].reset_index(drop=True)
    original = tasks[0].features.iloc[tasks[0].split.test].reset_index(drop=True)
    pd.testing.assert_frame_equal(held_out, original)
    assert (task.target[task.split.test] == tasks[0].target[tasks[0].split.test]).all()
    known = tasks[0].train_features.merge(task.train_features, how="inner")
    assert len(known) >= 80  # the training rows come from the training part


def test_a_published_report_can_be_gone_on_from(tasks, tmp_path):
    table = compare_live(tasks, [RANDOM], get_family("knn"), tmp_path, ONE)
    table.to_parquet(tmp_path / "results.parquet", index=False)
    shutil.rmtree(tmp_path / "runs")
    told = []
    again = compare_live(
        tasks,
        [RANDOM, TPE],
        get_family("knn"),
        tmp_path,
        ONE,
        on_progress=lambda _done, _all, name: told.append(name),
    )
    assert [name.split("--")[1] for name in told] == ["TPE"]
    pd.testing.assert_frame_equal(again[again["method"] == "random"], table, check_dtype=False)
    (tmp_path / "results.parquet").write_text("damaged")
    with pytest.raises(StoreError, match="Delete the file"):
        compare_live(tasks, [RANDOM], get_family("knn"), tmp_path, ONE)


def test_equal_methods_get_equal_scores_whatever_they_are_called(tasks, tmp_path):
    twins = [cold(name, lambda seed: TPESampler(seed=seed)) for name in ("a", "b / c")]
    table = compare_live(tasks, twins, get_family("knn"), tmp_path, SETTINGS)
    a, b = (table[table["method"] == t.name]["score"].tolist() for t in twins)
    assert a == b


ONE = LiveSettings(trials=1, folds=2, seeds=(0,), max_rows=80, prior="none")


def test_runs_of_other_settings_are_refused_and_more_seeds_are_not(tasks, tmp_path):
    compare_live(tasks, [RANDOM], get_family("knn"), tmp_path, ONE)
    changes = {
        "trials": 2,
        "folds": 3,
        "max_rows": 90,
        "prior": "default",
        "trial_seconds": 9.0,
        "memory": 3000,
    }
    for name, value in changes.items():
        other = replace(ONE, **{name: value})
        with pytest.raises(StoreError, match=rf"other settings:.* {name} .*name another --output"):
            compare_live(tasks, [RANDOM], get_family("knn"), tmp_path, other)
    with pytest.raises(StoreError, match="family 'knn', now 'linear'; spaces"):
        compare_live(tasks, [RANDOM], get_family("linear"), tmp_path, ONE)
    more = replace(ONE, seeds=(0, 1), jobs=2)
    assert len(compare_live(tasks, [RANDOM, TPE], get_family("knn"), tmp_path, more)) == 4
    (tmp_path / "settings.json").unlink()
    with pytest.raises(StoreError, match=r"no settings\.json"):
        compare_live(tasks, [RANDOM], get_family("knn"), tmp_path, ONE)


def test_a_prior_trained_anew_is_another_one(tasks, tmp_path):
    learner = tmp_path / "prior" / "knn-classification"
    learner.mkdir(parents=True)
    (learner / "manifest.json").write_text("{}")
    here = replace(ONE, prior=str(tmp_path / "prior"))
    compare_live(tasks, [RANDOM], get_family("knn"), tmp_path / "out", here)
    compare_live(tasks, [RANDOM], get_family("knn"), tmp_path / "out", here)
    (learner / "manifest.json").write_text('{"schema": 1}')
    with pytest.raises(StoreError, match="other settings: learners"):
        compare_live(tasks, [RANDOM], get_family("knn"), tmp_path / "out", here)


def test_a_damaged_run_is_named(tasks, tmp_path):
    settings = LiveSettings(trials=1, folds=2, seeds=(0,), max_rows=80)
    compare_live(tasks, [RANDOM], get_family("knn"), tmp_path, settings)
    path = next((tmp_path / "runs").iterdir())
    assert json.loads(path.read_text())[0]["method"] == "random"
    path.write_text("[{")
    with pytest.raises(StoreError, match="Delete it"):
        compare_live(tasks, [RANDOM], get_family("knn"), tmp_path, settings)


def test_settings_are_checked():
    with pytest.raises(InvalidParameterError, match="'trials' parameter of compare"):
        LiveSettings(trials=0)
