"""The adapted deep kernel on the scale of a task's trials."""

import numpy as np
import pytest
import torch

from automl_meta.metalearn import MetaSGD
from automl_meta.prior.surrogate import SurrogateShape, initial_params
from automl_meta.prior.transfer import fit_transfer


def test_the_best_expected_trial_is_the_best_prediction_at_the_trials():
    algorithm = MetaSGD(initial_rate=0.01, steps=1)
    generator = torch.Generator().manual_seed(0)
    meta = algorithm.init(initial_params(SurrogateShape(4), generator))
    rng = np.random.default_rng(0)
    x, raw = rng.uniform(size=(30, 4)), rng.normal(size=30)
    raw[3] = np.nan
    model = fit_transfer(meta, algorithm, x, raw)
    assert model.best_expected == pytest.approx(model.predict(x)[0].max(), abs=1e-5)
    assert fit_transfer(meta, algorithm, x[:0], raw[:0]).best_expected is None
