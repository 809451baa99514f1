"""The failure policy, with real processes that hang, die, raise and eat memory."""

import ctypes
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
import psutil
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from automl_meta.evaluation import Evaluator, Folds, Limits, score_folds
from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import get_family

KNN = get_family("knn")
DEFAULT = KNN.default("classification")


@dataclass
class Misbehaving(DummyClassifier):
    """Does in ``fit`` what its configuration says."""

    how: str = "well"

    def __post_init__(self):
        super().__init__()

    def fit(self, X, y):
        if self.how == "hang":
            time.sleep(60)
        if self.how == "die":
            os._exit(1)
        if self.how == "crash":
            ctypes.string_at(0)
        if self.how == "raise":
            raise ZeroDivisionError("made to fail,\nover two lines")
        if self.how == "eat":
            self.eaten = np.ones((400, 2**20))
        return super().fit(X, y)

    def predict_proba(self, X):
        probabilities = super().predict_proba(X)
        return probabilities * np.nan if self.how == "nan" else probabilities


def build(configuration, _shape, _budget):
    return Pipeline([("model", Misbehaving(how=configuration["how"]))])


FAMILY = replace(KNN, name="misbehaving", build=build)


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("raise", "failed", "ZeroDivisionError: made to fail, over two lines"),
        ("nan", "failed", "ValueError"),
        ("hang", "timeout", "over 2 s in fold 1"),
        ("die", "failed", "worker process died"),
        ("eat", "memory", "over 300 MiB in fold 1"),
    ],
)
def test_a_bad_fold_is_recorded_with_its_reason_and_the_next_one_works(
    task_of, how, status, reason
):
    with Evaluator(task_of(), 3, limits=Limits(seconds=2.0, memory=300)) as evaluator:
        bad = evaluator.evaluate(FAMILY, {"how": how})
        assert bad.status == status
        assert reason in bad.reason
        assert bad.score is None
        assert bad.fold_scores == ()
        good = evaluator.evaluate(KNN, DEFAULT)
    assert good.status == "ok"
    assert good.score > 0.8


def test_a_crash_in_native_code_is_a_failed_evaluation(task_of):
    with Evaluator(task_of(), 2) as evaluator:
        assert evaluator.evaluate(FAMILY, {"how": "crash"}).status == "failed"
        assert evaluator.evaluate(KNN, DEFAULT).status == "ok"


def test_same_seed_same_scores_and_they_are_cross_validation_scores(task_of):
    task = task_of("regression")
    family = get_family("random_forest")
    runs = []
    for _ in range(2):
        with Evaluator(task, 3, seed=4) as evaluator:
            runs.append(evaluator.evaluate(family, family.default("regression")).values)
    assert runs[0] == runs[1]
    folds = Folds.of(task, 3, 4)
    assert len(set(np.concatenate(folds.test))) == len(task.split.train)
    assert not set(np.concatenate(folds.test)) & set(task.split.test)


def test_on_fold_sees_each_fold_and_can_stop(task_of):
    seen = []
    with Evaluator(task_of(), 4) as evaluator:
        stopped = evaluator.evaluate(
            KNN, DEFAULT, on_fold=lambda k, score: seen.append((k, score)) or k == 1
        )
        whole = evaluator.evaluate(KNN, DEFAULT, on_fold=lambda k, _: k == 3)
    assert [k for k, _ in seen] == [0, 1]
    assert stopped.status == "pruned"
    assert stopped.values == tuple(score for _, score in seen)
    assert stopped.score is None
    assert whole.status == "ok"  # after the last fold nothing is left to save


def test_the_time_limit_covers_all_folds_together(task_of):
    with Evaluator(task_of(), 3, limits=Limits(seconds=1e-9)) as evaluator:
        assert evaluator.evaluate(KNN, DEFAULT).status == "timeout"


@pytest.mark.parametrize("metric", ["accuracy", "f1", "average_precision", "neg_brier_score"])
def test_any_scorer_of_scikit_learn_can_be_the_metric(task_of, metric):
    with Evaluator(task_of(metric=metric), 2) as evaluator:
        evaluation = evaluator.evaluate(KNN, DEFAULT)
    assert evaluation.status == "ok"
    assert {"roc_auc", metric} <= set(evaluation.fold_scores[0])


def test_a_class_missing_from_training_has_probability_zero(task_of):
    task = task_of("multiclass")
    target = np.where(np.arange(90) == 0, 2, np.minimum(task.target, 1))  # one row of class 2
    rare = replace(task, target=target)
    with Evaluator(rare, 3) as evaluator:
        evaluation = evaluator.evaluate(KNN, {**DEFAULT, "n_neighbors": 20})
    assert evaluation.status == "ok"
    assert all(np.isfinite(v) for v in evaluation.values)


def test_no_process_is_left_behind_when_the_parent_is_killed(tmp_path):
    script = (
        "import os, signal\n"
        "from automl_meta.evaluation.worker import Worker\n"
        "if __name__ == '__main__':\n"
        "    print(Worker().call(eval, 'os.getpid()', {'os': os}, timeout=60), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "killed.py"
    path.write_text(script)
    ended = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert ended.returncode == -9, ended.stderr
    worker = int(ended.stdout)
    deadline = time.monotonic() + 30
    while psutil.pid_exists(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(worker)


@pytest.mark.parametrize("folds", [1, 71])
def test_impossible_folds_are_refused(task_of, folds):
    with pytest.raises(InvalidParameterError, match="folds"):
        Evaluator(task_of(), folds)


def test_impossible_limits_are_refused():
    with pytest.raises(InvalidParameterError, match="trial_time_limit"):
        Limits(seconds=0)
    with pytest.raises(InvalidParameterError, match="memory_limit"):
        Limits(memory=1)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_predictions_come_back_where_asked_for_and_score_as_the_folds_did(task_of, kind):
    task, family = task_of(kind), get_family("random_forest")
    default = family.default(task.problem)
    with Evaluator(task, 3) as evaluator:
        assert evaluator.evaluate(family, default).predictions == ()
    with Evaluator(task, 3, keep=True) as evaluator:
        evaluation = evaluator.evaluate(family, default)
        pruned = evaluator.evaluate(family, default, on_fold=lambda _k, _score: True)
        failed = evaluator.evaluate(FAMILY, {"how": "raise"})
    width = len(task.classes) or 1
    assert [p.shape for p in evaluation.predictions] == [
        (len(rows), width) for rows in evaluator.folds.test
    ]
    scores = score_folds(task, evaluator.folds, np.concatenate(evaluation.predictions))
    assert scores == pytest.approx(evaluation.values)
    assert pruned.predictions == ()
    assert failed.predictions == ()
