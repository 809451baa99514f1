"""Every family fits and predicts on awkward tables."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from automl_meta.exceptions import InvalidParameterError, MissingExtraError
from automl_meta.pipelines import (
    AUTO,
    SKLEARN_FAMILIES,
    Budget,
    DataShape,
    Family,
    families,
    get_family,
    join,
    split,
)

N = 120
COLUMNS = {"a": "numeric", "b": "numeric", "c": "categorical", "d": "categorical"}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=N),
            "b": rng.lognormal(size=N),
            "c": rng.choice(["u", "v", "w"], N).astype(object),
            "d": np.array([f"id{i}" for i in range(N)], dtype=object),
        }
    )
    frame["c"] = frame["c"].astype(object)
    frame.loc[3:9, "a"] = np.nan
    frame.loc[5:12, "c"] = np.nan
    return frame


def target(table: pd.DataFrame, kind: str):
    value = table["b"].to_numpy() + (table["c"] == "u").to_numpy()
    if kind == "regression":
        return value
    cuts = np.quantile(value, [0.5] if kind == "binary" else [0.33, 0.66])
    return np.digitize(value, cuts)


@pytest.mark.parametrize("family", [f for f in families() if f.is_installed], ids=lambda f: f.name)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_fits_and_predicts_unseen_categories_and_missing_values(family, kind, table):
    y = target(table, kind)
    problem = "regression" if kind == "regression" else "classification"
    space = family.space(problem)
    configurations = [*family.starting_points(problem), *space.sample(np.random.default_rng(1), 2)]
    new = table[100:].copy()
    new["c"] = "never seen"
    new.iloc[0] = [np.nan, np.nan, np.nan, np.nan]
    for configuration in configurations:
        shape = DataShape(COLUMNS, kind, 100, 10)
        pipeline = family.build(space.validate(configuration), shape, Budget(fidelity=0.2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "Found unknown categories")
            pipeline.fit(table[:100], y[:100])
            predicted = pipeline.predict(new)
        predicted = np.ravel(predicted)  # CatBoost returns a column for several classes
        assert predicted.shape == (20,)
        if kind == "regression":
            assert np.isfinite(predicted).all()
        else:
            assert set(predicted) <= set(y)


@pytest.mark.parametrize("family", [f for f in families() if f.is_installed], ids=lambda f: f.name)
def test_a_class_with_one_row_and_a_class_with_none(family, table):
    y = 2 * target(table, "multiclass")[:100]  # no row of the classes 1 and 3
    y[0] = 5  # one row of another
    for configuration in family.starting_points("classification"):
        pipeline = family.build(
            configuration, DataShape(COLUMNS, "multiclass", 100, 1), Budget(fidelity=0.2)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline.fit(table[:100], y)
            assert list(pipeline.classes_) == [0, 2, 4, 5]
            probabilities = pipeline.predict_proba(table[100:])
            predicted = np.ravel(pipeline.predict(table[100:]))
        assert probabilities.shape == (20, 4)
        if family.name != "svm":  # calibrated probabilities may disagree with its own vote
            assert list(predicted) == [pipeline.classes_[i] for i in probabilities.argmax(axis=1)]
        assert np.isfinite(probabilities).all()


@pytest.mark.parametrize("columns", [["a", "b"], ["c", "d"]])
def test_purely_numeric_and_purely_categorical_tables(columns, table):
    kinds = {name: COLUMNS[name] for name in columns}
    y = target(table, "binary")
    for family in SKLEARN_FAMILIES:
        pipeline = family.build(
            family.default("classification"),
            DataShape(kinds, "binary", N, 50),
            Budget(fidelity=0.2),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            assert pipeline.fit(table[columns], y).predict_proba(table[columns]).shape == (N, 2)


def test_auto_holds_the_seven_families_whatever_is_installed():
    space = AUTO.space("classification")
    names = [f.name for f in SKLEARN_FAMILIES]
    assert space.distributions["family"].choices == tuple(names)
    assert {n.split(".")[0] for n in space.distributions} == {"family", *names}
    for problem in ("classification", "regression"):
        for point in AUTO.starting_points(problem):
            AUTO.space(problem).validate(point)


def test_join_and_split_are_inverse():
    for family in SKLEARN_FAMILIES:
        default = dict(family.default("regression"))
        assert split(join(family.name, default)) == (family.name, default)


def test_fidelity_scales_trees():
    forest = get_family("random_forest")
    pipeline = forest.build(
        forest.default("regression"), DataShape(COLUMNS, "regression", 10, 10), Budget(fidelity=0.1)
    )
    assert pipeline.named_steps["model"].n_estimators == 10
    with pytest.raises(InvalidParameterError, match="fidelity"):
        Budget(fidelity=0.0)


def test_auto_scales_what_its_member_scales():
    chosen = {
        point["family"]: AUTO.fidelity_of(point) for point in AUTO.starting_points("regression")
    }
    assert chosen == {family.name: family.fidelity for family in SKLEARN_FAMILIES}


def test_more_neighbours_than_rows_is_all_rows():
    knn = get_family("knn")
    configuration = {**knn.default("regression"), "n_neighbors": 100}
    pipeline = knn.build(configuration, DataShape({"a": "numeric"}, "regression", 7, 7), Budget())
    frame = pd.DataFrame({"a": np.arange(7.0)})
    np.testing.assert_allclose(pipeline.fit(frame, np.arange(7.0)).predict(frame), 3.0)


def test_unknown_family_and_missing_extra_are_clear():
    with pytest.raises(InvalidParameterError, match=r"one of auto, .*catboost.*'forest'"):
        get_family("forest")
    absent = Family("x", "x", AUTO.space_of, AUTO.build, AUTO.starting_points_of, "rows", "no_such")
    with pytest.raises(MissingExtraError, match=r"pip install 'automl-meta\[boosting\]'"):
        absent.check_installed()
