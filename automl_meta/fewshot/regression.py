"""Families of one-dimensional functions, as sources of regression episodes.

| symbol | meaning |
|---|---|
| T | tasks (functions) of a meta-batch |
| K, Q | support and query points of a function |
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError, check_least
from automl_meta.fewshot.episodes import Episodes

#: Lowest and highest value of a uniform distribution.
Range = tuple[float, float]
#: Of the sine waves of Meta-SGD's paper.
VARIED_FREQUENCY: Range = (0.8, 1.2)


@dataclass(frozen=True)
class Sinusoids:
    """Sine waves of random amplitude and phase: ``y = amplitude * sin(frequency * x - phase)``.

    The defaults are those of the MAML paper (section 5.1); the sign of the phase is its code's. Meta-SGD's paper
    (section 4.1) has a random frequency too: ``VARIED_FREQUENCY``.

    Attributes:
        shots: K >= 1.
        queries: Q >= 1.
        amplitude: Range of the amplitude.
        phase: Range of the phase, in radians.
        frequency: Range of the frequency.
        inputs: Range of x.
        device: Where the episodes go.

    Reference:
        Finn, Abbeel and Levine (2017), Model-Agnostic Meta-Learning. arXiv:1703.03400
        Li, Zhou, Chen and Li (2017), Meta-SGD. arXiv:1707.09835

    Example:
        >>> batch = Sinusoids(shots=5, queries=10).sample(3, torch.Generator().manual_seed(0))
        >>> tuple(batch.support_x.shape), tuple(batch.query_y.shape), batch.ways
        ((3, 5, 1), (3, 10, 1), None)
    """

    shots: int
    queries: int
    amplitude: Range = (0.1, 5.0)
    phase: Range = (0.0, math.pi)
    frequency: Range = (1.0, 1.0)
    inputs: Range = (-5.0, 5.0)
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        check_least(self, "Sinusoids", {"shots": 1, "queries": 1})
        for name in ("amplitude", "phase", "frequency", "inputs"):
            _check_range(getattr(self, name), name, "Sinusoids")

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episodes:
        """Draw functions and points on them; see ``EpisodeSource.sample``."""
        amplitude = _uniform(self.amplitude, (n_tasks, 1, 1), generator)
        phase = _uniform(self.phase, (n_tasks, 1, 1), generator)
        x = _uniform(self.inputs, (n_tasks, self.shots + self.queries, 1), generator)
        # Drawn last, and only where it varies: the other numbers are then the same with and without.
        varied = self.frequency[0] < self.frequency[1]
        frequency: Tensor | float = self.frequency[0]
        if varied:
            frequency = _uniform(self.frequency, (n_tasks, 1, 1), generator)
        y = amplitude * torch.sin(frequency * x - phase)
        return _episodes(x, y, self.shots, self.device)


@dataclass(frozen=True)
class Harmonics:
    """Sums of a sine wave and its first harmonic: ``y = a1 sin(w x + b1) + a2 sin(2 w x + b2)``.

    Per function: amplitudes a1, a2 standard normal, frequency w uniform in [5, 7], phases b1, b2 uniform in
    [0, 2 pi], and inputs normal with deviation 1 around a centre that is uniform in [-4, 4] (the numbers of
    torchmeta's ``Harmonic``). Harder than ``Sinusoids``: the functions are fast, and each is seen in one
    place only.

    Attributes:
        shots: K >= 1.
        queries: Q >= 1.
        noise: Standard deviation of normal noise on y, >= 0.
        frequency: Range of w.
        centre: Range of the centre of the inputs.
        device: Where the episodes go.

    Reference:
        Lacoste et al. (2018), Uncertainty in Multitask Transfer Learning. arXiv:1806.07528

    Example:
        >>> batch = Harmonics(shots=10, queries=20).sample(2, torch.Generator().manual_seed(0))
        >>> tuple(batch.support_x.shape), tuple(batch.query_y.shape)
        ((2, 10, 1), (2, 20, 1))
    """

    shots: int
    queries: int
    noise: float = 0.0
    frequency: Range = (5.0, 7.0)
    centre: Range = (-4.0, 4.0)
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        check_least(self, "Harmonics", {"shots": 1, "queries": 1})
        for name in ("frequency", "centre"):
            _check_range(getattr(self, name), name, "Harmonics")
        if not self.noise >= 0:
            raise InvalidParameterError.of(
                "noise", "Harmonics", "a number >= 0", self.noise, "Try 0.0."
            )

    def sample(self, n_tasks: int, generator: torch.Generator) -> Episodes:
        """Draw functions and points on them; see ``EpisodeSource.sample``."""
        points = (n_tasks, self.shots + self.queries, 1)
        frequency = _uniform(self.frequency, (n_tasks, 1, 1), generator)
        # Both waves side by side: [T, 1, 2], summed over the last axis.
        amplitudes = _normal((n_tasks, 1, 2), generator)
        phases = _uniform((0.0, 2 * math.pi), (n_tasks, 1, 2), generator)
        x = _uniform(self.centre, (n_tasks, 1, 1), generator) + _normal(points, generator)
        multiples = torch.tensor([1.0, 2.0], device=x.device)
        waves = amplitudes * torch.sin(multiples * frequency * x + phases)
        y = waves.sum(-1, keepdim=True)
        if self.noise:
            y = y + self.noise * _normal(points, generator)
        return _episodes(x, y, self.shots, self.device)


def _episodes(x: Tensor, y: Tensor, shots: int, device: torch.device | str) -> Episodes:
    """Split points [T, K + Q, 1] into the first K for support and the rest for queries."""
    return Episodes(
        x[:, :shots].contiguous().to(device),
        y[:, :shots].contiguous().to(device),
        x[:, shots:].contiguous().to(device),
        y[:, shots:].contiguous().to(device),
        ways=None,
    )


def _uniform(bounds: Range, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)


def _check_range(bounds: Range, name: str, where: str) -> None:
    if len(bounds) != 2 or not bounds[0] <= bounds[1] or not all(map(math.isfinite, bounds)):
        raise InvalidParameterError.of(
            name, where, "two finite numbers, the lower first", bounds, "Try (0.0, 1.0)."
        )
