r"""Responses of past tasks as draws of one Gaussian: a low-rank prior over response functions, in closed form.

Notation: T tasks, n evaluations, d columns of the encoding, h features (the last one is constant), K warps
of the scores.

A network with one output a task and warp is fitted to all past evaluations; what it shares is the feature map
:math:`\phi(x)`, [h]. Then every task's response under warp k is :math:`z(x) = \phi(x)^T w`, the past tasks'
weights have a Gaussian prior :math:`w \sim N(m_k, \Sigma_k)`, and expectation maximisation finds it:

.. math:: \Sigma \leftarrow \frac{1}{T} \sum_t (\hat w_t - m)(\hat w_t - m)^T + S_t,

with :math:`\hat w_t, S_t` the posterior of task t's weights. On a new task the prior is a Gaussian process
with covariance :math:`\phi(x)^T \Sigma_k \phi(x')`, conditioned exactly.

Reference: Perrone et al. (2018), Scalable Hyperparameter Transfer Learning, section 3 (shared features,
Bayesian linear heads); Tipping and Bishop (1999) for the expectation maximisation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from automl_meta._typing import FloatArray
from automl_meta.prior.scores import normal_scores

#: How scores of a task become comparable between tasks. ``gap``: minus the logarithm of the regret, which keeps
#: the distances between good scores; ``rank``: normal quantiles of the ranks, which nothing distorts.
WARPS = ("gap", "rank")
_GAP_FLOOR = 0.05
STEPS = 2500
BATCH = 1024
_EM_ROUNDS = 8
_LEAST_NOISE = 1e-3


@dataclass(frozen=True, eq=False)
class WarpPrior:
    """The Gaussian over response functions under one warp.

    Attributes:
        mean: m, shape [h].
        root: Lower triangular root of Sigma, shape [h, h].
        centre: Mean of the warped scores of all past tasks.
        spread: Their standard deviation: Gaussians are over (warped - centre) / spread.
        unit: Typical distance between the best and the median score, on the warp's scale.
        log_scale: Mean and standard deviation over tasks of the logarithm of raw units per warped unit.
        offset: Intercept and slope of a task's raw offset on the centred logarithm of its scale.
        offset_variance: Variance of the offset around that line, in warped units.
    """

    mean: FloatArray
    root: FloatArray
    centre: float
    spread: float
    unit: float
    log_scale: tuple[float, float]
    offset: tuple[float, float]
    offset_variance: float


@dataclass(frozen=True, eq=False)
class Responses:
    """What is learned from past responses.

    Attributes:
        network: ``w1`` [d, h - 1], ``b1``, ``w2`` [h - 1, h - 1], ``b2``: the feature map.
        warps: Name of the warp to its Gaussian.
    """

    network: Mapping[str, FloatArray]
    warps: Mapping[str, WarpPrior]

    def features(self, x: FloatArray) -> FloatArray:
        """Return the shared features of encoded configurations, shape [n, h].

        Args:
            x: Encodings, shape [n, d].
        """
        w = self._single
        hidden = np.tanh((x - 0.5).astype(np.float32) @ w["w1"] + w["b1"])
        phi = np.ones((len(x), len(w["b2"]) + 1))
        phi[:, :-1] = np.tanh(hidden @ w["w2"] + w["b2"])
        return phi

    @cached_property
    def _single(self) -> dict[str, np.ndarray]:
        """The network to the precision in which it was trained: half the time, and a quarter for the tangents."""
        return {name: leaf.astype(np.float32) for name, leaf in self.network.items()}


def warp(raw: FloatArray, name: str) -> FloatArray:
    """Return the scores of one past task on a scale that tasks share, shape [n].

    Args:
        raw: Greater is better; NaN for failed evaluations, which count as the worst.
        name: One of ``WARPS``.

    Example:
        >>> warp(np.array([0.5, 0.9, 0.9]), "gap").round(2).tolist()
        [-0.05, 3.0, 3.0]
    """
    if name == "rank":
        return normal_scores(raw)
    known = raw[np.isfinite(raw)]
    best, worst = (known.max(), known.min()) if known.size else (0.0, 0.0)
    regret = (best - np.nan_to_num(raw, nan=worst)) / max(best - worst, 1e-12)
    return np.asarray(-np.log(regret + _GAP_FLOOR), dtype=np.float64)


def unwarped_regret(z: FloatArray, prior: WarpPrior) -> FloatArray:
    """Return the regret that scaled ``gap`` scores stand for, any shape, in [-0.05, 1].

    Regrets below 0 stand for scores above the best evaluated one.

    Args:
        z: Scaled scores under the warp ``gap``.
        prior: Its Gaussian, for the scale.
    """
    regret = np.exp(-(z * prior.spread + prior.centre)) - _GAP_FLOOR
    return np.asarray(np.clip(regret, -_GAP_FLOOR, 1.0), dtype=np.float64)


def learn_responses(
    x: Sequence[FloatArray],
    raw: Sequence[FloatArray],
    *,
    hidden: int = 96,
    steps: int = STEPS,
    seed: int = 0,
) -> tuple[Responses, dict[str, FloatArray]]:
    """Learn features and Gaussians from past tasks.

    Args:
        x: Encodings of each task, shape [n_t, d], n_t >= 1.
        raw: Their scores, shape [n_t]; NaN for failed ones.
        hidden: Units of each hidden layer, >= 1.
        steps: Of the network's training, >= 1.
        seed: Seed of weights and batches.

    Returns:
        What was learned, and for each warp the past tasks' own weights, shape [T, h].
    """
    scaled: dict[str, list[FloatArray]] = {}
    units = {}
    for name in WARPS:
        warped = [warp(r, name) for r in raw]
        pooled = np.concatenate(warped)
        units[name] = (float(pooled.mean()), max(float(pooled.std()), 1e-9))
        scaled[name] = [(z - units[name][0]) / units[name][1] for z in warped]
    network = _fit_network(x, scaled, hidden, steps, seed)
    responses = Responses(network, {})
    phi = [responses.features(rows) for rows in x]
    gaussians, weights = {}, {}
    for name in WARPS:
        mean, root, weights[name] = _fit_gaussian(phi, scaled[name])
        gaussians[name] = _warp_prior(mean, root, units[name], raw, scaled[name])
    return Responses(network, gaussians), weights


def _fit_network(
    x: Sequence[FloatArray],
    scaled: Mapping[str, Sequence[FloatArray]],
    hidden: int,
    steps: int,
    seed: int,
) -> dict[str, FloatArray]:
    """Fit one network with an output a task and warp; return its shared layers."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor(np.concatenate(x), dtype=torch.float32) - 0.5
    task = torch.tensor(np.repeat(np.arange(len(x)), [len(r) for r in x]))
    z = torch.tensor(
        np.stack([np.concatenate(scaled[name]) for name in WARPS], axis=1), dtype=torch.float32
    )
    d, n_warps = rows.shape[1], len(WARPS)

    def weight(*shape: int, scale: float) -> Tensor:
        drawn = torch.randn(*shape, generator=generator, dtype=torch.float32)
        return (drawn * scale).requires_grad_()

    params = {
        "w1": weight(d, hidden, scale=1.5 / math.sqrt(d)),
        "b1": weight(hidden, scale=0.3),
        "w2": weight(hidden, hidden, scale=1.0 / math.sqrt(hidden)),
        "b2": weight(hidden, scale=0.1),
        "shared": weight(hidden + 1, n_warps, scale=0.01),
        "own": weight(len(x), hidden + 1, n_warps, scale=0.01),
    }
    optimizer = torch.optim.Adam(params.values(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=6e-3, total_steps=steps, pct_start=0.1
    )
    for _ in range(steps):
        batch = torch.randint(len(rows), (min(BATCH, len(rows)),), generator=generator)
        features = torch.tanh(rows[batch] @ params["w1"] + params["b1"])
        features = torch.tanh(features @ params["w2"] + params["b2"])
        features = torch.nn.functional.pad(features, (0, 1), value=1.0)
        own = params["own"][task[batch]]
        predicted = features @ params["shared"] + torch.einsum("bh,bhk->bk", features, own)
        loss = (predicted - z[batch]).square().mean() + 1e-3 * own.square().sum((1, 2)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return {name: params[name].detach().double().numpy() for name in ("w1", "b1", "w2", "b2")}


def _fit_gaussian(
    phi: Sequence[FloatArray], z: Sequence[FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean [h], root [h, h] of the Gaussian over the tasks' weights, and these, [T, h]."""
    h, n_tasks = phi[0].shape[1], len(phi)
    gram = [p.T @ p for p in phi]
    moment = [p.T @ y for p, y in zip(phi, z, strict=True)]
    # Pooled ridge regression to start from.
    mean = np.asarray(np.linalg.solve(sum(gram) + np.eye(h), sum(moment)), dtype=np.float64)
    sigma, noise = np.eye(h) * 0.1, 0.1
    weights: FloatArray = np.zeros((n_tasks, h))
    for _ in range(_EM_ROUNDS):
        precision = np.linalg.inv(sigma)
        second, residual = np.zeros((h, h)), 0.0
        for t in range(n_tasks):
            covariance = np.linalg.inv(gram[t] / noise + precision)
            weights[t] = covariance @ (moment[t] / noise + precision @ mean)
            second += covariance
            error = z[t] - phi[t] @ weights[t]
            residual += float(error @ error + np.sum(covariance * gram[t]))
        mean = np.asarray(weights.mean(axis=0), dtype=np.float64)
        deviation = weights - mean
        sigma = (deviation.T @ deviation + second) / n_tasks + 1e-6 * np.eye(h)
        noise = max(residual / sum(len(y) for y in z), _LEAST_NOISE)
    root = np.asarray(np.linalg.cholesky(sigma), dtype=np.float64)
    return mean, root, weights


def _warp_prior(
    mean: FloatArray,
    root: FloatArray,
    units: tuple[float, float],
    raw: Sequence[FloatArray],
    scaled: Sequence[FloatArray],
) -> WarpPrior:
    """Return a Gaussian with what the tasks say of scale and offset; constant tasks say nothing."""
    logs, offsets, gaps = [], [], []
    for scores, z in zip(raw, scaled, strict=True):
        known = np.isfinite(scores)
        spread = float(np.std(scores[known])) if known.any() else 0.0
        if spread > 0 and np.std(z[known]) > 0:
            scale = spread / float(np.std(z[known]))
            logs.append(math.log(scale))
            offsets.append(float(np.mean(scores[known])) - scale * float(np.mean(z[known])))
            gaps.append(float(z.max() - np.median(z)))
    if not logs:
        return WarpPrior(mean, root, *units, 1.0, (0.0, 1.0), (0.0, 0.0), 1.0)
    log, offset = np.array(logs), np.array(offsets)
    centred = log - log.mean()
    slope = float(centred @ offset / max(float(centred @ centred), 1e-9))
    left = (offset - offset.mean() - slope * centred) / np.exp(log)
    variance = float(np.clip(2.0 * np.median(left**2), 0.25, 9.0))
    location = (float(log.mean()), max(float(log.std()), 0.3))
    unit = max(float(np.median(gaps)), 1e-3)
    return WarpPrior(mean, root, *units, unit, location, (float(offset.mean()), slope), variance)
