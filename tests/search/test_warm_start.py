import logging

import optuna
import pytest
from optuna.trial import TrialState

from automl_meta.exceptions import InvalidParameterError
from automl_meta.search import warm_start

FIRST = {"kernel": "rbf", "cost": 1.0, "gamma": 0.5, "shrinking": True}
SECOND = {"kernel": "linear", "cost": 2.0, "shrinking": False}


def test_trials_run_in_order_with_their_values(space, judge):
    study = optuna.create_study(direction="maximize")
    assert warm_start(study, [FIRST, SECOND], space) == 2
    study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=3)
    assert [trial.params for trial in study.trials[:2]] == [FIRST, SECOND]
    assert [trial.user_attrs.get("origin") for trial in study.trials[:2]] == ["warm start"] * 2


def test_what_optuna_would_choke_on_is_clipped(space, judge, caplog):
    broken = {"kernel": "sigmoid", "cost": 1e9, "typo": 1, "degree": 99}
    study = optuna.create_study(direction="maximize")
    with caplog.at_level(logging.INFO, logger="automl_meta"):
        assert warm_start(study, [broken], space) == 1
    assert "changed to fit the space" in caplog.text
    study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=1)
    assert study.trials[0].state == TrialState.COMPLETE
    assert study.trials[0].params == {"kernel": "linear", "cost": 1e3, "shrinking": True}


def test_what_the_study_has_already_is_skipped(space, judge):
    study = optuna.create_study(direction="maximize")
    assert warm_start(study, [FIRST, FIRST], space) == 1
    study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=1)
    assert warm_start(study, [FIRST, SECOND], space, origin="user") == 1
    assert study.trials[1].user_attrs == {"origin": "user", "queued": SECOND}


@pytest.mark.parametrize("wrong", [{"typo": 1}, {}, "rbf", None])
def test_what_has_nothing_to_do_with_the_space_is_refused(space, wrong):
    study = optuna.create_study()
    with pytest.raises(InvalidParameterError, match="'configurations' parameter of warm_start"):
        warm_start(study, [wrong], space)
    assert study.trials == []


def test_nothing_to_queue(space):
    assert warm_start(optuna.create_study(), [], space) == 0


def test_what_a_user_left_out_is_filled_in(space):
    study = optuna.create_study()
    assert warm_start(study, [{"kernel": "poly", "degree": 5}], space, origin="user") == 1
    queued = study.trials[0].user_attrs["queued"]
    assert queued == space.validate(queued)
    assert (queued["kernel"], queued["degree"]) == ("poly", 5)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({**FIRST, "cost": 1e9}, "cost"),
        ({**FIRST, "kernel": "sigmoid"}, "kernel"),
        ({**FIRST, "typo": 1}, "typo"),
    ],
)
def test_what_a_user_chose_is_refused_rather_than_changed(space, wrong, name):
    study = optuna.create_study()
    with pytest.raises(InvalidParameterError, match=f"'{name}'"):
        warm_start(study, [SECOND, wrong], space, origin="user")
    assert study.trials == []
