import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from automl_meta.search.values import UNUSABLE, converted

UNIT = FloatDistribution(0, 1)
WHOLE = IntDistribution(0, 10)
CHOICE = CategoricalDistribution(["a", None, True, 1, 2.5])


@pytest.mark.parametrize(
    ("value", "planned", "asked", "expected"),
    [
        (0.3, UNIT, UNIT, 0.3),
        (0.3, UNIT, FloatDistribution(0, 1, step=0.25), 0.25),
        (0.9, UNIT, FloatDistribution(0, 0.5), 0.5),
        (0.001, UNIT, FloatDistribution(0.01, 1, log=True), 0.01),
        (7, WHOLE, FloatDistribution(0, 10), 7.0),
        (2.6, FloatDistribution(0, 10), WHOLE, 3),
        (7, WHOLE, IntDistribution(0, 10, step=5), 5),
        (1, WHOLE, IntDistribution(2, 64, log=True), 2),
        (10, WHOLE, IntDistribution(10, 20), 10),
        (2, IntDistribution(5, 9), WHOLE, 2),
        (0.5, UNIT, FloatDistribution(0.7, 0.7), 0.7),
        (None, CHOICE, CategoricalDistribution(["b", None]), None),
        (True, CHOICE, CategoricalDistribution([1, True]), True),
        (2.5, CHOICE, FloatDistribution(0, 5), 2.5),
    ],
)
def test_converted_values(value, planned, asked, expected):
    result = converted(value, planned, asked)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "planned", "asked"),
    [
        (0.3, UNIT, FloatDistribution(2, 3)),
        (5, WHOLE, IntDistribution(-9, -1)),
        (7, WHOLE, IntDistribution(10, 20)),
        ("a", CHOICE, CategoricalDistribution(["b", "c"])),
        (1, CHOICE, CategoricalDistribution([True, False])),
        ("a", CHOICE, UNIT),
        (True, CHOICE, UNIT),
        (2.5, CHOICE, FloatDistribution(3, 4)),
        (float("nan"), UNIT, UNIT),
    ],
)
def test_unusable_values(value, planned, asked):
    assert converted(value, planned, asked) is UNUSABLE


@given(st.floats(0, 1), st.integers(-4, 4), st.integers(0, 6), st.sampled_from([None, 0.5]))
def test_a_converted_number_is_always_within_the_asked_distribution(value, low, width, step):
    asked = FloatDistribution(low / 2, (low + width) / 2, step=step)
    result = converted(value, UNIT, asked)
    if result is UNUSABLE:
        assert asked.high <= 0 or asked.low >= 1
    else:
        assert asked._contains(asked.to_internal_repr(result))
