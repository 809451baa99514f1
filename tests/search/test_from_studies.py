import ast
import json
import re
import socket
import threading
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.arrays import past_tasks_of_arrays
from automl_meta.metadata.hpob import read_hpob
from automl_meta.metadata.past import past_task
from automl_meta.metadata.studies import common_space, past_tasks_of_studies
from automl_meta.metalearn import MAML, Reptile
from automl_meta.search import MetaLearner
from automl_meta.spaces import Condition, SearchSpace


def loss(trial, shift, sign=1.0):
    """A valley whose place moves a little from task to task; which numbers there are depends on the kind."""
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    kind = trial.suggest_categorical("kind", ["tree", "line", "none"])
    value = (np.log10(rate) + 2.0 + shift) ** 2
    if kind == "tree":
        value += abs(trial.suggest_int("depth", 1, 10) - 6) / 8
    elif kind == "line":
        value += 0.4 + (trial.suggest_float("slope", 0.0, 1.0) - 0.4) ** 2
    else:
        value += 0.8
    return sign * value


def run(objective, seed, n_trials=30, **study):
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=seed), study_name=f"s{seed}", **study
    )
    study.optimize(objective, n_trials=n_trials)
    return study


def past(n=6, **study):
    shifts = np.random.default_rng(0).normal(0, 0.1, size=n)
    return [run(lambda t, s=s: loss(t, s), i, **study) for i, s in enumerate(shifts)]


def curve(sampler, shift, n_trials, learner=None):
    study = optuna.create_study(sampler=sampler)
    if learner is not None:
        learner.warm_start(study)
    study.optimize(lambda trial: loss(trial, shift), n_trials=n_trials)
    return np.minimum.accumulate([trial.value for trial in study.trials])


@pytest.fixture(scope="module")
def learner():
    return MetaLearner.from_studies(past())


def test_the_next_study_starts_where_the_past_ones_ended(learner):
    seeds = range(3)
    ours = np.mean([curve(learner.sampler(seed=s), 0.1 * s, 12, learner) for s in seeds], axis=0)
    cold = [curve(optuna.samplers.TPESampler(seed=s), 0.1 * s, 40) for s in seeds]
    assert ours[9] < np.mean(cold, axis=0)[39]


def test_conditions_and_directions_are_read_from_the_trials(learner):
    conditions = learner.space.conditions
    assert conditions["depth"] == Condition("kind", ("tree",))
    assert conditions["slope"] == Condition("kind", ("line",))
    assert set(conditions) == {"depth", "slope"}
    maximised = [
        run(lambda t, i=i: loss(t, 0.02 * i, sign=-1.0), i, direction="maximize") for i in range(4)
    ]
    mixed = MetaLearner.from_studies([*maximised, *past(3)])
    first = mixed.prior.warm_start(1)[0]
    assert first["kind"] == "tree"
    assert 1e-3 < first["rate"] < 1e-1


def layered(trial):
    """The commonest define-by-run space: each layer has a width of its own."""
    n = trial.suggest_int("layers", 1, 4)
    widths = [trial.suggest_int(f"width{i}", 8, 256, log=True) for i in range(n)]
    trial.suggest_int("trees", 1, 40)
    return (n - 3) ** 2 + sum((np.log2(w) - 6) ** 2 for w in widths) / n


@pytest.mark.usefixtures("brief_training")
def test_parameters_may_hang_on_a_number_of_layers(tmp_path):
    made = MetaLearner.from_studies([run(layered, i) for i in range(3)])
    assert made.space.conditions == {
        "width1": Condition("layers", (2, 3, 4)),
        "width2": Condition("layers", (3, 4)),
        "width3": Condition("layers", (4,)),
    }
    for start in made.prior.warm_start(5):
        widths = {name for name in start if name.startswith("width")}
        assert widths == {f"width{i}" for i in range(start["layers"])}
    made.save(tmp_path)
    again = MetaLearner.load(tmp_path)
    assert again.space == made.space
    study = optuna.create_study(sampler=again.sampler(seed=0))
    study.optimize(layered, n_trials=4)


def conditions_of(objective, n_trials=30):
    return common_space([run(objective, 1, n_trials=n_trials)]).conditions


def test_what_a_parameter_hangs_on_is_read_with_care():
    assert "width3" not in conditions_of(layered, 4)  # chance could have parted so few

    def falling(trial):
        n = trial.suggest_int("n", 1, 6)
        return trial.suggest_float("x", 0.0, 1.0) if n < 4 else float(n)

    assert conditions_of(falling) == {"x": Condition("n", (1, 2, 3))}

    def wide(trial):
        n = trial.suggest_int("n", 1, 2**31 - 1)  # a seed, say: it parts any trials
        return trial.suggest_float("x", 0.0, 1.0) if n < 2**30 else 1.0

    assert conditions_of(wide) == {}

    def both(trial):
        size = trial.suggest_categorical("size", ["small", "large"])
        low = 3 if size == "large" else 1
        n = trial.suggest_int("n", low, low + 1)  # parts the trials just as well
        return trial.suggest_float("x", 0.0, 1.0) if size == "large" else float(n)

    assert conditions_of(both) == {"x": Condition("size", ("large",))}


def test_parameters_of_one_layer_do_not_hang_on_one_another():
    def objective(trial):
        n = trial.suggest_int("layers", 1, 3)
        for i in range(n):
            trial.suggest_categorical(f"act{i}", ["relu", "tanh"])
            trial.suggest_categorical(f"norm{i}", [True, False])
            trial.suggest_int(f"width{i}", 8, 64)
        return float(n)

    found = conditions_of(objective, 40)
    assert {found[name].parent for name in found} == {"layers"}
    assert set(found) == {f"{name}{i}" for name in ("act", "norm", "width") for i in (1, 2)}


def test_saved_and_loaded_it_proposes_the_same(learner, tmp_path):
    learner.save(tmp_path)
    again = MetaLearner.load(tmp_path)
    assert again.space == learner.space
    assert again.prior.warm_start(5) == learner.prior.warm_start(5)
    ours = curve(learner.sampler(seed=1), 0.1, 8, learner)
    assert np.allclose(ours, curve(again.sampler(seed=1), 0.1, 8, again), rtol=0.05)
    with pytest.raises(InvalidParameterError, match="no models of left-out folds"):
        MetaLearner.load(tmp_path, model="fold-0")
    (tmp_path / "models.safetensors").write_bytes(b"short")
    with pytest.raises(StoreError, match="not the file that its manifest names"):
        MetaLearner.load(tmp_path)


MISLED_SEEDS = range(5)


@pytest.fixture(scope="module")
def cold():
    """What the cold sampler finds in 30 trials, one number a seed."""
    return np.array([curve(optuna.samplers.TPESampler(seed=s), 0.0, 30)[-1] for s in MISLED_SEEDS])


def misleading(kind, rng):
    def objective(trial):
        value = loss(trial, 0.0, sign=-1.0)
        return value if kind == "reversed" else rng.normal()

    return objective


@pytest.mark.parametrize("kind", ["reversed", "noise"])
def test_a_past_that_misleads_is_no_worse_than_the_cold_sampler(kind, cold):
    objective = misleading(kind, np.random.default_rng(0))
    learner = MetaLearner.from_studies([run(objective, i) for i in range(4)])
    ours = np.array([curve(learner.sampler(seed=s), 0.0, 30, learner)[-1] for s in MISLED_SEEDS])
    noise = np.sqrt((ours.var(ddof=1) + cold.var(ddof=1)) / len(cold))
    assert ours.mean() < cold.mean() + 2 * noise


@pytest.mark.parametrize("kind", ["reversed", "noise"])
def test_one_misleading_task_among_good_ones_leaves_the_search_better_than_a_cold_one(kind, cold):
    wrong = run(misleading(kind, np.random.default_rng(0)), 99)
    mixed = MetaLearner.from_studies([*past(), wrong])
    ours = [curve(mixed.sampler(seed=s), 0.0, 30, mixed)[-1] for s in MISLED_SEEDS]
    assert max(ours) < cold.mean()


@pytest.mark.usefixtures("brief_training")
def test_a_search_among_given_configurations_stays_among_them_when_the_past_misleads():
    space = SearchSpace("table", 1, {n: FloatDistribution(0.0, 1.0) for n in "xy"})
    rows = space.sample(np.random.default_rng(0), 50)
    tasks = [
        past_task(f"{best}", rows, [-((c["x"] - best) ** 2) - c["y"] for c in rows], space)
        for best in (0.2, 0.25, 0.3, 0.22)
    ]
    made = MetaLearner.from_tasks(tasks, space, refine=False)
    study = optuna.create_study(sampler=made.sampler(seed=0))
    made.warm_start(study)
    # What was best is worst now.
    study.optimize(lambda t: -(((c := space.suggest(t))["x"] - 0.24) ** 2) - c["y"], n_trials=30)
    known = {(c["x"], c["y"]) for c in rows}
    tried = [(t.params["x"], t.params["y"]) for t in study.trials]
    assert set(tried) <= known
    assert len(set(tried)) == 30


@pytest.mark.usefixtures("brief_training")
def test_odd_studies_are_survived():
    constant = optuna.create_study()
    constant.optimize(lambda t: 0.0 * t.suggest_float("rate", 1e-4, 1, log=True), n_trials=5)
    one = optuna.create_study()
    one.optimize(lambda t: loss(t, 0.0), n_trials=1)
    empty = optuna.create_study()
    failed = optuna.create_study()
    failed.optimize(
        lambda t: (t.suggest_float("rate", 1e-4, 1, log=True), float("nan"))[1], n_trials=3
    )
    learner = MetaLearner.from_studies([constant, one, empty, failed, *past(1)])
    assert learner.prior.facts["n_tasks"] == 1
    assert learner.prior.facts["left_out"] == [s.study_name for s in (constant, one, empty, failed)]
    alone = MetaLearner.from_studies([constant, one])  # nothing but tasks that tell nothing
    assert np.isfinite(curve(alone.sampler(seed=0), 0.0, 6, alone)).all()


def test_failed_and_pruned_trials_count_as_what_they_are():
    study = optuna.create_study(direction="maximize")
    space = {"x": FloatDistribution(0, 1)}
    rows = np.linspace(0, 1, 21)
    for x in rows:
        if x > 0.5:
            study.add_trial(
                create_trial(state=TrialState.FAIL, params={"x": x}, distributions=space)
            )
        elif x > 0.4:
            study.add_trial(
                create_trial(
                    state=TrialState.PRUNED,
                    params={"x": x},
                    distributions=space,
                    intermediate_values={0: -1.0},
                )
            )
        else:
            study.add_trial(create_trial(value=x, params={"x": x}, distributions=space))
    learner = MetaLearner.from_studies([study])
    assert learner.prior.warm_start(1)[0]["x"] == pytest.approx(0.4, abs=0.051)


@pytest.mark.usefixtures("brief_training")
def test_studies_of_other_ranges_and_fewer_parameters_contribute():
    narrow = run(lambda t: (t.suggest_float("rate", 1e-3, 1e-1, log=True) - 0.01) ** 2, 0)
    learner = MetaLearner.from_studies([narrow, *past(2)])
    assert learner.space.distributions["rate"] == FloatDistribution(1e-4, 1.0, log=True)
    assert learner.prior.facts["n_tasks"] == 3
    given = SearchSpace("mine", 1, {"rate": FloatDistribution(1e-3, 1e-2, log=True)})
    inside = MetaLearner.from_studies(past(3), space=given)
    assert inside.space == given
    facts = inside.prior.facts
    assert facts["n_evaluations"] < 90
    assert facts["n_evaluations"] + facts["n_outside"] == 90
    assert 1e-3 <= inside.prior.warm_start(1)[0]["rate"] <= 1e-2


def test_one_linear_study_keeps_a_logarithmic_parameter_logarithmic():
    linear = run(lambda t: t.suggest_float("rate", 1e-5, 1.0), 0)
    zero = run(lambda t: t.suggest_float("rate", 0.0, 1.0), 0)
    assert common_space([linear, *past(1)]).distributions["rate"].log
    assert common_space([*past(1), linear]).distributions["rate"].log
    assert not common_space([linear, zero, *past(1)]).distributions["rate"].log


@pytest.mark.usefixtures("brief_training")
@pytest.mark.parametrize("penalty", [1e200, -1e200, 1.7e308])
def test_a_huge_penalty_spoils_neither_search_nor_learning(learner, penalty):
    study = optuna.create_study(sampler=learner.sampler(seed=0))
    study.optimize(lambda t: (loss(t, 0.0), penalty if t.number == 1 else 1.0)[1], n_trials=4)
    study.optimize(lambda t: (loss(t, 0.0), penalty)[1], n_trials=2)
    nothing_else = optuna.create_study(sampler=learner.sampler(seed=0))
    nothing_else.optimize(lambda t: (loss(t, 0.0), penalty)[1], n_trials=3)
    taught = MetaLearner.from_studies([study, nothing_else, *past(2)])
    assert np.isfinite(curve(taught.sampler(seed=0), 0.0, 6, taught)).all()


@pytest.mark.usefixtures("brief_training")
def test_a_category_may_be_nan():
    def objective(trial):
        value = trial.suggest_categorical("x", [float("nan"), 0.5])
        return 1.0 if value == 0.5 else 0.0

    learner = MetaLearner.from_studies([run(objective, seed) for seed in range(3)])
    study = optuna.create_study(sampler=learner.sampler(seed=0))
    study.optimize(objective, n_trials=5)
    assert np.isnan(study.best_params["x"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda made: made.sampler(space={"x": 1}), "'space' parameter of MetaLearner.sampler"),
        (lambda made: made.warm_start("study"), "'study' parameter of MetaLearner.warm_start"),
        (
            lambda made: made.warm_start(optuna.create_study(directions=["minimize"] * 2)),
            "a study with one objective",
        ),
        (lambda made: MetaLearner.from_tasks([1], made.space), "a list of PastTask"),
        (lambda made: MetaLearner.from_tasks(None, made.space), "a list of PastTask"),
        (lambda _: MetaLearner.from_studies(past(1), space={}), "'space' parameter"),
        (
            lambda made: MetaLearner.from_frame({}, made.space, task="t", value="v"),
            "'frame' parameter of from_frame",
        ),
        (
            lambda _: MetaLearner.from_frame(pd.DataFrame(), None, task="t", value="v"),
            "'space' parameter of MetaLearner.from_frame",
        ),
        (
            lambda _: MetaLearner.from_studies(past(1), algorithm="maml"),
            "'algorithm' parameter of MetaLearner",
        ),
        (
            lambda _: MetaLearner.from_studies(past(1), algorithm=MAML),
            "'algorithm' parameter of MetaLearner",
        ),
        (lambda _: MetaLearner.from_studies(past(1), seed="a"), "an int from 0 .* Got 'a'"),
        (lambda _: MetaLearner.from_studies(past(1), seed=-1), "an int from 0 .* Got -1"),
        (lambda _: MetaLearner.from_studies(past(1), seed=2**63), "an int from 0"),
        (
            lambda _: MetaLearner.from_studies(past(1), task_features=[1]),
            r"task names \('s0'\) to features. Got \[1\]",
        ),
        (lambda _: MetaLearner.from_studies(past(1), task_features=0), "'task_features' parameter"),
        (
            lambda _: MetaLearner.from_studies(past(1), task_features={"s0": None}),
            "a mapping of names to finite numbers",
        ),
        (lambda _: MetaLearner.from_storage(123), "'storage' parameter of from_storage"),
        (lambda _: MetaLearner.from_storage("past.log", names=5), "a list of study names"),
        (lambda _: MetaLearner.load(5), "'folder' parameter of MetaLearner.load must be a path"),
        (lambda made: made.save(5), "'folder' parameter of MetaLearner.save must be a path"),
    ],
)
def test_arguments_of_another_kind_are_refused(learner, call, message):
    with pytest.raises(InvalidParameterError, match=message):
        call(learner)


@pytest.mark.usefixtures("brief_training")
def test_the_greatest_seed_and_another_algorithm_are_taken():
    MetaLearner.from_studies(past(2), algorithm=Reptile(0.01), seed=2**63 - 1)


@pytest.mark.usefixtures("brief_training")
def test_whole_numbers_of_numpy_are_numbers(tmp_path):
    learner = MetaLearner.from_studies(past(2), seed=np.int64(3), warm_start=np.int32(2))
    learner.save(tmp_path / "learner")
    assert learner.prior.facts == MetaLearner.from_studies(past(2), seed=3).prior.facts
    study = optuna.create_study(sampler=learner.sampler(seed=np.int64(0)))
    assert learner.warm_start(study, np.int64(2)) == 2


def test_a_file_in_the_way_of_a_learner_is_named(learner, tmp_path):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(StoreError, match="taken cannot be created"):
        learner.save(tmp_path / "taken")


def test_what_cannot_be_learned_from_is_refused_with_a_remedy():
    double = optuna.create_study(directions=["minimize", "minimize"], study_name="two")
    with pytest.raises(InvalidParameterError, match="'two' with 2 objectives"):
        MetaLearner.from_studies([double])
    with pytest.raises(InvalidParameterError, match="at least one optuna"):
        MetaLearner.from_studies([])
    with pytest.raises(InvalidParameterError, match="finished trial"):
        MetaLearner.from_studies([optuna.create_study()])
    text = run(lambda t: float(t.suggest_categorical("rate", ["1", "2"])), 0)
    with pytest.raises(InvalidParameterError, match="of one type"):
        MetaLearner.from_studies([text, *past(1)])
    with pytest.raises(InvalidParameterError, match="warm_start"):
        MetaLearner.from_studies(past(1), warm_start=0)


@pytest.mark.usefixtures("brief_training")
@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_studies_are_read_from_a_storage(tmp_path, scheme):
    if scheme == "sqlite":
        url = storage = f"sqlite:///{tmp_path}/past.db"
    else:
        url = str(tmp_path / "past.log")
        backend = optuna.storages.journal.JournalFileBackend(url)
        storage = optuna.storages.JournalStorage(backend)
    past(2, storage=storage)
    optuna.create_study(directions=["minimize", "maximize"], study_name="two", storage=storage)
    assert MetaLearner.from_storage(url).prior.facts["n_tasks"] == 2
    assert MetaLearner.from_storage(storage, names=["s1"]).prior.facts["n_tasks"] == 1
    with pytest.raises(InvalidParameterError, match="storage's studies"):
        MetaLearner.from_storage(url, names=["s7"])


def test_a_storage_that_is_not_there_is_not_created(tmp_path):
    for url in (f"sqlite:///{tmp_path}/no.db", str(tmp_path / "no.log")):
        with pytest.raises(StoreError, match="there is no file"):
            MetaLearner.from_storage(url)
    for url in (f"sqlite+pysqlite:///{tmp_path}/no.db", f"sqlite:///{tmp_path}/no.db?timeout=5"):
        with pytest.raises(StoreError, match=f"there is no file {tmp_path}/no.db[.]"):
            MetaLearner.from_storage(url)
    assert not list(tmp_path.iterdir())
    with pytest.raises(StoreError, match="Cannot open the storage"):
        MetaLearner.from_storage("nonsense://x")


def test_a_storage_is_named_without_its_password():
    for url in (
        "nonsense://bob:secret@host/db",
        "postgresql://bob:secret@host:port/db",
        "://bob:secret@host",
        "nonsense://host/db?user=bob&password=secret",
    ):
        with pytest.raises(StoreError, match="Cannot open the storage") as error:
            MetaLearner.from_storage(url)
        assert "secret" not in str(error.value)


@pytest.mark.usefixtures("brief_training")
def test_options_of_a_database_are_passed_on(tmp_path):
    past(2, storage=f"sqlite:///{tmp_path}/past.db")
    learner = MetaLearner.from_storage(f"sqlite:///{tmp_path}/past.db?timeout=5")
    assert learner.prior.facts["n_tasks"] == 2


def test_a_storage_without_a_study_to_learn_from_says_what_it_has(tmp_path):
    url = f"sqlite:///{tmp_path}/past.db"
    optuna.storages.RDBStorage(url)
    with pytest.raises(InvalidParameterError, match=r"a study with one objective.* with no study"):
        MetaLearner.from_storage(url)
    optuna.create_study(directions=["minimize", "maximize"], study_name="two", storage=url)
    with pytest.raises(InvalidParameterError, match=r"only those with several \(two\).*from_frame"):
        MetaLearner.from_storage(url)
    with pytest.raises(InvalidParameterError, match="'storage' parameter of from_storage"):
        MetaLearner.from_storage(" ")


def test_task_features_choose_the_starting_points():
    def objective(best):
        return lambda trial: (trial.suggest_float("x", 0, 1) - best) ** 2

    studies = [run(objective(0.1 if i < 4 else 0.9), i) for i in range(8)]
    features = {f"s{i}": {"rows": 10.0 if i < 4 else 1000.0} for i in range(8)}
    learner = MetaLearner.from_studies(studies, task_features=features, warm_start=1)
    for rows, best in ((10.0, 0.1), (1000.0, 0.9)):
        study = optuna.create_study()
        assert learner.warm_start(study, task_features={"rows": rows}) == 1
        queued = study.trials[0].user_attrs["queued"]["x"]
        assert queued == pytest.approx(best, abs=0.25)  # the others count too, a fifth as much


def test_a_study_describes_its_task_itself_unless_it_is_told(caplog):
    studies = [run(lambda trial: loss(trial, 0.0), i, n_trials=6) for i in range(3)]
    studies[0].set_user_attr("task_features", {"rows": 10, "sparse": True})
    studies[1].set_user_attr("task_features", {"rows": 20})
    studies[2].set_user_attr("task_features", ["rows", 30])
    space = common_space(studies)
    told = {"s1": {"rows": 200.0}}
    tasks = past_tasks_of_studies(studies, space, lambda trial, _sign: trial.value, told)
    assert [task.features for task in tasks] == [{"rows": 10.0, "sparse": 1.0}, told["s1"], {}]
    assert (
        "of study 's2' must be a mapping of names to finite numbers, or NaN. Got ['rows', 30]"
        in caplog.text
    )


def test_a_table_is_learned_from():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.uniform(size=80), "n": rng.integers(1, 5, size=80)})
    frame["set"] = np.repeat(["a", "b"], 40)
    frame["error"] = (frame["x"] - 0.3) ** 2 + 0.1 * frame["n"]
    frame.loc[3, "n"] = None
    frame.loc[5, "error"] = None
    space = SearchSpace("t", 1, {"x": FloatDistribution(0, 1), "n": IntDistribution(1, 4)})
    learner = MetaLearner.from_frame(frame, space, task="set", value="error", maximize=False)
    best = learner.prior.warm_start(1)[0]
    assert best["n"] == 1
    assert best["x"] == pytest.approx(0.3, abs=0.2)
    with pytest.raises(InvalidParameterError, match="column of the frame"):
        MetaLearner.from_frame(frame, space, task="group", value="error")
    other = SearchSpace("o", 1, {"kind": CategoricalDistribution(["a", "b"])})
    with pytest.raises(InvalidParameterError, match="column for a parameter"):
        MetaLearner.from_frame(frame, other, task="set", value="error")


def test_hpo_b_files_and_blackbox_arrays_are_learned_from(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(50, 2))
    tables = {
        str(i): {
            "X": x.tolist(),
            "y": (-(((x - 0.4 - 0.05 * i) ** 2).sum(1, keepdims=True))).tolist(),
        }
        for i in range(3)
    }
    path = tmp_path / "meta.json"
    path.write_text(json.dumps({"5971": tables}))
    space, tasks = read_hpob(path, "5971")
    first = MetaLearner.from_tasks(tasks, space).prior.warm_start(1)[0]
    assert first["x0"] == pytest.approx(0.45, abs=0.2)
    with pytest.raises(InvalidParameterError, match="among 5971"):
        read_hpob(path, "1")
    path.write_text("{]")
    with pytest.raises(StoreError, match="HPO-B"):
        read_hpob(path, "5971")
    names = ["a", "b"]
    made = past_tasks_of_arrays(x, np.stack([x[:, 0], x[:, 1]]), space, names, maximize=False)
    assert [task.name for task in made] == names
    assert np.array_equal(made[1].scores, -x[:, 1])
    with pytest.raises(InvalidParameterError, match="of shape"):
        past_tasks_of_arrays(x, x, space, names, maximize=True)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.usefixtures("brief_training")
def test_a_grpc_proxy_is_a_storage_like_any_other(tmp_path):
    pytest.importorskip("grpc")
    from optuna.storages import GrpcStorageProxy, RDBStorage, run_grpc_proxy_server

    behind = RDBStorage(f"sqlite:///{tmp_path / 'past.db'}")
    for seed in (0, 1):
        run(lambda trial: loss(trial, 0.1), seed, n_trials=12, storage=behind)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    serve = {"host": "localhost", "port": port}
    threading.Thread(
        target=run_grpc_proxy_server, args=(behind,), kwargs=serve, daemon=True
    ).start()
    proxy = GrpcStorageProxy(**serve)
    proxy.wait_server_ready(timeout=30)
    learner = MetaLearner.from_storage(proxy)
    assert learner.prior.facts["n_evaluations"] == 24
    study = optuna.create_study(storage=proxy, sampler=learner.sampler(seed=0))
    learner.warm_start(study, 2)
    study.optimize(lambda trial: loss(trial, 0.1), n_trials=4)
    assert len(study.trials) == 4
    proxy.remove_session()


@pytest.mark.parametrize("wrong", [{"rows": "many"}, [1.0], "rows"])
def test_task_features_that_are_no_numbers_are_refused(learner, wrong):
    with pytest.raises(InvalidParameterError, match="task_features"):
        learner.sampler(task_features=wrong)
    with pytest.raises(InvalidParameterError, match="task_features"):
        learner.warm_start(optuna.create_study(), task_features=wrong)


def test_task_features_of_an_unknown_study_are_refused():
    with pytest.raises(InvalidParameterError, match="s77"):
        MetaLearner.from_studies(past(2), task_features={"s77": {"rows": 3.0}})


@pytest.mark.usefixtures("brief_training")
def test_the_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "past-studies.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "past-studies.md", "exec"), {})
    assert (tmp_path / "learner").is_dir()
    (start,) = ast.literal_eval(capsys.readouterr().out)
    assert 0.003 < start["rate"] < 0.1
    assert start["layers"] == 3
