import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from automl_meta.exceptions import InvalidParameterError
from automl_meta.search.history import observation_of, pending, score_of, sign_of


def test_sign_of_both_directions_and_refusal_of_several():
    assert sign_of(optuna.create_study(direction="maximize"), "here") == 1.0
    assert sign_of(optuna.create_study(), "here") == -1.0
    several = optuna.create_study(directions=["minimize", "minimize"])
    with pytest.raises(InvalidParameterError, match=r"'study' parameter of here .*2 directions"):
        sign_of(several, "here")


def test_scores_flip_before_the_pessimism():
    pruned = create_trial(state=TrialState.PRUNED, intermediate_values={0: 1.0, 1: 3.0})
    assert score_of(pruned, 1.0) == 2.0  # mean below last
    assert score_of(pruned, -1.0) == -3.0  # an error of 3 is worse than the mean of 2
    assert score_of(create_trial(value=4.0), -1.0) == -4.0


def test_intermediate_values_are_read_in_step_order():
    trial = create_trial(state=TrialState.PRUNED, intermediate_values={2: 0.1, 0: 0.9, 1: 0.9})
    assert score_of(trial, 1.0) == 0.1


def make(params, **keywords):
    distributions = {name: FloatDistribution(-1e6, 1e6) for name in params}
    return create_trial(params=params, distributions=distributions, **keywords)


def test_observations_are_clipped_and_foreign_trials_are_skipped(space):
    trials = [
        make({"cost": 1e5, "elsewhere": 3.0}, value=0.5),
        make({"elsewhere": 3.0}, value=0.9),
        make({}, value=0.9),
    ]
    only, *foreign = [observation_of(trial, space, 1.0) for trial in trials]
    assert foreign == [None, None]
    assert only.score == 0.5
    assert only.configuration == {"kernel": "linear", "cost": 1e3, "shrinking": True}


def test_pending_prefers_what_was_suggested_to_the_plan(space):
    trial = make(
        {"cost": 2.0},
        state=TrialState.RUNNING,
        system_attrs={
            "automl_meta:plan": {"kernel": "poly", "cost": 1.0, "degree": 4, "shrinking": False}
        },
    )
    trial.number = 3
    expected = {"kernel": "poly", "cost": 2.0, "degree": 4, "shrinking": False}
    assert pending([trial], space, but=4) == [expected]
    assert pending([trial], space, but=3) == []
    fresh = create_trial(state=TrialState.RUNNING)  # started, nothing planned yet
    assert pending([fresh], space, but=9) == []
