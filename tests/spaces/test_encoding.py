"""Round trips between configurations and vectors, for spaces that hypothesis makes up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import AUTO
from automl_meta.spaces import Condition, Encoder, SearchSpace

distributions = st.one_of(
    st.tuples(st.integers(-5, 5), st.integers(0, 30), st.integers(1, 3)).map(
        lambda t: IntDistribution(t[0], t[0] + t[1] * t[2], step=t[2])
    ),
    st.tuples(st.integers(1, 5), st.integers(0, 500)).map(
        lambda t: IntDistribution(t[0], t[0] + t[1], log=True)
    ),
    st.tuples(st.floats(1e-6, 1.0), st.floats(1.0, 1e6)).map(
        lambda t: FloatDistribution(t[0], t[0] * t[1], log=True)
    ),
    st.tuples(st.floats(-100, 100), st.floats(0.0, 1e3)).map(
        lambda t: FloatDistribution(t[0], t[0] + t[1])
    ),
    st.integers(1, 9).map(lambda n: FloatDistribution(0.0, n * 0.25, step=0.25)),
    st.lists(st.sampled_from(["a", "b", 1, 1.5, True, None]), min_size=1, unique_by=repr).map(
        CategoricalDistribution
    ),
)


@st.composite
def spaces(draw):
    children = draw(st.lists(distributions, min_size=1, max_size=5))
    named = {"root": CategoricalDistribution(["u", "v", "w"])}
    conditions = {}
    for index, child in enumerate(children):
        named[f"p{index}"] = child
        values = draw(st.lists(st.sampled_from(["u", "v", "w"]), unique=True))
        if values:
            conditions[f"p{index}"] = Condition("root", tuple(values))
    return SearchSpace("made-up", 1, named, conditions)


def same(a, b):
    return set(a) == set(b) and all(
        a[k] == b[k] if isinstance(a[k], str | bool | int | None) else np.isclose(a[k], b[k])
        for k in a
    )


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_round_trips(space, seed):
    encoder = Encoder(space)
    configurations = space.sample(np.random.default_rng(seed), 8)
    encoded = encoder.encode(configurations)
    assert encoded.shape == (8, encoder.n_columns)
    assert encoded.min() >= 0.0
    assert encoded.max() <= 1.0
    for configuration, vector in zip(configurations, encoded, strict=True):
        assert same(encoder.decode(vector), configuration)
    units = encoder.to_units(configurations)
    for configuration, row in zip(configurations, units, strict=True):
        assert same(encoder.from_units(row), configuration)
    np.testing.assert_allclose(encoder.expand(units), encoded)


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_any_point_of_the_cube_becomes_a_valid_configuration(space, seed):
    encoder = Encoder(space)
    noise = np.random.default_rng(seed).normal(0.5, 1.0, size=(8, encoder.n_parameters))
    for row in encoder.normalise(noise):
        configuration = encoder.from_units(row)
        assert space.validate(configuration) == configuration


def test_log_integers_are_drawn_by_their_slices_and_the_ends_count_whole():
    encoder = Encoder(SearchSpace("i", 1, {"n": IntDistribution(1, 3)}))
    rows = encoder.sample_units(np.random.default_rng(0), 3000)
    counts = np.unique([encoder.from_units(r)["n"] for r in rows], return_counts=True)[1]
    np.testing.assert_allclose(counts / 3000, 1 / 3, atol=0.04)


def test_a_parameter_may_hang_on_a_whole_number():
    space = SearchSpace(
        "layers",
        1,
        {"n": IntDistribution(2, 8, step=2), "x": FloatDistribution(0.0, 1.0)},
        {"x": Condition("n", (6, 8))},
    )
    encoder = Encoder(space)
    rows = encoder.to_units([{"n": 2}, {"n": 4}, {"n": 6, "x": 0.3}, {"n": 8, "x": 0.9}])
    assert np.isnan(encoder.normalise(rows)[:, 1]).tolist() == [True, True, False, False]
    assert encoder.expand(rows)[:, -1].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert [encoder.from_units(row) for row in rows][1:3] == [{"n": 4}, {"n": 6, "x": 0.3}]
    narrow = space.narrow(n=IntDistribution(2, 6, step=2))
    assert narrow.conditions == {"x": Condition("n", (6,))}
    assert SearchSpace.from_json(space.to_json()) == space
    for six in (6.0, np.int64(6)):  # the whole number, however it is written
        assert space.active({"n": six, "x": 0.3}) == ("n", "x")
        assert space.validate({"n": six, "x": 0.3}) == {"n": 6, "x": 0.3}
    for values in ((6.0,), (np.int64(6),), (5,)):
        with pytest.raises(InvalidParameterError, match="values of 'n'"):
            SearchSpace("bad", 1, space.distributions, {"x": Condition("n", values)})
    for parent in (IntDistribution(2, 8, log=True), FloatDistribution(2.0, 8.0)):
        with pytest.raises(InvalidParameterError, match="whole number on a linear scale"):
            SearchSpace("bad", 1, {**space.distributions, "n": parent}, space.conditions)


def test_one_activity_flag_for_each_distinct_condition():
    encoder = Encoder(AUTO.space("classification"))
    flags = [name for name in encoder.feature_names if " in " in name]
    assert len(flags) == len(set(flags))
    knn = encoder.encode([{"family": "knn", **_knn()}])[0]
    on = {n for n, v in zip(encoder.feature_names, knn, strict=True) if " in " in n and v}
    assert on == {"family in knn"}


def _knn():
    return {
        "knn.n_neighbors": 5,
        "knn.weights": "uniform",
        "knn.metric": "euclidean",
        "knn.scaling": "standard",
    }


def test_a_vector_of_another_space_is_refused():
    encoder = Encoder(SearchSpace("x", 1, {"a": FloatDistribution(0, 1)}))
    with pytest.raises(InvalidParameterError, match="shape"):
        encoder.decode([0.1, 0.2])
