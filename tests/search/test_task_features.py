"""Numbers that describe tasks: what they change, and that names which say nothing are not taken for ones that do."""

import logging

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution

from automl_meta.exceptions import InvalidParameterError
from automl_meta.search import MetaLearner
from automl_meta.spaces import SearchSpace

SPACE = SearchSpace("line", 1, {"x": FloatDistribution(0, 1)})
PLACES = {10.0: 0.15, 1000.0: 0.85}  # rows of a task to where its best configuration lies
ROWS = {str(i): rows for i, rows in enumerate([*PLACES] * 5)}


def frame():
    """Ten tasks of two kinds; their numbers are not in the table."""
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame({"x": rng.uniform(size=25), "set": int(task), "best": PLACES[rows]})
        for task, rows in ROWS.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(error=(table["x"] - table["best"]) ** 2)


def learned(**options):
    return MetaLearner.from_frame(
        frame(), SPACE, task="set", value="error", maximize=False, warm_start=1, **options
    )


@pytest.fixture(scope="module")
def described(brief_module):
    return learned(task_features={t: {"rows": rows, "id": 1.0} for t, rows in ROWS.items()})


@pytest.fixture(scope="module")
def plain(brief_module):
    return learned()


def first(learner, **options):
    study = optuna.create_study(sampler=learner.sampler(seed=0, **options))
    return study.ask().suggest_float("x", 0, 1)


@pytest.mark.parametrize("rows", PLACES)
def test_a_described_table_starts_and_proposes_by_kind(described, rows):
    study = optuna.create_study()
    assert described.warm_start(study, task_features={"rows": rows}) == 1
    assert study.trials[0].user_attrs["queued"]["x"] == pytest.approx(PLACES[rows], abs=0.25)
    assert first(described, task_features={"rows": rows}) == pytest.approx(PLACES[rows], abs=0.25)


CALLS = {
    "sampler": lambda learner, told: learner.sampler(task_features=told),
    "warm_start": lambda learner, told: learner.warm_start(
        optuna.create_study(), task_features=told
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_names_that_the_learner_does_not_know_are_refused(described, plain, name):
    with pytest.raises(InvalidParameterError, match=rf"{name} .*\(id, rows\)\. Got 'rowz, no'"):
        CALLS[name](described, {"rowz": 1.0, "no": 2.0})
    with pytest.raises(InvalidParameterError, match=rf"{name} must be left out.* Got 'rows'"):
        CALLS[name](plain, {"rows": 1.0})


@pytest.mark.parametrize("name", CALLS)
def test_a_single_unknown_name_is_named_in_a_warning(described, name, caplog):
    with caplog.at_level(logging.WARNING, "automl_meta"):
        CALLS[name](described, {"rows": 10.0})
        assert not caplog.records
        CALLS[name](described, {"rows": 10.0, "rowz": 1.0})
    assert "does not know say nothing: rowz. It knows id, rows" in caplog.text


@pytest.mark.parametrize("told", [None, {}, {"rows": float("nan")}])
def test_no_number_is_no_error(described, told):
    assert first(described, task_features=told) == first(described)


def test_features_of_a_task_that_is_not_in_the_table_are_refused():
    for wrong in ("10", 3):
        with pytest.raises(InvalidParameterError, match=rf"task names \('0', '1'.* Got {wrong!r}"):
            learned(task_features={wrong: {"rows": 1.0}})
