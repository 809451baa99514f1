"""Optuna's own conformance cases, on a prior that knows their parameters and on one that does not."""

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


class Cases(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """MultiObjectiveSamplerTestCase does not apply: several objectives are refused."""


@pytest.mark.parametrize("knowledge", SPACES)
class TestMetaSampler(Cases):
    @pytest.fixture
    def sampler(self, knowledge, make_prior):
        space = SearchSpace(knowledge, 1, SPACES[knowledge])
        prior = make_prior(space, lambda c: float(sum(c.values())), 12)
        return lambda: MetaSampler(prior, seed=0)
