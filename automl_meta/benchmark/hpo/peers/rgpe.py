"""RGPE: an ensemble of past tasks' Gaussian processes, weighed by how well they rank the new task's trials.

Reference: Feurer, Letham, Hutter and Bakshy (2018), Practical Transfer Learning for Bayesian Optimization,
sections 3 and 4: ranking loss (equation 1), weights by sampled losses, weight-dilution prevention.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl_meta._typing import FloatArray
from automl_meta.benchmark.hpo.methods import Past, Searcher
from automl_meta.benchmark.hpo.peers.portfolio import learn_portfolio
from automl_meta.benchmark.hpo.peers.proposer import Proposer, most_promising, standardised
from automl_meta.benchmark.hpo.search import Search
from automl_meta.prior.acquisition import log_expected_improvement
from automl_meta.prior.task_only import TaskOnlyModel, fit_task_only
from automl_meta.search.sampler import MetaSampler
from automl_meta.spaces import Encoder

#: Evaluations of each past task that its process is fitted to.
_FITTED = 100
_SAMPLES = 30
_START = 3


@dataclass(frozen=True)
class Rgpe:
    """The method.

    Attributes:
        name: As reports call it.
        slow: See ``Method``.
    """

    name: str = "RGPE"
    slow: bool = True

    def learn(self, past: Past) -> Searcher:
        """Fit one process a past task.

        Args:
            past: The past tasks.
        """
        rng = np.random.default_rng(past.seed)
        encoder = Encoder(past.space)
        models = []
        for task in past.tasks:
            known = np.flatnonzero(np.isfinite(task.scores))
            rows = rng.permutation(known)[:_FITTED]
            x = encoder.expand(encoder.normalise_known(task.units[rows]))
            models.append(fit_task_only(x, standardised(task.scores[rows])))
        proposer = Proposer(past.space, most_promising(encoder, Ensemble(models).value, past))
        start = learn_portfolio(past, _START)
        return lambda seed: Search(MetaSampler(proposer, seed=seed), past.space, start)


class Ensemble:
    """The ensemble on a new task.

    Args:
        models: The past tasks' processes.
    """

    def __init__(self, models: Sequence[TaskOnlyModel]) -> None:
        self._models = models
        # What the past tasks' processes say of a trial never changes.
        self._said: dict[bytes, tuple[FloatArray, FloatArray]] = {}

    def value(
        self, x: FloatArray, scores: FloatArray, new: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Return log expected improvement under the ensemble; see ``proposer.Value``."""
        own = standardised(scores)
        target = fit_task_only(x, own)
        means, variances = self._on_trials(x)
        weights = self._weights(means, variances, own, target, rng)
        mean, variance = np.zeros(len(new)), np.zeros(len(new))
        for weight, model in zip(weights, [*self._models, target], strict=True):
            if weight > 0:
                m, v = model.predict(new)
                mean += weight * m
                variance += weight**2 * v
        best = weights[:-1] @ means + weights[-1] * target.predict(x)[0]
        return log_expected_improvement(mean, np.maximum(variance, 1e-10), float(best.max()))

    def _on_trials(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return means and variances of the past tasks' processes at the trials, each [T, n]."""
        for trial in x:
            if trial.tobytes() not in self._said:
                said = [model.predict(trial[None]) for model in self._models]
                means, variances = np.array(said)[:, :, 0].T
                self._said[trial.tobytes()] = means, variances
        found = [self._said[trial.tobytes()] for trial in x]
        return np.stack([m for m, _ in found], axis=1), np.stack([v for _, v in found], axis=1)

    @staticmethod
    def _weights(
        means: FloatArray,
        variances: FloatArray,
        own: FloatArray,
        target: TaskOnlyModel,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Return weights, the target's last, shape [T + 1]."""
        count, n = means.shape
        if n < 3:
            return np.append(np.full(count, 1.0 / count), 0.0)
        losses = np.empty((count + 1, _SAMPLES))
        for row in range(count):
            spread = np.sqrt(variances[row])
            drawn = means[row] + spread * rng.normal(size=(_SAMPLES, n))
            losses[row] = _misranked(drawn, own)
        losses[count] = _misranked(_left_out(target, rng), own)
        # Dilution prevention: a past task that is worse than the target almost surely has no say.
        worse = np.median(losses, axis=1) > np.quantile(losses[count], 0.95)
        worse[count] = False
        losses[worse] = np.inf
        least = losses == losses.min(axis=0)
        weights: FloatArray = (least / least.sum(axis=0)).mean(axis=1)
        return weights


def _left_out(model: TaskOnlyModel, rng: np.random.Generator) -> FloatArray:
    """Return samples of each trial's leave-one-out prediction, shape [S, n]; Rasmussen and Williams, 5.12."""
    n = len(model.scores)
    inverse = np.linalg.inv(model.factor @ model.factor.T)
    diagonal = np.diag(inverse)
    mean = model.scores - model.weights / diagonal
    spread = np.sqrt(model.variance / diagonal)
    return np.asarray(mean + spread * rng.normal(size=(_SAMPLES, n)))


def _misranked(predicted: FloatArray, own: FloatArray) -> FloatArray:
    """Return how many pairs of trials a prediction ranks the wrong way, shape [S]."""
    order = own[:, None] < own[None, :]
    drawn = predicted[:, :, None] < predicted[:, None, :]
    return np.asarray(np.sum(order[None] ^ drawn, axis=(1, 2)), dtype=np.float64)
