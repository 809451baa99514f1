import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.search import MetaLearner, MetaPruner, MetaSampler

SHIFTS = (-0.7, 0.1, 0.65)  # new tasks, none of the past ones


def search(space, judge, shift, seed, learner=None, n_trials=12):
    """Best value of a search on one toy task whose fold scores are noisy."""
    study = optuna.create_study(
        direction="maximize",
        sampler=learner.sampler(seed=seed) if learner else optuna.samplers.TPESampler(seed=seed),
        pruner=learner.pruner(n_folds=5) if learner else optuna.pruners.NopPruner(),
    )
    if learner:
        learner.warm_start(study, 3)

    def objective(trial):
        value = judge(space.suggest(trial), shift=shift)
        noise = np.random.default_rng(trial.number).normal(0, 0.005, size=5)
        for fold in range(5):
            trial.report(value + noise[fold], fold)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study.optimize(objective, n_trials=n_trials)
    return study


def test_the_whole_search_beats_optuna_alone_on_new_tasks(learner, space, judge):
    ours = [search(space, judge, shift, 0, MetaLearner(learner)) for shift in SHIFTS]
    theirs = [search(space, judge, shift, seed) for shift in SHIFTS for seed in range(3)]
    best = np.mean([study.best_value for study in ours])
    assert best > np.mean([study.best_value for study in theirs]) + 0.02
    assert best > 0.86  # the optimum is 0.9
    origins = {trial.user_attrs["origin"] for study in ours for trial in study.trials}
    assert {"warm start", "model"} <= origins


def test_failures_in_two_threads_do_not_stop_the_trained_prior(learner, space, judge):
    made = MetaLearner(learner)
    study = optuna.create_study(direction="maximize", sampler=made.sampler(seed=0))
    made.warm_start(study, 2)

    def objective(trial):
        configuration = space.suggest(trial)
        if configuration["cost"] > 20:
            raise MemoryError
        return judge(configuration)

    study.optimize(objective, n_trials=20, n_jobs=2, catch=(MemoryError,))
    assert len(study.trials) == 20
    assert len({str(sorted(trial.params.items())) for trial in study.trials}) == 20
    assert study.best_value > 0.85


def test_save_and_load_give_the_same_search(learner, space, judge, tmp_path):
    MetaLearner(learner).save(str(tmp_path / "toy"))
    loaded = MetaLearner.load(tmp_path / "toy")
    before, after = (search(space, judge, 0.3, 1, own, 6) for own in (MetaLearner(learner), loaded))
    assert [trial.params for trial in before.trials] == [trial.params for trial in after.trials]


def test_a_fold_model_may_be_chosen(learner, tmp_path):
    MetaLearner(learner).save(tmp_path)
    assert MetaLearner.load(tmp_path, model="fold-0").prior.facts["n_tasks"] == 9
    assert MetaLearner(learner).prior.facts["n_tasks"] == 12
    with pytest.raises(InvalidParameterError, match="'model'"):
        MetaLearner(learner, model="fold-7")


def test_a_folder_without_a_learner_is_named(tmp_path):
    with pytest.raises(StoreError, match=str(tmp_path)):
        MetaLearner.load(tmp_path)


def test_it_makes_what_a_study_needs(learner, space):
    made = MetaLearner(learner)
    assert made.space is space
    assert isinstance(made.sampler(seed=1, n_startup_trials=3), MetaSampler)
    assert isinstance(made.pruner(n_folds=4), MetaPruner)


def test_warm_start_is_clipped_into_the_studys_space(learner, space):
    narrow = space.narrow(cost=FloatDistribution(1e-3, 1e-2, log=True))
    study = optuna.create_study(direction="maximize")
    queued = MetaLearner(learner).warm_start(study, 4, space=narrow)
    assert queued == len(study.trials) >= 1
    assert all(trial.user_attrs["queued"]["cost"] <= 1e-2 for trial in study.trials)


def test_meta_features_choose_among_the_starting_points(learner):
    costs = {}
    for shift in (-1.0, 1.0):
        study = optuna.create_study()
        MetaLearner(learner).warm_start(study, 1, task_features={"shift": shift})
        costs[shift] = study.trials[0].user_attrs["queued"]["cost"]
    assert costs[-1.0] < costs[1.0]  # the best cost is 10^(1 + shift)


@pytest.mark.parametrize("n", [0, -1, 2.0, True])
def test_bad_numbers_of_starting_points_are_refused(learner, n):
    with pytest.raises(InvalidParameterError, match="'n' parameter of MetaLearner"):
        MetaLearner(learner).warm_start(optuna.create_study(), n)


def test_a_narrowed_space_gets_only_starts_and_proposals_of_its_own_categories(learner):
    space = learner.space.narrow(
        kernel=CategoricalDistribution(["linear", "poly"]), cost=FloatDistribution(1.0, 10.0)
    )
    meta = MetaLearner(learner)
    study = optuna.create_study(direction="maximize", sampler=meta.sampler(space=space, seed=0))
    assert meta.warm_start(study, 4, space=space) == 4
    learned = [c for c in learner.portfolio.configurations if c["kernel"] != "rbf"]
    for trial in study.trials:
        queued = trial.user_attrs["queued"]
        assert queued in [space.clip(c) for c in learned]
    study.optimize(lambda trial: -space.suggest(trial)["cost"], n_trials=8)
    for trial in study.trials:
        assert space.validate(trial.params) == trial.params
