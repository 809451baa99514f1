"""Search spaces: conditions, validation, clipping, narrowing, storage."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.pipelines import families
from automl_meta.spaces import Condition, SearchSpace


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(
        "toy",
        1,
        {
            "kind": CategoricalDistribution(["a", "b"]),
            "a.flag": CategoricalDistribution([True, False, None]),
            "a.rate": FloatDistribution(1e-3, 1.0, log=True),
            "b.depth": IntDistribution(2, 8, step=2),
        },
        {
            "a.flag": Condition("kind", ("a",)),
            "a.rate": Condition("a.flag", (True,)),
            "b.depth": Condition("kind", ("b",)),
        },
    )


def test_activity_follows_the_chain_of_parents(space):
    assert space.active({"kind": "b", "a.flag": True}) == ("kind", "b.depth")
    assert space.active({"kind": "a", "a.flag": True}) == ("kind", "a.flag", "a.rate")
    assert space.active({"kind": "a", "a.flag": 1}) == ("kind", "a.flag")  # 1 is not True


def test_validate_drops_inactive_and_names_what_is_wrong(space):
    assert space.validate({"kind": "b", "b.depth": 4, "a.rate": 0.5}) == {"kind": "b", "b.depth": 4}
    for wrong, name in [
        ({"kind": "b"}, "b.depth"),
        ({"kind": "b", "b.depth": 3}, "b.depth"),
        ({"kind": "b", "b.depth": np.nan}, "b.depth"),
        ({"kind": "c"}, "kind"),
        ({"kind": "b", "b.depth": 4, "typo": 1}, "typo"),
    ]:
        with pytest.raises(InvalidParameterError, match=name):
            space.validate(wrong)


@pytest.mark.parametrize("family", families(), ids=lambda f: f.name)
@pytest.mark.parametrize("problem", ["classification", "regression"])
def test_every_family_space_clips_anything_to_something_valid(family, problem):
    space = family.space(problem)
    for configuration in space.sample(np.random.default_rng(0), 20):
        assert space.validate(configuration) == configuration
        assert space.clip(configuration) == configuration
    extreme = {
        name: d.choices[-1] if isinstance(d, CategoricalDistribution) else 1e12
        for name, d in space.distributions.items()
    }
    space.validate(space.clip(extreme))
    space.validate(space.clip({}))


def test_suggest_asks_for_active_parameters_only(space):
    trial = optuna.trial.FixedTrial({"kind": "a", "a.flag": False})
    assert space.suggest(trial) == {"kind": "a", "a.flag": False}


def test_suggested_and_sampled_configurations_have_the_same_form(space):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        assert space.validate(space.suggest(trial)) == trial.params


def test_narrow_removes_what_can_no_longer_be_active(space):
    narrow = space.narrow(kind=CategoricalDistribution(["b"]))
    assert list(narrow.distributions) == ["kind", "b.depth"]
    with pytest.raises(InvalidParameterError, match="no_such"):
        space.narrow(no_such=FloatDistribution(0, 1))


def test_json_round_trip_and_hash(space):
    assert SearchSpace.from_json(space.to_json()) == space
    other = space.narrow(**{"a.rate": FloatDistribution(1e-3, 2.0, log=True)})
    assert other.schema_hash != space.schema_hash
    with pytest.raises(StoreError, match="Not a search space"):
        SearchSpace.from_json({"name": "x"})


@pytest.mark.parametrize(
    "conditions",
    [
        {"x": Condition("missing", (1,))},
        {"x": Condition("y", (1.0,))},
        {"x": Condition("kind", ())},
        {"x": Condition("kind", ("z",))},
        {"nobody": Condition("kind", ("a",))},
    ],
)
def test_impossible_conditions_are_refused(conditions):
    with pytest.raises(InvalidParameterError, match="conditions"):
        SearchSpace(
            "bad",
            1,
            {
                "kind": CategoricalDistribution(["a", "b"]),
                "x": FloatDistribution(0, 1),
                "y": FloatDistribution(0, 1),
            },
            conditions,
        )


def test_an_empty_space_is_refused():
    with pytest.raises(InvalidParameterError, match="at least one parameter"):
        SearchSpace("empty", 1, {})
