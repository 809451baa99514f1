"""Where to look next: candidates and expected improvement."""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from scipy.special import erfcx, ndtr

from automl_meta._typing import FloatArray
from automl_meta.spaces import Encoder, Region

N_SAMPLES = 600
N_NEIGHBOURS = 60
N_INCUMBENTS = 5
#: Local search: starting points of each round, and neighbours of each.
N_CLIMBERS = 8
N_STEPS = 16
_LOG_ROOT = 0.5 * math.log(2.0 * math.pi)


def log_expected_improvement(mean: FloatArray, variance: FloatArray, best: float) -> FloatArray:
    r"""Return :math:`\log E[\max(f - best, 0)]`, stable far below the incumbent.

    With :math:`u = (mean - best) / \sigma` this is :math:`\log\sigma + \log(\phi(u) + u \Phi(u))`.

    Args:
        mean: Predicted means, any shape.
        variance: Predicted variances, same shape, > 0.
        best: Incumbent score.

    Reference:
        Ament et al. (2023), Unexpected Improvements to Expected Improvement, equation 9.

    Example:
        >>> float(log_expected_improvement(np.array([0.0]), np.array([1.0]), 0.0)[0].round(4))
        -0.9189
    """
    sigma = np.sqrt(variance)
    u = (mean - best) / sigma
    result = np.empty_like(u)
    log_density = -0.5 * u**2 - _LOG_ROOT
    near = u > -1.0
    result[near] = np.log(np.exp(log_density[near]) + u[near] * ndtr(u[near]))
    far, log_density = u[~near], log_density[~near]
    # phi(u) + u Phi(u) = phi(u) (1 + u Phi(u) / phi(u)); the ratio is erfcx, which does not underflow.
    ratio = 1.0 + far * np.sqrt(np.pi / 2.0) * erfcx(-far / np.sqrt(2.0))
    asymptote = -2.0 * np.log(np.abs(far)) + log_density
    safe = (far > -1e4) & (ratio > 1e-12)
    result[~near] = np.where(safe, log_density + np.log(np.where(safe, ratio, 1.0)), asymptote)
    answer: FloatArray = np.log(sigma) + result
    return answer


class Predictor(Protocol):
    """A model of the present task."""

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the noise-free score, each [m], for encodings [m, d]."""
        ...

    @property
    def best_expected(self) -> float | None:
        """The best expected score among the trials; None without any."""
        ...


def log_gain(model: Predictor, x: FloatArray) -> FloatArray:
    """Return the log expected improvement of configurations, shape [m].

    With noisy scores the incumbent is the best expected trial, not the luckiest one.

    Args:
        model: The model.
        x: Encodings, shape [m, d].
    """
    mean, variance = model.predict(x)
    best = float(mean.max()) if model.best_expected is None else model.best_expected
    return log_expected_improvement(mean, variance, best)


def candidates(
    encoder: Encoder,
    observed: FloatArray,
    scores: FloatArray,
    extra: FloatArray,
    rng: np.random.Generator,
    region: Region | None = None,
    *,
    proven_only: bool = False,
    given_only: bool = False,
) -> FloatArray:
    """Return unit rows to choose from: samples, neighbours of the best observed ones, and extra points.

    Args:
        encoder: Of the space.
        observed: Unit matrix of the observed configurations, shape [n, p].
        scores: Their scores, shape [n].
        extra: Further unit rows, shape [e, p]: configurations that were good on past tasks.
        rng: Source of randomness.
        region: Where the search takes place, if not in the whole space: every row lies in it.
        proven_only: Offer the extra points alone, as long as one of them is new.
        given_only: Offer those outside the region never, instead of moving them into it.

    Returns:
        A valid unit matrix without rows that were observed already, shape [m, p], m >= 1.
    """
    if proven_only and len(extra):
        lying = extra if region is None else region.moved(extra, drop=given_only)
        rows = fresh(encoder.normalise(lying), observed)
        if len(rows):
            return rows
    incumbents = observed[np.argsort(-scores)[:N_INCUMBENTS]]
    near = [neighbours(encoder, incumbents, N_NEIGHBOURS, rng)] if len(incumbents) else []
    parts = [encoder.sample_units(rng, N_SAMPLES), extra, *near]
    if region is not None:  # few may be left of a strongly narrowed space
        parts = [region.moved(np.concatenate(parts)), region.sample(rng, N_SAMPLES)]
    rows = encoder.normalise(np.concatenate(parts))
    new = fresh(rows, observed)
    return new if len(new) else fresh(rows, rows[:0])  # all was tried: each once


def climbed(
    encoder: Encoder,
    rows: FloatArray,
    gain: Callable[[FloatArray], FloatArray],
    observed: FloatArray,
    rng: np.random.Generator,
    region: Region | None = None,
    *,
    rounds: int = 3,
) -> FloatArray:
    """Return the row of greatest gain after local search from the best ones, shape [p].

    Args:
        encoder: Of the space.
        rows: Valid unit rows to start from, shape [m, p], m >= 1.
        gain: Unit rows [m, p] to what is maximised [m].
        observed: Rows that must not come back, shape [n, p].
        rng: Source of randomness.
        region: See ``candidates``.
        rounds: How often the best ones are replaced by the best of them and their neighbours.
    """
    value = gain(rows)
    for _ in range(rounds):
        best = np.argsort(-value)[:N_CLIMBERS]
        near = neighbours(encoder, rows[best], N_STEPS, rng)
        if region is not None:
            near = encoder.normalise(region.moved(near))
        near = fresh(near, observed)
        if not len(near):
            break
        rows = np.concatenate([rows[best], near])
        value = np.concatenate([value[best], gain(near)])
    result: FloatArray = rows[int(np.argmax(value))]
    return result


def fresh(rows: FloatArray, observed: FloatArray) -> FloatArray:
    """Return the rows that were not observed, each once, in order.

    Args:
        rows: Unit matrix, shape [n, p].
        observed: Another one, shape [m, p].
    """
    first = {key: index for index, key in reversed(list(enumerate(row_keys(rows))))}
    for key in row_keys(observed):
        first.pop(key, None)
    new: FloatArray = rows[sorted(first.values())]
    return new


def neighbours(encoder: Encoder, rows: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Return n perturbations of each of some configurations, step sizes from fine to coarse, shape [m n, p].

    About two parameters change in each; a parameter that becomes active is drawn anew.

    Args:
        encoder: Of the space.
        rows: Unit rows, shape [m, p], m >= 1.
        n: How many of each.
        rng: Source of randomness.
    """
    draws = [_draws(row, n, rng) for row in rows]
    start, change, moved, anew = (np.concatenate(part) for part in zip(*draws, strict=True))
    # A step too small to reach the next category or level would change nothing: draw those anew.
    moved = np.where(encoder.is_categorical, anew, np.abs(moved))
    moved = np.where(moved > 1.0, 2.0 - moved, moved)
    return encoder.normalise(np.where(change, moved, start))


def _draws(
    row: FloatArray, n: int, rng: np.random.Generator
) -> tuple[FloatArray, np.ndarray, FloatArray, FloatArray]:
    """Return what n perturbations of a unit row are made of.

    Returns:
        The row, inactive parameters drawn; which parameters change; where a step takes them; values drawn anew; [n, p].
    """
    p = len(row)
    active = ~np.isnan(row)
    start = np.where(active, row, rng.uniform(size=(n, p)))
    change = rng.uniform(size=(n, p)) < 2.0 / max(active.sum(), 2)
    columns = np.flatnonzero(active)  # drawn from by hand: choice() checks longer than it draws
    change[np.arange(n), columns[rng.integers(len(columns), size=n)]] = True
    step = 10.0 ** rng.uniform(-2.0, -0.3, size=(n, 1))
    return start, change, start + step * rng.normal(size=(n, p)), rng.uniform(size=(n, p))


def row_keys(rows: FloatArray) -> list[bytes]:
    """Return what tells unit rows apart, NaN included, up to the ninth decimal.

    Args:
        rows: Unit matrix, shape [n, p].
    """
    rounded = np.round(rows, 9)
    rounded[np.isnan(rounded)] = -1.0
    size = rounded.shape[1] * rounded.itemsize
    keys: list[bytes] = np.ascontiguousarray(rounded).view(f"V{size}").ravel().tolist()
    return keys
