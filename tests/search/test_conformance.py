"""Optuna's own conformance cases, on priors that know their parameters, or do not, or otherwise."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from automl_meta.search import MetaSampler
from automl_meta.spaces import SearchSpace

SPACES = {
    "known": {
        "x": FloatDistribution(0.0, 10.0),
        "y": IntDistribution(0, 10),
        "z": FloatDistribution(-1.0, 1.0),
    },
    "categories": {"x": CategoricalDistribution([0, 1, 2]), "y": CategoricalDistribution([1, 10])},
    "unknown": {"elsewhere": FloatDistribution(0.0, 1.0)},
}


@pytest.fixture
def sampler_of(make_prior):
    def make(knowledge):
        space = SearchSpace(knowledge, 1, SPACES[knowledge])
        prior = make_prior(space, lambda c: float(sum(c.values())), 12)
        return lambda: MetaSampler(prior, seed=0)

    return make


# MultiObjectiveSamplerTestCase does not apply: several objectives are refused.
@pytest.mark.parametrize("knowledge", ["known", "unknown"])
class TestMetaSampler(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self, knowledge, sampler_of):
        return sampler_of(knowledge)


class TestMetaSamplerOfOtherKinds(RelativeSamplerTestCase):
    """The prior knows the names, but as categories."""

    @pytest.fixture
    def sampler(self, sampler_of):
        return sampler_of("categories")
