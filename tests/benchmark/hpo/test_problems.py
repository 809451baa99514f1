import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from automl_meta._resources import data_folder
from automl_meta.benchmark.hpo import publish
from automl_meta.benchmark.hpo.definition import Definition, definition_names, load_definition
from automl_meta.benchmark.hpo.groups import folds_of_groups, groups_of_responses
from automl_meta.benchmark.hpo.problem import Problem, TableObjective
from automl_meta.benchmark.hpo.publish import fix_scales, scales_of
from automl_meta.benchmark.hpo.sources import load_problem
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.spaces import Condition, Encoder, SearchSpace

needs_data = pytest.mark.skipif(
    data_folder() is None or not (data_folder() / "hpo").is_dir(), reason="needs the data folder"
)


def test_every_shipped_definition_is_read():
    assert {"lcbench", "oboe", "rbv2_xgboost", "rbv2_xgboost-pool"} <= set(definition_names())
    for name in definition_names():
        definition = load_definition(name)
        assert definition.name == name
        assert definition.folds == 5
        assert definition.trials >= 50


def test_a_definition_writes_its_space_down(tmp_path):
    path = tmp_path / "toy.toml"
    path.write_text(
        'title = "t"\nsource = "yahpo"\nscore = "s"\ntable = false\ntrials = 3\n'
        '[[parameter]]\nname = "kind"\nchoices = ["a", "b"]\n'
        '[[parameter]]\nname = "rate"\nlow = 1e-3\nhigh = 1\nlog = true\n'
        'parent = "kind"\nvalues = ["b"]\n'
        '[[parameter]]\nname = "depth"\nlow = 1\nhigh = 9\ninteger = true\n'
    )
    space = load_definition(path).space
    assert space.distributions == {
        "kind": CategoricalDistribution(["a", "b"]),
        "rate": FloatDistribution(1e-3, 1.0, log=True),
        "depth": IntDistribution(1, 9),
    }
    assert space.conditions == {"rate": Condition("kind", ("b",))}


TOY = 'title = "t"\nsource = "x"\nscore = "s"\ntable = true\n'
X = '\n[[parameter]]\nname = "x"\nlow = 0\nhigh = 1\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 1", "'title' parameter of toy.toml must be a str"),
        ('title = "t"\nspeed = 3', "'speed' parameter of toy.toml must be one of"),
        ("title =", "no valid TOML"),
        (f"{TOY}trials = true", "must be a int"),
        (f"{TOY}trials = 0", "'trials' parameter of toy.toml must be at least 1. Got 0"),
        (f"{TOY}trials = 3\nworst = 1.5", "'worst' .* from 0 to 0.99. Got 1.5"),
        (f"{TOY}trials = 3{X}parent = 'y'", "'parent, values' parameter of parameter 1"),
        (f"{TOY}trials = 3{X}values = [1]", "'parent, values' .* given together"),
        (f"{TOY}trials = 3{X}parent = 'y'\nvalues = 1", "a name and a list"),
        (f"{TOY}trials = 3{X}parent = ['y']\nvalues = [1]", "a name and a list"),
        (f"{TOY}trials = 3\noptions = 3", "'options' parameter of toy.toml must be a table"),
    ],
)
def test_a_bad_definition_is_refused(text, message, tmp_path):
    path = tmp_path / "toy.toml"
    path.write_text(text)
    with pytest.raises(InvalidParameterError, match=message):
        load_definition(path)


def test_an_unknown_problem_names_the_known_ones():
    with pytest.raises(InvalidParameterError, match="lcbench"):
        load_definition("lcbensh")


def test_an_unknown_reader_is_refused(tmp_path):
    path = tmp_path / "toy.toml"
    path.write_text('title = "t"\nsource = "x"\nscore = "s"\ntable = true\ntrials = 3\n')
    with pytest.raises(InvalidParameterError, match="'source' parameter of toy"):
        load_problem(str(path))


def test_missing_data_are_named(tmp_path, monkeypatch):
    with pytest.raises(StoreError, match="Cannot read"):
        load_problem("oboe", tmp_path)
    load_problem.cache_clear()
    monkeypatch.setenv("AUTOML_META_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(StoreError, match=r"AUTOML_META_DATA is '.*nowhere', which is no folder"):
        load_problem("oboe")


def test_a_missing_option_is_no_fault_of_the_data(tmp_path):
    path = tmp_path / "toy.toml"
    path.write_text(TOY.replace('"x"', '"oboe"') + "trials = 3\n[options]\nfile = 'a'\n")
    message = "'folder' parameter of problem toy must be given below .options."
    with pytest.raises(InvalidParameterError, match=message):
        load_problem(str(path), tmp_path)


SPACE = SearchSpace(
    "toy",
    1,
    {"kind": CategoricalDistribution(["a", "b"]), "x": FloatDistribution(0.0, 1.0)},
    {"x": Condition("kind", ("b",))},
)


def test_a_table_gives_the_nearest_row_once():
    rows = Encoder(SPACE).to_units(
        [{"kind": "a"}, {"kind": "b", "x": 0.2}, {"kind": "b", "x": 0.9}]
    )
    objective = TableObjective(SPACE, rows, np.array([1.0, 2.0, 3.0]))
    assert objective.evaluate({"kind": "b", "x": 0.3}) == ({"kind": "b", "x": 0.2}, 2.0)
    assert objective.evaluate({"kind": "b", "x": 0.3})[1] == 3.0
    assert objective.evaluate({"kind": "b", "x": 0.3}) == ({"kind": "a"}, 1.0)


def test_duplicates_share_a_fold():
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=(12, 60))
    scores[7] = scores[2] + 1e-4
    groups = groups_of_responses(scores)
    assert len(set(groups)) == 11
    for seed in range(5):
        folds = folds_of_groups(groups, 4, seed)
        assert folds[7] == folds[2]
        assert np.bincount(folds).min() >= 2


def test_scales_are_the_tables_quantiles():
    definition = Definition("toy", "t", "x", "s", table=True, trials=3, worst=0.5)
    rows = Encoder(SPACE).sample_units(np.random.default_rng(0), 3)
    problem = Problem(definition, SPACE, ("t",), (rows,), (np.array([0.0, 4.0, 9.0]),), np.zeros(1))
    assert scales_of(problem) == {"t": (4.0, 9.0)}


def test_a_fixed_best_score_is_never_lowered(tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "tasks_folder", lambda: tmp_path)
    space = SearchSpace("toy", 1, {"x": FloatDistribution(0.0, 1.0)})
    rows = Encoder(space).sample_units(np.random.default_rng(0), 4)
    scores = (np.array([0.0, 0.2, 0.4, 0.5]), np.array([0.1, 0.2, 0.3, 0.9]))
    definition = Definition("mine", "a toy", "python", "score", table=False, trials=5)
    problem = Problem(definition, space, ("a", "b"), (rows,) * 2, scores, np.arange(2))
    assert scales_of(problem) == {"a": (0.0, 0.5), "b": (0.1, 0.9)}
    fix_scales(problem, pd.DataFrame({"task": ["a", "a", "b"], "score": [0.6, 0.7, 0.2]}))
    assert scales_of(problem) == {"a": (0.0, 0.7), "b": (0.1, 0.9)}
    fix_scales(problem, pd.DataFrame({"task": ["a", "b"], "score": [0.3, 1.0]}))
    assert scales_of(problem) == {"a": (0.0, 0.7), "b": (0.1, 1.0)}


def test_own_evaluations_are_a_problem():
    problem = load_problem("collected-regression")
    assert len(problem.names) >= 25
    assert all(len(r) == len(s) for r, s in zip(problem.rows, problem.scores, strict=True))
    assert problem.features[0]
    past = problem.past(0)
    best = int(np.nanargmax(past.scores))
    configuration = Encoder(problem.space).from_units(past.units[best])
    assert problem.objective(0).evaluate(configuration)[1] == past.scores[best]


@needs_data
@pytest.mark.data
def test_recorded_settings_are_valid_and_of_known_size():
    oboe = load_problem("oboe")
    assert oboe.rows[0].shape == (219, len(oboe.space.distributions))
    assert len(np.unique(np.nan_to_num(oboe.rows[0], nan=-1.0), axis=0)) == 219
    forest = load_problem("openml100-forest")
    assert [len(r) for r in forest.rows] == [500] * 81
    assert len(set(forest.groups)) >= 75


@needs_data
@pytest.mark.data
def test_a_surrogate_answers_for_its_recorded_settings():
    pytest.importorskip("onnxruntime")
    problem = load_problem("lcbench")
    encoder = Encoder(problem.space)
    rows = problem.rows[3][:5]
    scores = problem.function(3, [encoder.from_units(row) for row in rows])
    np.testing.assert_allclose(scores, problem.scores[3][:5], atol=1e-6)
    assert 0.0 <= scores.min() <= scores.max() <= 1.0
