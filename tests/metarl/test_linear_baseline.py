import numpy as np
import torch

from automl_meta.metarl.linear_baseline import fitted_values, time_varying_features


def test_features_by_hand():
    seen = torch.zeros(51, 1, 2)
    seen[50, 0] = torch.tensor([3.0, -20.0])
    wanted = torch.tensor([3.0, -10.0, 9.0, 100.0, 0.5, 0.25, 0.125, 1.0])
    assert torch.allclose(time_varying_features(seen)[50, 0], wanted)


def test_returns_of_the_features_form_are_found_exactly():
    rng = torch.Generator().manual_seed(0)
    seen = torch.randn(30, 3, 8, 2, generator=rng)
    weights = torch.randn(3, 8, generator=rng)
    returns = torch.einsum("tbef,bf->tbe", time_varying_features(seen), weights)
    alive = torch.ones(30, 3, 8, dtype=torch.bool)
    assert torch.allclose(fitted_values(seen, returns, alive), returns, atol=1e-3)


def test_ridge_regression_of_the_living_steps_of_each_task():
    rng = torch.Generator().manual_seed(1)
    seen, returns = torch.randn(10, 2, 4, 1, generator=rng), torch.randn(10, 2, 4, generator=rng)
    alive = torch.rand(10, 2, 4, generator=rng) < 0.7
    found = fitted_values(seen, returns, alive, ridge=0.5)
    phi = time_varying_features(seen).double().numpy()
    for task in range(2):
        lives = alive[:, task].numpy()
        x, y = phi[:, task][lives], returns[:, task].double().numpy()[lives]
        weights = np.linalg.solve(x.T @ x + 0.5 * np.eye(6), x.T @ y)
        assert np.allclose(found[:, task].numpy()[lives], x @ weights, atol=1e-6)
    assert bool((found[~alive] == 0).all())
