import dataclasses

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from automl_meta.spaces import Condition, Encoder, Region, SearchSpace

KIND = CategoricalDistribution(["a", "b", "c"])
SPACE = SearchSpace(
    "learned",
    1,
    {"kind": KIND, "rate": FloatDistribution(1e-4, 1.0, log=True), "depth": IntDistribution(1, 9)},
    {"depth": Condition("kind", ("b", "c"))},
)
ENCODER = Encoder(SPACE)


def rows(*configurations):
    return ENCODER.to_units([SPACE.clip(c) for c in configurations])


def test_the_same_space_under_another_name_is_no_region():
    assert Region.of(ENCODER, None) is None
    assert Region.of(ENCODER, dataclasses.replace(SPACE, name="mine", version=7)) is None
    assert Region.of(ENCODER, SPACE.narrow(depth=IntDistribution(1, 8))) is not None


def test_numbers_are_moved_and_other_choices_left_out():
    narrow = SPACE.narrow(
        kind=CategoricalDistribution(["b", "a"]), rate=FloatDistribution(0.01, 5.0)
    )
    given = rows({"kind": "a", "rate": 1e-3}, {"kind": "b", "rate": 0.1, "depth": 2}, {"kind": "c"})
    moved = ENCODER.normalise(Region(ENCODER, narrow).moved(given))
    found = [ENCODER.from_units(row) for row in moved]
    assert found[0] == {"kind": "a", "rate": pytest.approx(0.01)}
    assert found[1] == {"kind": "b", "rate": pytest.approx(0.1), "depth": 2}
    assert len(found) == 2
    dropped = Region(ENCODER, narrow).moved(given, drop=True)
    assert [ENCODER.from_units(row)["kind"] for row in dropped] == ["b"]


def test_samples_fill_the_region_and_nothing_else():
    narrow = SPACE.narrow(
        kind=CategoricalDistribution(["c", "new"]), depth=IntDistribution(4, 30, step=2)
    )
    drawn = Region(ENCODER, narrow).sample(np.random.default_rng(0), 300)
    found = [ENCODER.from_units(row) for row in ENCODER.normalise(drawn)]
    assert {c["kind"] for c in found} == {"c"}
    assert {c["depth"] for c in found} == set(range(4, 10))
    assert min(c["rate"] for c in found) < 3e-4


def test_what_the_searches_do_not_share_is_not_bounded():
    other = SPACE.narrow(rate=FloatDistribution(2.0, 3.0), kind=CategoricalDistribution(["z"]))
    given = rows({"kind": "a", "rate": 1e-3})
    np.testing.assert_array_equal(Region(ENCODER, other).moved(given), given)
