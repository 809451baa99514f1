import optuna
import pytest
from optuna.trial import TrialState

from automl_meta.exceptions import InvalidParameterError
from automl_meta.search import MetaPruner

GOOD, BAD = [0.9, 0.91, 0.92, 0.9, 0.9], [0.5, 0.51, 0.5, 0.5, 0.5]


class Recorder:
    """A judge that remembers what it was asked and wants to prune always."""

    def __init__(self):
        self.asked = []

    def should_prune(self, fold_scores, n_folds, finished):
        self.asked.append((list(fold_scores), n_folds, [list(s) for s in finished]))
        return True


def run(study, scores):
    """Report fold after fold and return the number of folds seen when the trial was pruned, or None."""
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    for fold, score in enumerate(scores):
        trial.report(score, fold)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return fold + 1
    study.tell(trial, sum(scores) / len(scores))
    return None


def make_study(model, direction="maximize", n_folds=5):
    return optuna.create_study(direction=direction, pruner=MetaPruner(model, n_folds=n_folds))


def test_prunes_the_hopeless_at_the_third_step_and_keeps_the_good(prior):
    study = make_study(prior.pruner)
    assert run(study, BAD) is None  # nothing to compare with yet
    for _ in range(3):
        assert run(study, GOOD) is None
    assert run(study, BAD) == 3
    assert run(study, GOOD) is None


def test_minimisation_is_turned_round(prior):
    study = make_study(prior.pruner, "minimize")
    for _ in range(3):
        assert run(study, BAD) is None  # small is good now
    assert run(study, GOOD) == 3
    assert run(study, BAD) is None


def test_the_answer_is_a_builtin_bool(prior):
    study = make_study(prior.pruner)
    run(study, GOOD)
    trial = study.ask()
    for fold, score in enumerate(BAD[:3]):
        trial.report(score, fold)
    answer = study.pruner.prune(study, study.trials[-1])
    assert type(answer) is bool
    assert answer is True


def test_never_before_the_third_step_and_never_after_the_last():
    model = Recorder()
    study = make_study(model)
    study.add_trial(optuna.create_trial(value=0.9, intermediate_values=dict(enumerate(GOOD))))
    trial = study.ask()
    answers = []
    for fold, score in enumerate(BAD):
        trial.report(score, fold)
        answers.append(trial.should_prune())
    assert answers == [False, False, True, True, False]
    assert model.asked == [(BAD[:3], 5, [GOOD]), (BAD[:4], 5, [GOOD])]


def test_never_without_a_complete_trial_to_compare_with():
    model = Recorder()
    study = make_study(model)
    study.add_trial(optuna.create_trial(value=0.9, intermediate_values={0: 0.9}))  # other protocol
    study.add_trial(optuna.create_trial(value=0.9))
    study.add_trial(
        optuna.create_trial(state=TrialState.PRUNED, intermediate_values=dict(enumerate(GOOD)))
    )
    study.add_trial(
        optuna.create_trial(state=TrialState.FAIL, intermediate_values=dict(enumerate(GOOD)))
    )
    assert run(study, BAD) is None
    assert model.asked == []


def test_gaps_and_undefined_scores_never_prune():
    model = Recorder()
    study = make_study(model)
    study.add_trial(optuna.create_trial(value=0.9, intermediate_values=dict(enumerate(GOOD))))
    gap = study.ask()
    for fold in (0, 1, 3, 4):
        gap.report(0.1, fold)
        assert gap.should_prune() is False
    undefined = study.ask()
    for fold, score in enumerate([0.1, float("nan"), 0.1]):
        undefined.report(score, fold)
        assert undefined.should_prune() is False
    assert model.asked == []


def test_folds_may_be_numbered_from_one_in_all_trials():
    model = Recorder()
    study = make_study(model)
    for first in (0, 1):
        steps = dict(enumerate(GOOD, start=first))
        study.add_trial(optuna.create_trial(value=0.9 + first, intermediate_values=steps))
    study.add_trial(optuna.create_trial(value=0.9, intermediate_values=dict(enumerate(BAD * 2))))
    trial = study.ask()
    for step, score in enumerate(BAD[:3], start=1):
        trial.report(score, step)
    assert trial.should_prune()
    assert model.asked == [
        (BAD[:3], 5, [GOOD])
    ]  # neither the one from 0 nor the one of ten reports


def test_three_folds_leave_nothing_to_save():
    model = Recorder()
    study = make_study(model, n_folds=3)
    study.add_trial(optuna.create_trial(value=0.9, intermediate_values=dict(enumerate(GOOD[:3]))))
    assert run(study, BAD[:3]) is None
    assert model.asked == []


def test_inside_a_patient_pruner():
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        pruner = optuna.pruners.PatientPruner(MetaPruner(Recorder(), n_folds=5), patience=1)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.add_trial(optuna.create_trial(value=0.9, intermediate_values=dict(enumerate(GOOD))))
    assert run(study, [0.5, 0.4, 0.3, 0.2, 0.1]) == 3


@pytest.mark.parametrize("n_folds", [1, 0, 5.0, True, None])
def test_bad_numbers_of_folds_are_refused(n_folds):
    with pytest.raises(InvalidParameterError, match="'n_folds' parameter of MetaPruner"):
        MetaPruner(Recorder(), n_folds=n_folds)


def test_several_objectives_are_refused():
    study = optuna.create_study(directions=["minimize", "minimize"])
    with pytest.raises(InvalidParameterError, match="one objective"):
        MetaPruner(Recorder(), n_folds=5).prune(study, optuna.create_trial(values=[1.0, 1.0]))
