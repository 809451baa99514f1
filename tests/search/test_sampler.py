import multiprocessing
import pickle
import threading

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from automl_meta.exceptions import InvalidParameterError
from automl_meta.search import MetaSampler, warm_start
from automl_meta.spaces import SearchSpace


def make_study(prior, *, direction="maximize", seed=0, **keywords):
    return optuna.create_study(
        direction=direction, sampler=MetaSampler(prior, seed=seed, **keywords)
    )


def params_of(study):
    return [trial.params for trial in study.trials]


def origins_of(study):
    return [trial.user_attrs.get("origin") for trial in study.trials]


@pytest.mark.parametrize("sign", [1, -1], ids=["maximize", "minimize"])
def test_search_is_good_from_the_first_trials_in_both_directions(prior, space, judge, sign):
    study = make_study(prior, direction="maximize" if sign == 1 else "minimize")
    study.optimize(lambda trial: sign * judge(space.suggest(trial)), n_trials=8)
    assert set(origins_of(study)) == {"model"}
    assert sign * study.best_value > 0.85
    # Seen through the other sign, the model would run from what is good.
    assert np.median([sign * trial.value for trial in study.trials]) > 0.8
    scores = [item.score for item in prior.calls[-1][0]]
    assert scores == [sign * trial.value for trial in study.trials[:-1]]


def test_every_configuration_is_valid_planned_at_once_and_of_python_scalars(prior, space, judge):
    study = make_study(prior)
    study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=6)
    assert len(prior.calls) == 6  # one proposal per trial, not one per parameter
    for trial in study.trials:
        assert space.validate(trial.params) == trial.params
        for name, value in trial.params.items():
            kind = space.distributions[name]
            wanted = {FloatDistribution: float, IntDistribution: int}.get(type(kind), (str, bool))
            assert isinstance(value, wanted)
            assert not isinstance(value, np.generic)


def test_the_first_trial_is_planned_jointly(space, prior):
    study = make_study(prior)
    trial = study.ask()
    first = trial.suggest_categorical("kernel", ["linear", "rbf", "poly"])
    (plan,) = [t.system_attrs["automl_meta:plan"] for t in study.trials]
    assert plan["kernel"] == first
    assert space.validate(plan) == plan
    assert trial.suggest_float("cost", 1e-3, 1e3, log=True) == plan["cost"]


def test_seed_repeats_a_study_and_another_seed_does_not(prior, space, judge):
    def run(seed):
        study = make_study(prior, seed=seed)
        study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=5)
        return params_of(study)

    assert run(3) == run(3)
    assert run(3) != run(4)
    assert run(None) != run(None)


def test_a_resumed_study_goes_on_as_if_it_had_not_stopped(prior, space, judge, tmp_path):
    def objective(trial):
        return judge(space.suggest(trial)) + trial.suggest_float("outside", 0, 1)

    whole = make_study(prior)
    whole.optimize(objective, n_trials=14)
    for _ in range(2):
        storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
        part = optuna.create_study(
            study_name="s",
            storage=storage,
            direction="maximize",
            sampler=MetaSampler(prior, seed=0),
            load_if_exists=True,
        )
        part.optimize(objective, n_trials=7)
    assert params_of(part) == params_of(whole)


def test_studies_that_share_a_sampler_do_not_hear_of_one_another(prior, space, judge):
    shared = MetaSampler(prior, seed=0)
    signs = {"maximize": 1.0, "minimize": -1.0}
    studies = {way: optuna.create_study(direction=way, sampler=shared) for way in signs}
    for _ in range(4):
        for way, sign in signs.items():
            studies[way].optimize(lambda t, s=sign: s * judge(space.suggest(t)), n_trials=1)
            told = [observation.score for observation in prior.calls[-1][0]]
            assert told == [sign * trial.value for trial in studies[way].trials[:-1]]
    assert params_of(studies["maximize"]) == params_of(studies["minimize"])


def test_reseeding_changes_what_comes_next(prior, space, judge):
    def run(*, reseed):
        study = make_study(prior)
        study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=2)
        if reseed:
            study.sampler.reseed_rng()
        study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=2)
        return params_of(study)

    plain, reseeded = run(reseed=False), run(reseed=True)
    assert plain[:2] == reseeded[:2]
    assert plain[2:] != reseeded[2:]


def test_pickling_keeps_the_proposals(prior, space):
    sampler = MetaSampler(prior, seed=5)
    copy = pickle.loads(pickle.dumps(sampler))
    trials = [optuna.create_study(sampler=s).ask() for s in (sampler, copy)]
    assert space.suggest(trials[0]) == space.suggest(trials[1])


def test_threads_never_evaluate_a_configuration_twice(prior, space, judge):
    barrier = threading.Barrier(4)

    def objective(trial):
        configuration = space.suggest(trial)
        if trial.number < 4:
            barrier.wait(timeout=30)  # the first four are pending together
        return judge(configuration)

    study = make_study(prior)
    study.optimize(objective, n_trials=12, n_jobs=4)
    assert len({str(sorted(p.items())) for p in params_of(study)}) == 12
    assert max(len(waiting) for _, waiting in prior.calls) >= 3


def _worker(path, prior, space, judge):
    storage = JournalStorage(JournalFileBackend(path))
    # All workers have the same seed on purpose: trial numbers and plans must keep them apart.
    study = optuna.load_study(study_name="s", storage=storage, sampler=MetaSampler(prior, seed=1))
    for _ in range(4):
        trial = study.ask()
        study.tell(trial, judge(space.suggest(trial)))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_processes_share_a_study(prior, space, judge, tmp_path):
    path = str(tmp_path / "study.log")
    storage = JournalStorage(JournalFileBackend(path))
    optuna.create_study(study_name="s", storage=storage, direction="maximize")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_worker, args=(path, prior, space, judge)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    study = optuna.load_study(study_name="s", storage=storage)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 8
    assert set(origins_of(study)) == {"model"}
    assert len({str(sorted(p.items())) for p in params_of(study)}) == 8


def test_a_plan_written_at_the_same_moment_by_another_process_is_given_up(make_prior):
    space = SearchSpace("switch", 1, {"x": CategoricalDistribution(["a", "b", "c"])})
    prior = make_prior(space, lambda c: {"a": 1.0, "b": 0.5, "c": 0.0}[c["x"]], 9)
    study = make_study(prior)
    earlier = study.ask()
    honest, seen = prior.propose, []

    def propose(observed, pending, rng, **keywords):
        # The other process's plan reaches the storage after this one has read the pending trials.
        result = honest(observed, pending, rng, **keywords)
        seen.append(result)
        if len(seen) == 1:
            study._storage.set_trial_system_attr(
                earlier._trial_id, "automl_meta:plan", {"x": result["x"]}
            )
        return result

    prior.propose = propose
    assert study.ask().suggest_categorical("x", ["a", "b", "c"]) != seen[0]["x"]


def test_pending_and_waiting_trials_are_passed_on(prior, space):
    study = make_study(prior)
    running = [study.ask() for _ in range(2)]
    planned = [space.suggest(running[0])]
    running[1].suggest_categorical(
        "kernel", ["linear", "rbf", "poly"]
    )  # one of several: all planned
    planned.append(study.trials[1].system_attrs["automl_meta:plan"])
    trial = study.ask()
    study.enqueue_trial({"kernel": "linear", "cost": 1.0, "shrinking": True})
    configuration = space.suggest(trial)
    _, waiting = prior.calls[-1]
    assert waiting == [*planned, {"kernel": "linear", "cost": 1.0, "shrinking": True}]
    assert configuration not in waiting


def test_failed_configurations_are_observed_and_not_proposed_again(prior, space, judge):
    def objective(trial):
        configuration = space.suggest(trial)
        if configuration["kernel"] == "rbf":
            raise RuntimeError("out of memory")
        return judge(configuration)

    study = make_study(prior)
    study.optimize(objective, n_trials=12, catch=(RuntimeError,))
    failed = [t for t in study.trials if t.state == TrialState.FAIL]
    assert failed
    last = prior.calls[-1][0]
    assert [item.score is None for item in last] == [
        t.state == TrialState.FAIL for t in study.trials[:-1]
    ]
    assert len({str(sorted(p.items())) for p in params_of(study)}) == 12


def test_pruned_trials_count_pessimistically_and_interrupted_ones_not_at_all(prior, space):
    study = make_study(prior)
    for values, state in [
        ([0.9, 0.5, 0.7], TrialState.PRUNED),  # mean 0.7, last 0.7
        ([0.3, 0.5], TrialState.PRUNED),  # mean 0.4 below last 0.5
        ([0.8, 0.6], TrialState.PRUNED),  # last 0.6 below mean 0.7
        ([], TrialState.PRUNED),
        ([float("nan")], TrialState.PRUNED),
        ([], TrialState.FAIL),
    ]:
        trial = study.ask()
        space.suggest(trial)
        for fold, value in enumerate(values):
            trial.report(value, fold)
        study.tell(trial, state=state)
    killed = study.ask()
    space.suggest(killed)
    killed.set_user_attr("interrupted", True)
    study.tell(killed, state=TrialState.FAIL)
    space.suggest(study.ask())
    scores = [item.score for item in prior.calls[-1][0]]
    assert scores[:3] == pytest.approx([0.7, 0.4, 0.6])
    assert scores[3:] == [None, None, None]


def test_infinite_values_are_observed_as_failures(prior, space):
    study = make_study(prior)
    trial = study.ask()
    space.suggest(trial)
    study.tell(trial, float("-inf"))
    space.suggest(study.ask())
    assert [item.score for item in prior.calls[-1][0]] == [None]


def test_unknown_parameters_fall_back_to_tpe(prior, space, judge):
    def objective(trial):
        configuration = space.suggest(trial)
        outside = trial.suggest_float("outside", 0, 1)
        other = trial.suggest_int("other", 0, 100)
        return judge(configuration) - 10 * (outside - 0.25) ** 2 - (other / 100 - 0.5) ** 2

    study = make_study(prior, n_startup_trials=8)
    study.optimize(objective, n_trials=40)
    assert set(origins_of(study)) == {"model"}
    error = [abs(trial.params["outside"] - 0.25) for trial in study.trials]
    assert np.mean(error[20:]) < 0.7 * np.mean(error[:8])  # TPE learned; random would not
    assert all(
        item.configuration.keys() <= space.distributions.keys() for item in prior.calls[-1][0]
    )


def test_origin_tells_tpe_from_random_where_nothing_is_known(prior):
    study = make_study(prior, n_startup_trials=3)
    study.optimize(lambda trial: trial.suggest_float("outside", 0, 1), n_trials=5)
    assert origins_of(study) == ["random"] * 3 + ["tpe"] * 2
    assert prior.calls == []


def test_origin_is_seen_by_the_live_trial_and_by_the_storage(prior, space):
    study = make_study(prior)
    trial = study.ask()
    assert "origin" not in trial.user_attrs
    space.suggest(trial)
    assert trial.user_attrs["origin"] == "model"
    assert study.trials[0].user_attrs["origin"] == "model"


def test_enqueued_trials_keep_their_values_and_origin(prior, space, judge):
    study = make_study(prior)
    warm_start(study, [{"kernel": "rbf", "cost": 1.0, "gamma": 0.5, "shrinking": True}], space)
    study.enqueue_trial({"kernel": "poly", "cost": 7.0})  # by hand, and partly
    study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=3)
    assert origins_of(study) == ["warm start", "user", "model"]
    assert study.trials[0].params == {
        "kernel": "rbf",
        "cost": 1.0,
        "gamma": 0.5,
        "shrinking": True,
    }
    by_hand = study.trials[1]
    assert (by_hand.params["kernel"], by_hand.params["cost"]) == ("poly", 7.0)
    assert space.validate(by_hand.params) == by_hand.params
    assert (
        by_hand.system_attrs["automl_meta:plan"] == by_hand.params
    )  # planned around what is given
    assert by_hand.user_attrs["queued"] == {"kernel": "poly", "cost": 7.0}


def test_a_narrowed_space_is_respected_in_search_and_plan(prior, space, judge):
    narrow = space.narrow(
        kernel=CategoricalDistribution(["linear", "poly"]),
        cost=FloatDistribution(0.1, 1.0, log=True),
    )
    study = make_study(prior, space=narrow)
    study.optimize(lambda trial: judge(narrow.suggest(trial)), n_trials=10)
    for trial in study.trials:
        assert narrow.validate(trial.params) == trial.params
    assert len({str(sorted(p.items())) for p in params_of(study)}) == 10


def test_a_space_with_parameters_of_its_own(prior, space, judge):
    wider = SearchSpace(
        "wider",
        1,
        {**space.distributions, "epochs": IntDistribution(1, 50)},
        space.conditions,
    )
    study = make_study(prior, space=wider)
    study.optimize(lambda trial: judge(wider.suggest(trial)), n_trials=4)
    assert all("epochs" in trial.params for trial in study.trials)
    assert len({trial.params["epochs"] for trial in study.trials}) > 1


def test_conditions_of_the_objectives_own(prior):
    def objective(trial):  # asks for gamma whatever the kernel, and for another kind of degree
        kernel = trial.suggest_categorical("kernel", ["rbf", "sigmoid"])
        gamma = trial.suggest_float("gamma", 1e-4, 1e1, log=True)
        degree = trial.suggest_float("degree", 2, 5)
        assert isinstance(degree, float)
        return gamma + (kernel == "rbf")

    study = make_study(prior)
    study.optimize(objective, n_trials=6)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


def test_a_small_discrete_space_is_exhausted_before_anything_repeats(make_prior):
    space = SearchSpace(
        "tiny", 1, {"x": CategoricalDistribution(["a", "b"]), "n": IntDistribution(1, 3)}
    )
    prior = make_prior(space, lambda c: float(c["n"]), 6)
    study = make_study(prior)
    study.optimize(lambda trial: float(space.suggest(trial)["n"]), n_trials=8)
    assert len({str(sorted(p.items())) for p in params_of(study)[:6]}) == 6
    assert len(study.trials) == 8


def test_a_prior_that_repeats_itself_is_not_followed(prior, space, judge):
    stuck = {"kernel": "rbf", "cost": 1.0, "gamma": 0.5, "shrinking": True}
    prior.propose = lambda *_, **__: stuck
    study = make_study(prior)
    study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=4)
    assert params_of(study)[0] == stuck
    assert len({str(sorted(p.items())) for p in params_of(study)}) == 4
    assert origins_of(study) == ["model", "random", "random", "random"]


def test_partial_fixed_sampler_around_it(prior, space, judge):
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        sampler = optuna.samplers.PartialFixedSampler(
            {"kernel": "poly"}, MetaSampler(prior, seed=0)
        )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=3)
    assert {trial.params["kernel"] for trial in study.trials} == {"poly"}
    assert all(space.validate(trial.params) == trial.params for trial in study.trials)


def test_hyperband(prior, space, judge):
    study = optuna.create_study(
        direction="maximize",
        sampler=MetaSampler(prior, seed=0),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
    )

    def objective(trial):
        value = judge(space.suggest(trial))
        for step in range(9):
            trial.report(value * (step + 1) / 9, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study.optimize(objective, n_trials=20)
    states = {trial.state for trial in study.trials}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED}
    assert set(origins_of(study)) == {"model"}


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_persistent_storages(prior, space, judge, storage, tmp_path):
    url = (
        f"sqlite:///{tmp_path}/study.db"
        if storage == "sqlite"
        else JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    )
    study = optuna.create_study(
        storage=url, direction="maximize", sampler=MetaSampler(prior, seed=0)
    )
    study.optimize(lambda trial: judge(space.suggest(trial)), n_trials=4)
    memory = make_study(prior)
    memory.optimize(lambda trial: judge(space.suggest(trial)), n_trials=4)
    assert params_of(study) == params_of(memory)
    assert origins_of(study) == ["model"] * 4


def test_several_objectives_are_refused_with_a_remedy(prior, space):
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=MetaSampler(prior))
    with pytest.raises(InvalidParameterError, match="TPESampler for several"):
        study.ask().suggest_float("cost", 1e-3, 1e3, log=True)


@pytest.mark.parametrize("seed", [-1, 1.0, True, "0"])
def test_bad_seeds_are_refused(prior, seed):
    with pytest.raises(InvalidParameterError, match="'seed' parameter of MetaSampler"):
        MetaSampler(prior, seed=seed)


@pytest.mark.parametrize("n", [-1, 2.5, "x", True])
def test_bad_numbers_of_startup_trials_are_refused(prior, n):
    with pytest.raises(InvalidParameterError, match="'n_startup_trials' parameter of MetaSampler"):
        MetaSampler(prior, n_startup_trials=n)


def test_a_space_without_a_common_parameter_is_refused(prior):
    with pytest.raises(InvalidParameterError, match="Use the prior's names"):
        MetaSampler(prior, space=SearchSpace("other", 1, {"rate": FloatDistribution(0, 1)}))
