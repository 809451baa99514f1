"""Timings of the small kernels on a user's path; ``make bench`` runs them."""

from typing import Any

import numpy as np
import pytest

from automl_meta.pipelines import AUTO
from automl_meta.spaces import Encoder
from automl_meta.tasks import load_task
from automl_meta.tasks.fingerprint import fingerprint
from automl_meta.tasks.meta_features import meta_features

pytestmark = pytest.mark.slow


def test_encoding_a_thousand_configurations_of_auto(benchmark: Any) -> None:
    space = AUTO.space("classification")
    encoder = Encoder(space)
    points = space.sample(np.random.default_rng(0), 1000)
    assert benchmark(encoder.encode, points).shape == (1000, encoder.n_columns)


def test_sampling_units_of_auto(benchmark: Any) -> None:
    encoder = Encoder(AUTO.space("classification"))
    rng = np.random.default_rng(0)
    assert benchmark(encoder.sample_units, rng, 1000).shape == (1000, encoder.n_parameters)


def test_fingerprint_and_meta_features(benchmark: Any) -> None:
    task = load_task("openml:9946", offline=True)
    found = benchmark(lambda: (fingerprint(task), meta_features(task)))
    assert found[0].n_rows == 569
