"""The batched Gaussian process against the textbook formulas and scipy."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.gaussian_process.kernels import Matern

from automl_meta.metalearn import MAML, MetaSGD, expand
from automl_meta.prior import surrogate
from automl_meta.prior.surrogate import SurrogateShape, initial_params

SHAPE = SurrogateShape(3, hidden=5, embedding=2)


@pytest.fixture
def params():
    start = initial_params(SHAPE, torch.Generator().manual_seed(0))
    return {name: leaf.double() for name, leaf in start.items()}


def points(n, seed=1, tasks=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(tasks, n, 3, generator=generator, dtype=torch.float64)
    return x, torch.randn(tasks, n, generator=generator, dtype=torch.float64)


def test_matern_is_scikit_learns():
    x, _ = points(6)
    expected = Matern(nu=2.5)(x[0].numpy())
    np.testing.assert_allclose(surrogate.matern52(x, x)[0].numpy(), expected, atol=2e-6)


def test_likelihood_and_prediction_are_those_of_a_joint_normal(params):
    batched = expand(params, 1)
    x, y = points(7)
    mean, z = surrogate.embed(batched, x)
    joint = surrogate.covariance(batched, z, x, z, x)[0]
    noise = surrogate.noise_variance(batched)[0]
    support = surrogate.condition(batched, x[:, :5], y[:, :5])
    noisy = (joint + noise * torch.eye(7, dtype=torch.float64)).numpy()
    expected = -multivariate_normal(mean[0, :5].numpy(), noisy[:5, :5]).logpdf(y[0, :5].numpy()) / 5
    assert support.negative_log_likelihood().item() == pytest.approx(expected, rel=1e-9)

    K, k = noisy[:5, :5], joint.numpy()[:5, 5:]
    predicted, variance = support.predict(x[:, 5:])
    np.testing.assert_allclose(
        predicted[0].numpy(),
        mean[0, 5:].numpy() + k.T @ np.linalg.solve(K, (y - mean)[0, :5].numpy()),
    )
    # The distance offset of the kernel moves the diagonal by a millionth.
    exact = np.diag(joint.numpy()[5:, 5:] - k.T @ np.linalg.solve(K, k))
    np.testing.assert_allclose(variance[0].numpy(), exact, atol=1e-5)


def test_nothing_observed_gives_the_prior(params):
    batched = expand(params, 1)
    x, _ = points(4)
    empty = surrogate.condition(batched, x[:, :0], torch.zeros(1, 0, dtype=torch.float64))
    mean, variance = empty.predict(x)
    np.testing.assert_allclose(mean.numpy(), surrogate.embed(batched, x)[0].numpy())
    np.testing.assert_allclose(
        variance.numpy(), surrogate.prior_variance(batched).expand(1, 4).numpy()
    )


def test_tasks_of_a_batch_do_not_see_each_other(params):
    x, y = points(6, tasks=3)
    together = surrogate.support_loss(expand(params, 3), x, y)
    alone = [
        surrogate.support_loss(expand(params, 1), x[t : t + 1], y[t : t + 1]) for t in range(3)
    ]
    np.testing.assert_allclose(together.numpy(), torch.cat(alone).numpy(), rtol=1e-12)


@pytest.mark.parametrize("algorithm", [MAML(rate=0.05), MetaSGD(initial_rate=0.05, steps=2)])
def test_meta_gradient_through_the_process_is_that_of_finite_differences(params, algorithm):
    x, y = points(8, tasks=2)
    support, query = (x[:, :5], y[:, :5]), (x[:, 5:], y[:, 5:])
    meta = algorithm.init(params)

    def value(changed):
        adapted = algorithm.adapt(changed, lambda p: surrogate.support_loss(p, *support), 2)
        return surrogate.query_loss(adapted, support, query).mean().item()

    _, gradient = algorithm.meta_gradients(
        meta,
        lambda p: surrogate.support_loss(p, *support),
        lambda p: surrogate.query_loss(p, support, query),
        2,
    )
    for name, leaf in meta.items():
        index = np.unravel_index(leaf.numel() // 2, leaf.shape) if leaf.ndim else ()
        shift = torch.zeros_like(leaf)
        shift[index] = 1e-5
        numeric = (value({**meta, name: leaf + shift}) - value({**meta, name: leaf - shift})) / 2e-5
        assert gradient[name][index].item() == pytest.approx(numeric, rel=2e-4, abs=1e-7), name
