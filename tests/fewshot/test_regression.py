import math

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.regression import VARIED_FREQUENCY, Harmonics, Sinusoids


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _points(batch):
    return torch.cat([batch.support_x, batch.query_x], 1), torch.cat(
        [batch.support_y, batch.query_y], 1
    )


def _residual(basis, y):
    """Share of y that a least-squares fit of the basis [T, P, m] does not explain, per task."""
    weights = torch.linalg.lstsq(basis.double(), y.double()).solution
    return (y - basis.double() @ weights).square().sum(1) / y.double().square().sum(1), weights


@pytest.mark.parametrize("source", [Sinusoids(3, 7), Harmonics(3, 7), Harmonics(3, 7, noise=0.1)])
def test_shapes_and_determinism(source):
    batch = source.sample(4, _generator())
    assert batch.support_x.shape == batch.support_y.shape == (4, 3, 1)
    assert batch.query_x.shape == batch.query_y.shape == (4, 7, 1)
    assert batch.support_x.dtype == batch.query_y.dtype == torch.float32
    assert batch.ways is None
    assert len(batch[:2]) == 2
    again = source.sample(4, _generator())
    assert torch.equal(batch.query_y, again.query_y)
    assert not torch.equal(batch.query_y, source.sample(4, _generator(1)).query_y)


def test_sinusoids_are_the_papers():
    x, y = _points(Sinusoids(10, 40).sample(400, _generator()))
    # amplitude * sin(x - phase) = a sin(x) + b cos(x), one function for support and queries
    residual, weights = _residual(torch.cat([x.sin(), x.cos()], -1), y)
    assert residual.max() < 1e-10
    a, b = weights[:, 0, 0], weights[:, 1, 0]
    amplitude, phase = torch.hypot(a, b), torch.atan2(-b, a)
    assert 0.1 - 1e-4 < amplitude.min() < 0.2
    assert 4.9 < amplitude.max() < 5.0 + 1e-4
    assert -1e-3 < phase.min() < 0.1
    assert math.pi - 0.1 < phase.max() < math.pi + 1e-3
    assert -5 <= x.min() < -4.9
    assert 4.9 < x.max() <= 5


def test_a_varied_frequency_is_the_one_change_that_it_makes():
    plain, varied = Sinusoids(10, 40), Sinusoids(10, 40, frequency=VARIED_FREQUENCY)
    (x, y), (same_x, other_y) = (_points(s.sample(300, _generator())) for s in (plain, varied))
    assert torch.equal(x, same_x)
    # Of the same amplitude and phase: at zero all frequencies agree.
    near = x.abs() < 0.01
    assert (y - other_y)[near].abs().max() < 0.05
    assert (y - other_y).abs().max() > 1
    # With a frequency of its own each function is a fit of two columns; the grid knows it to 0.002.
    grid = torch.linspace(0.8, 1.2, 201)
    fits = [
        _residual(torch.cat([(w * x).sin(), (w * x).cos()], -1), other_y)[0][:, 0] for w in grid
    ]
    best, place = torch.stack(fits).min(0)
    assert best.max() < 1e-4
    frequency = grid[place]
    assert frequency.min() < 0.82
    assert frequency.max() > 1.18


def test_harmonics_are_two_waves_of_ratio_two():
    # One frequency, so that each function is a fit of four columns.
    source = Harmonics(20, 40, frequency=(6.0, 6.0))
    x, y = _points(source.sample(300, _generator()))
    x = x.double()
    waves = torch.cat([(6 * x).sin(), (6 * x).cos(), (12 * x).sin(), (12 * x).cos()], -1)
    residual, weights = _residual(waves, y)
    assert residual.max() < 1e-6
    one_wave, _ = _residual(waves[..., :2], y)
    assert one_wave.median() > 0.1
    # a ~ normal: the mean square of each wave's amplitude is 1.
    power = weights.view(300, 2, 2).square().sum(-1).mean(0)
    assert (power - 1).abs().max() < 0.35
    centres = x.mean(1)
    assert 3.5 < centres.abs().max() < 5
    assert abs(x.std(1).mean() - 1) < 0.05


def test_noise_is_added_to_the_targets_only():
    clean, noisy = Harmonics(5, 200), Harmonics(5, 200, noise=0.5)
    a, b = clean.sample(20, _generator()), noisy.sample(20, _generator())
    assert torch.equal(a.query_x, b.query_x)
    assert abs((b.query_y - a.query_y).std() - 0.5) < 0.05


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sinusoids(0, 1), "'shots'"),
        (lambda: Harmonics(1, 0), "'queries'"),
        (lambda: Sinusoids(1, 1, amplitude=(5.0, 0.1)), "'amplitude'.*lower first"),
        (lambda: Sinusoids(1, 1, inputs=(0.0, math.inf)), "'inputs'"),
        (lambda: Harmonics(1, 1, noise=-1.0), "'noise'"),
    ],
)
def test_refuses_impossible_settings(make, message):
    with pytest.raises(InvalidParameterError, match=message):
        make()
