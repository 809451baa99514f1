"""Pruners that are learned from past studies whose trials reported fold scores."""

import logging

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.studies import common_space, past_tasks_of_studies
from automl_meta.prior.pruning import NEVER, learn_pruner
from automl_meta.search import MetaLearner
from automl_meta.search.history import score_of


def fold_errors(x, shift, rng, n_folds):
    """Errors of a valley, with what all trials share on a fold and noise of each; no two folds agree."""
    shared = np.sin(np.arange(n_folds) + shift)
    return (x - 0.5 - shift) ** 2 + 0.05 * shared + 0.02 * rng.normal(size=n_folds)


def tune(trial, rng, *, shift=0.0, n_folds=5, sign=1.0, first=0, value=np.mean):
    """Report errors fold by fold (with sign -1 scores) as long as no pruner says otherwise."""
    reports = sign * fold_errors(trial.suggest_float("x", 0, 1), shift, rng, n_folds)
    for step, report in enumerate(reports, start=first):
        trial.report(report, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return float(value(reports))


def past(n=6, n_trials=14, **settings):
    """Studies that minimise, or with sign -1 maximise."""
    direction = "maximize" if settings.get("sign") == -1.0 else "minimize"
    studies = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        study = optuna.create_study(
            study_name=f"{direction}-{seed}",
            direction=direction,
            sampler=optuna.samplers.RandomSampler(seed=seed),
            pruner=optuna.pruners.NopPruner(),
        )
        study.optimize(lambda t, s=seed, r=rng: tune(t, r, shift=0.02 * s, **settings), n_trials)
        studies.append(study)
    return studies


def search(pruner, xs, **settings):
    """Try configurations in turn and return the number of reports of the pruned ones, None for the others."""
    direction = "maximize" if settings.get("sign") == -1.0 else "minimize"
    study = optuna.create_study(direction=direction, pruner=pruner)
    rng = np.random.default_rng(99)
    for x in xs:
        study.enqueue_trial({"x": x})
    study.optimize(lambda trial: tune(trial, rng, shift=0.05, **settings), len(xs))
    pruned = TrialState.PRUNED
    return [len(t.intermediate_values) if t.state == pruned else None for t in study.trials]


@pytest.fixture(scope="module")
def learner(brief_module):
    return MetaLearner.from_studies(past())


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_hopeless_end_after_three_folds_and_the_best_never(learner, sign, first):
    xs = [0.6, 0.5, 0.05, 0.53, 0.99, 0.55, 0.56]
    found = search(learner.pruner(), xs, sign=sign, first=first)
    assert found == [None, None, 3, None, 3, None, None]


def test_the_best_of_many_searches_is_hardly_ever_pruned(learner):
    rng = np.random.default_rng(0)
    lost = pruned = 0
    for seed in range(40):
        sampler = optuna.samplers.RandomSampler(seed=seed)
        study = optuna.create_study(sampler=sampler, pruner=learner.pruner())
        whole = {}
        for number in range(15):
            trial = study.ask()
            errors = fold_errors(trial.suggest_float("x", 0, 1), 0.05, rng, 5)
            whole[number] = errors.mean()
            for fold, error in enumerate(errors):
                trial.report(error, fold)
                if trial.should_prune():
                    study.tell(trial, state=TrialState.PRUNED)
                    break
            else:
                study.tell(trial, whole[number])
        ended = {t.number for t in study.get_trials(states=[TrialState.PRUNED])}
        pruned += len(ended)
        lost += min(whole, key=whole.get) in ended
    assert pruned > 40 * 4
    assert lost <= 2


def pruner_of(studies):
    """What a learner of the studies has as its pruner, without the training of everything else."""
    tasks = past_tasks_of_studies(studies, common_space(studies), score_of)
    return learn_pruner([task.folds for task in tasks])


def test_studies_of_both_directions_and_any_number_of_folds_are_one_past(learner):
    model = learner.prior.pruner
    assert pruner_of(past()) == model
    # What were errors are scores now. Read the wrong way round they would be judged by the worst of them.
    assert pruner_of(past(sign=-1.0)) == model
    of_many = [*past(3), *past(2, sign=-1.0, first=1), *past(1, n_folds=10)]
    mixed = pruner_of([*of_many, *past(1, value=lambda reports: reports[-1])])
    assert (mixed.n_tasks, mixed.n_folds) == (6, 5)
    assert mixed.quantile == pytest.approx(model.quantile, rel=0.5)


@pytest.mark.parametrize(
    "settings",
    [
        {"value": lambda reports: reports[-1]},
        {"value": min},
        {"n": 4},
        {"n_trials": 9},
        {"n_folds": 3},
        {"first": 2},
    ],
    ids=["last value", "best value", "four studies", "nine trials", "three folds", "from step 2"],
)
def test_a_past_that_tells_too_little_of_folds_teaches_nothing(settings, caplog):
    with caplog.at_level(logging.INFO, logger="automl_meta"):
        assert pruner_of(past(**settings)) == NEVER
    (message,) = caplog.messages
    assert "The pruner never prunes: " in message


def test_a_past_of_learning_curves_never_prunes(brief_training):
    never = MetaLearner.from_studies(past(value=lambda reports: reports[-1]))
    assert never.prior.facts["n_pruner_tasks"] == 0
    assert search(never.pruner(), [0.5, 0.51, 0.53, 0.01, 0.99]) == [None] * 5


def test_it_survives_the_disk(learner, tmp_path):
    learner.save(tmp_path)
    again = MetaLearner.load(tmp_path)
    assert again.prior.pruner == learner.prior.pruner
    assert again.prior.facts["n_pruner_tasks"] == 6
    xs = [0.6, 0.5, 0.05, 0.53, 0.99]
    assert search(again.pruner(), xs) == search(learner.pruner(), xs) == [None, None, 3, None, 3]


def test_folds_are_those_of_the_past_unless_others_are_named(brief_training):
    of_eight = MetaLearner.from_studies([*past(5, n_folds=8), *past(1, n_folds=4)])
    xs = [0.6, 0.5, 0.05, 0.53]
    assert search(of_eight.pruner(), xs, n_folds=8)[2] == 3
    assert search(of_eight.pruner(n_folds=5), xs, n_folds=5)[2] == 3
    # No trial has the eight reports that it waits for.
    assert search(of_eight.pruner(), xs, n_folds=20) == [None] * 4
    with pytest.raises(InvalidParameterError, match="'n_folds' parameter"):
        of_eight.pruner(n_folds=0)
