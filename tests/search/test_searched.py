"""Searches whose ranges and choices are not those that were learned."""

import logging

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from automl_meta.metadata.past import past_task
from automl_meta.search import MetaLearner, warm_start
from automl_meta.search.searched import meet, reaches_beyond, searched_space
from automl_meta.spaces import Condition, SearchSpace

WIDE = FloatDistribution(1e-6, 1e3, log=True)
RATE = FloatDistribution(1e-4, 1.0, log=True)
SPACE = SearchSpace("toy", 1, {"rate": RATE, "depth": IntDistribution(1, 10)})


def error(rate, depth, best_rate=0.03, best_depth=6):
    import math

    return math.log10(rate / best_rate) ** 2 + 0.01 * abs(depth - best_depth)


pytestmark = pytest.mark.usefixtures("brief_module")


@pytest.fixture(scope="module")
def learner(brief_module):
    past = []
    for seed, best in enumerate((0.02, 0.05, 0.03)):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        study.optimize(lambda trial, best=best: error(**SPACE.suggest(trial), best_rate=best), 20)
        past.append(study)
    return MetaLearner.from_studies(past, space=SPACE)


def searched(learner, space, n, best, **sampler):
    study = optuna.create_study(sampler=learner.sampler(seed=0, **sampler))
    study.optimize(lambda trial: error(**space.suggest(trial), **best), n)
    return study


def test_a_narrower_range_is_searched_without_being_told(learner):
    narrow = SPACE.narrow(rate=FloatDistribution(0.1, 0.2, log=True), depth=IntDistribution(2, 4))
    study = searched(learner, narrow, 20, {"best_rate": 0.15, "best_depth": 3})
    assert len({trial.params["rate"] for trial in study.trials}) > 10
    assert study.best_value < 1e-3


def test_a_space_that_lacks_a_learned_parameter_may_run_out_of_values(learner):
    few = SearchSpace("few", 1, {"depth": IntDistribution(4, 6)})
    study = optuna.create_study(sampler=learner.sampler(seed=0, space=few))
    study.optimize(lambda trial: abs(few.suggest(trial)["depth"] - 6), 6)
    assert {trial.params["depth"] for trial in study.trials[:3]} == {4, 5, 6}


def test_a_wider_range_is_searched_too(learner, caplog):
    wide = SPACE.narrow(rate=FloatDistribution(1e-4, 1e3, log=True), depth=IntDistribution(1, 50))
    with caplog.at_level(logging.WARNING, logger="automl_meta"):
        study = searched(learner, wide, 40, {"best_depth": 30})
    origins = [trial.user_attrs["origin"] for trial in study.trials]
    assert set(origins[2::3]) <= {"tpe", "random"}
    assert "model" in origins
    assert study.best_params["depth"] > 10
    assert "values of rate, depth that were not learned" in caplog.text


def test_ranges_that_meet_in_one_value_are_no_plan(learner):
    other = SPACE.narrow(depth=IntDistribution(10, 30))
    study = searched(learner, other, 12, {"best_depth": 20})
    assert len({trial.params["depth"] for trial in study.trials}) > 5


def test_starting_points_are_moved_into_the_studys_ranges_and_choices():
    kinds = CategoricalDistribution(["adam", "sgd", "lion"])
    space = SearchSpace("kinds", 1, {"kind": kinds, "steps": IntDistribution(0, 100)})
    past = []
    for seed in range(3):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        study.optimize(
            lambda t: (
                {"adam": 0, "sgd": 1, "lion": 2}[(c := space.suggest(t))["kind"]] + c["steps"] / 100
            ),
            30,
        )
        past.append(study)
    learner = MetaLearner.from_studies(past)
    new = optuna.create_study(sampler=learner.sampler(seed=0))
    queued = learner.warm_start(new, 3)

    def objective(trial):
        kind = trial.suggest_categorical("kind", ["sgd", "lion"])
        return {"sgd": 1, "lion": 2}[kind] + trial.suggest_int("steps", 1, 90, log=True)

    new.optimize(objective, 6)
    first = new.trials[:queued]
    assert {trial.user_attrs["origin"] for trial in first} == {"warm start"}
    assert any(trial.user_attrs["queued"]["kind"] == "adam" for trial in first)
    assert all(1 <= trial.params["steps"] <= 90 for trial in new.trials)


def test_a_queued_starting_point_keeps_what_the_sampler_does_not_know(learner):
    space = SearchSpace("more", 1, {**SPACE.distributions, "width": IntDistribution(1, 9)})
    study = optuna.create_study(sampler=learner.sampler(seed=0, space=space))
    learner.warm_start(study, 1, space=space)
    trial = study.ask()
    assert space.suggest(trial)["width"] == 5


def test_a_wider_range_is_told_of_after_starting_points_too(learner, caplog):
    wide = SPACE.narrow(depth=IntDistribution(1, 50))
    study = optuna.create_study(sampler=learner.sampler(seed=0))
    learner.warm_start(study, 5)
    with caplog.at_level(logging.WARNING, logger="automl_meta"):
        study.optimize(lambda trial: error(**wide.suggest(trial)), 12)
    assert caplog.text.count("values of depth that were not learned") == 1


@pytest.mark.parametrize("storage", [None, "sqlite:///{}/past.db"])
def test_starting_points_that_become_one_are_tried_once(learner, storage, tmp_path):
    narrow = SPACE.narrow(rate=FloatDistribution(0.5, 0.9, log=True), depth=IntDistribution(8, 9))
    url = storage and storage.format(tmp_path)
    study = optuna.create_study(sampler=learner.sampler(seed=0), storage=url)
    assert warm_start(study, [{"rate": 0.01 * n, "depth": n} for n in range(1, 6)], SPACE) == 5
    study.optimize(lambda trial: error(**narrow.suggest(trial)), 5)
    tried = [tuple(trial.params.values()) for trial in study.trials]
    assert len(set(tried)) == 5
    assert study.trials[0].user_attrs["origin"] == "warm start"
    assert "model" in {trial.user_attrs["origin"] for trial in study.trials}


def test_a_starting_point_that_the_study_allows_stays_as_it_is(learner):
    other = SPACE.narrow(rate=FloatDistribution(2.0, 3.0))
    study = optuna.create_study(sampler=learner.sampler(seed=0))
    warm_start(study, [{"rate": 2.25, "depth": 4}], other)
    assert other.suggest(study.ask()) == {"rate": 2.25, "depth": 4}


def test_ranges_that_depend_on_another_parameter_stay_open(learner):
    study = optuna.create_study(sampler=learner.sampler(seed=0))
    for bound in (10, 2, 2, 5):
        trial = study.ask()
        trial.suggest_int("depth", 1, bound)
        study.tell(trial, 1.0)
    shown = searched_space(study.trials, SPACE, {"depth"})
    assert shown.distributions["depth"] == IntDistribution(1, 10)


def test_a_range_that_changed_is_followed_after_three_trials():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for low, high in [(1, 10), *[(4, 6)] * 3]:
        study.ask().suggest_int("depth", low, high)
        study.enqueue_trial({"depth": 5})  # waits: it shows nothing
    shown = searched_space(study.trials, SPACE, {"depth"})
    assert shown.distributions["depth"] == IntDistribution(4, 6)


@pytest.mark.parametrize("high", [0.8, 1.3])
def test_given_configurations_are_not_left_for_another_range(high):
    space = SearchSpace("table", 1, {"x": FloatDistribution(0.0, 1.0)})
    rows = space.sample(np.random.default_rng(0), 40)
    tasks = [
        past_task(f"{best}", rows, [-((c["x"] - best) ** 2) for c in rows], space)
        for best in (0.2, 0.25, 0.3)
    ]
    made = MetaLearner.from_tasks(tasks, space, refine=False)
    study = optuna.create_study(sampler=made.sampler(seed=0))
    study.optimize(lambda trial: (trial.suggest_float("x", 0.0, high) - 0.22) ** 2, 15)
    known = {c["x"] for c in rows}
    assert {
        trial.params["x"] for trial in study.trials[1:]
    } <= known  # the first one shows the range


def test_what_the_latest_trials_show():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert searched_space(study.trials, SPACE, {"rate", "depth"}) is SPACE
    for _ in range(2):
        trial = study.ask()
        trial.suggest_int("depth", 3, 8)
        trial.suggest_float("other", 0, 1)
    shown = searched_space(study.trials, SPACE, {"rate", "depth"})
    assert shown.distributions == {"rate": RATE, "depth": IntDistribution(3, 8)}
    assert searched_space(study.trials, SPACE, {"rate"}) is SPACE


def test_a_parent_that_lost_a_choice_takes_its_children_along():
    kinds = CategoricalDistribution(["a", "b"])
    conditions = {"gamma": Condition("kind", ("b",))}
    space = SearchSpace("s", 1, {"kind": kinds, "gamma": FloatDistribution(0, 1)}, conditions)
    study = optuna.create_study()
    study.ask().suggest_categorical("kind", ["a"])
    shown = searched_space(study.trials, space, set(space.distributions))
    assert list(shown.distributions) == ["kind"]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (RATE, WIDE, True),
        (RATE, FloatDistribution(1.0, 2.0), False),
        (RATE, FloatDistribution(1.0, 1.0), True),
        (RATE, CategoricalDistribution([0.1]), False),
        (CategoricalDistribution([1, True]), CategoricalDistribution([True]), True),
        (CategoricalDistribution([1]), CategoricalDistribution([True]), False),
    ],
)
def test_meet(a, b, expected):
    assert meet(a, b) is meet(b, a) is expected


@pytest.mark.parametrize(
    ("distribution", "beyond"),
    [
        (RATE, []),
        (FloatDistribution(1e-3, 1e-2), []),
        (FloatDistribution(9e-5, 1.0, log=True), []),  # hardly
        (WIDE, ["rate"]),
        (FloatDistribution(0.5, 3.0), ["rate"]),
        (CategoricalDistribution([0.1]), []),
    ],
)
def test_what_goes_beyond(distribution, beyond):
    assert reaches_beyond(SPACE.narrow(rate=distribution), SPACE) == beyond


def test_a_new_choice_goes_beyond():
    space = SearchSpace("s", 1, {"kind": CategoricalDistribution(["a", "b"])})
    assert reaches_beyond(space.narrow(kind=CategoricalDistribution(["b", "c"])), space) == ["kind"]
    assert reaches_beyond(space.narrow(kind=CategoricalDistribution(["b"])), space) == []
