"""FSBO: a deep-kernel Gaussian process, meta-trained by likelihood, fine-tuned on the new task's trials.

Reference: Wistuba and Grabocka (2021), Few-Shot Bayesian Optimization with Deep Kernel Surrogates, algorithm 1
(training on scores scaled to random ranges) and section 4 (fine-tuning). Its evolutionary warm start is replaced
by the greedy portfolio, which the other peers have too.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from automl_meta._typing import FloatArray
from automl_meta.benchmark.hpo.methods import Past, Searcher
from automl_meta.benchmark.hpo.peers.portfolio import learn_portfolio
from automl_meta.benchmark.hpo.peers.proposer import Proposer, most_promising
from automl_meta.benchmark.hpo.search import Search
from automl_meta.metalearn import MetaParams, expand
from automl_meta.prior import surrogate
from automl_meta.prior.acquisition import log_expected_improvement
from automl_meta.prior.surrogate import SurrogateShape
from automl_meta.search.sampler import MetaSampler
from automl_meta.spaces import Encoder

_START = 3
_STEPS = 2000
_TASKS, _POINTS = 8, 50
_RATE = 1e-3
_FINE_STEPS, _FINE_RATE = 25, 1e-2


@dataclass(frozen=True)
class Fsbo:
    """The method.

    Attributes:
        name: As reports call it.
        slow: See ``Method``.
    """

    name: str = "FSBO"
    slow: bool = True

    def learn(self, past: Past) -> Searcher:
        """Meta-train the deep kernel.

        Args:
            past: The past tasks.
        """
        encoder = Encoder(past.space)
        data = []
        for task in past.tasks:
            known = np.isfinite(task.scores)
            x = encoder.expand(encoder.normalise_known(task.units[known]))
            data.append((_tensor(x), _tensor(task.scores[known])))
        weights = train_deep_kernel(data, past.seed)
        start = learn_portfolio(past, _START)
        proposer = Proposer(past.space, most_promising(encoder, FineTuned(weights).value, past))
        return lambda seed: Search(MetaSampler(proposer, seed=seed), past.space, start)


def train_deep_kernel(data: list[tuple[Tensor, Tensor]], seed: int) -> MetaParams:
    """Return weights of least negative log likelihood over batches of tasks.

    Args:
        data: Encodings [n, d] and scores [n] of each task.
        seed: Seed of weights and draws.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = SurrogateShape(data[0][0].shape[1])
    weights = {
        name: leaf.clone().requires_grad_()
        for name, leaf in surrogate.initial_params(shape, generator).items()
    }
    optimizer = torch.optim.Adam(weights.values(), lr=_RATE)
    points = min(_POINTS, *(len(y) for _, y in data))
    low = min(float(y.min()) for _, y in data)
    high = max(float(y.max()) for _, y in data)
    for _ in range(_STEPS):
        chosen = torch.randint(len(data), (_TASKS,), generator=generator).tolist()
        rows = [torch.randperm(len(data[t][1]), generator=generator)[:points] for t in chosen]
        x = torch.stack([data[t][0][r] for t, r in zip(chosen, rows, strict=True)])
        y = torch.stack([data[t][1][r] for t, r in zip(chosen, rows, strict=True)])
        ends = torch.rand(2, _TASKS, 1, generator=generator) * (high - low) + low
        bottom, top = ends.min(dim=0).values, ends.max(dim=0).values
        scaled = (y - bottom) / (top - bottom).clamp_min(1e-3 * max(high - low, 1e-9))
        loss = surrogate.support_loss(expand(weights, _TASKS), x, scaled).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 10.0)
        optimizer.step()
    return {name: leaf.detach() for name, leaf in weights.items()}


class FineTuned:
    """The deep kernel on a new task.

    Args:
        weights: Meta-trained weights.
    """

    def __init__(self, weights: MetaParams) -> None:
        self._weights = weights

    def value(
        self, x: FloatArray, scores: FloatArray, new: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Return log expected improvement after fine-tuning; see ``proposer.Value``."""
        del rng
        span = float(scores.max() - scores.min())
        own = (scores - scores.min()) / span if span > 0 else np.zeros(len(scores))
        x_1ND, y_1N = _tensor(x)[None], _tensor(own)[None]
        params = {n: v.clone()[None].requires_grad_() for n, v in self._weights.items()}
        optimizer = torch.optim.Adam(params.values(), lr=_FINE_RATE)
        for _ in range(_FINE_STEPS):
            loss = surrogate.support_loss(params, x_1ND, y_1N).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            posterior = surrogate.condition(params, x_1ND, y_1N)
            mean, variance = posterior.predict(_tensor(new)[None])
        return log_expected_improvement(
            mean[0].double().numpy(), variance[0].double().numpy(), float(own.max())
        )


def _tensor(values: FloatArray) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)
