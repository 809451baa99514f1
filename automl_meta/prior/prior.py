"""What is learned across tasks, in one object: warm-start set, surrogate, pruner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from automl_meta._typing import JSON, Configuration, FloatArray
from automl_meta.metalearn import Algorithm, MetaParams
from automl_meta.prior.acquisition import candidates, log_expected_improvement
from automl_meta.prior.evidence import weight_of
from automl_meta.prior.pruning import PrunerModel
from automl_meta.prior.scores import normal_scores
from automl_meta.prior.task_only import TaskOnlyModel, fit_task_only
from automl_meta.prior.transfer import MAX_SUPPORT, TransferModel, fit_transfer
from automl_meta.prior.warm_start import greedy_set, similarity_weights
from automl_meta.spaces import Encoder, SearchSpace

#: Every fifth proposal is the task-only model's once it has this many trials to learn from: a
#: misleading past can slow a search down but not stop it.
TASK_ONLY_EVERY = 5
TASK_ONLY_FROM = 8
#: From this many trials on, the other proposals weigh both models by how well they predict the trials.
BLEND_FROM = 5
#: Every second proposal is chosen among configurations that past tasks evaluated: they span all families,
#: while the free ones tend to stay where the surrogate is best and its differences are noise.
PROVEN_EVERY = 2


@dataclass(frozen=True)
class Observation:
    """One trial of the present task.

    Attributes:
        configuration: A valid configuration of the prior's space.
        score: Greater is better; None for a failed trial.
    """

    configuration: Configuration
    score: float | None


@dataclass(frozen=True, eq=False)
class Portfolio:
    """Configurations evaluated on every past task, from which warm starts are chosen.

    Attributes:
        configurations: C configurations.
        regrets: Shape [T, C], in [0, 1]; see ``warm_start.regret_matrix``.
        meta_features: Shape [T, F].
        feature_names: F names, the order of the columns.
    """

    configurations: tuple[Configuration, ...]
    regrets: FloatArray
    meta_features: FloatArray
    feature_names: tuple[str, ...]

    def best(
        self,
        n: int,
        features: Mapping[str, float] | None = None,
        space: SearchSpace | None = None,
    ) -> list[Configuration]:
        """Return the greedy set of n, conditioned on the new task's meta-features where given.

        Args:
            n: How many, >= 0.
            features: Meta-features by name; missing ones are ignored.
            space: Only configurations whose categories it has.
        """
        weights = None if features is None else self._weights(features)
        kept = [i for i, c in enumerate(self.configurations) if space is None or space.fits(c)]
        if not kept:
            return []
        return [self.configurations[kept[i]] for i in greedy_set(self.regrets[:, kept], n, weights)]

    def _weights(self, features: Mapping[str, float]) -> FloatArray | None:
        known = [i for i, name in enumerate(self.feature_names) if name in features]
        past = self.meta_features[:, known]
        spread = past.std(axis=0)
        useful = spread > 1e-9
        if not useful.any():
            return None
        new = np.array([features[self.feature_names[i]] for i in known])
        mean, spread = past.mean(axis=0)[useful], spread[useful]
        return similarity_weights((past[:, useful] - mean) / spread, (new[useful] - mean) / spread)


@dataclass(frozen=True, eq=False)
class Prior:
    """A meta-learner for one search space, free of Optuna.

    Attributes:
        space: The space that it knows.
        algorithm: How the surrogate adapts.
        meta: The surrogate's meta-parameters.
        portfolio: Warm-start candidates.
        pruner: When to stop a trial early.
        facts: What made it: tasks, versions, seed; JSON-ready.
    """

    space: SearchSpace
    algorithm: Algorithm
    meta: MetaParams
    portfolio: Portfolio
    pruner: PrunerModel
    facts: JSON = field(default_factory=dict)

    def warm_start(
        self,
        n: int,
        meta_features: Mapping[str, float] | None = None,
        *,
        space: SearchSpace | None = None,
    ) -> list[Configuration]:
        """Return the first configurations to try, best first.

        Args:
            n: How many, >= 0; fewer come back where the past offers fewer.
            meta_features: Of the new task, to prefer what was good on similar tasks.
            space: The space that is searched, if narrower: only configurations whose categories it has.
        """
        return self.portfolio.best(n, meta_features, space)

    def propose(
        self,
        observed: Sequence[Observation],
        pending: Sequence[Configuration],
        rng: np.random.Generator,
        *,
        space: SearchSpace | None = None,
    ) -> Configuration:
        """Return the configuration to try next.

        Args:
            observed: Finished trials, failed ones included, in order.
            pending: Trials that are running: believed to score what the model predicts.
            rng: Source of randomness.
            space: The space that is searched, if narrower: the proposal is the best one within it.
        """
        encoder = self._encoder
        trials = support_of(observed, rng)
        units = encoder.to_units([trial.configuration for trial in trials])
        running = encoder.to_units(list(pending))
        models = self._models(encoder.expand(units), trials, len(observed))
        if len(running):
            x = encoder.expand(running)
            models = [(weight, model.believing(x)) for weight, model in models]
        rows = candidates(
            encoder,
            np.concatenate([units, running]),
            models[0][1].scores,
            self._proven,
            rng,
            None if space == self.space else space,
            proven_only=len(observed) % PROVEN_EVERY == 0,
        )
        x = encoder.expand(rows)
        gain = sum(weight * log_gain(model, x) for weight, model in models)
        return encoder.from_units(rows[int(np.argmax(gain))])

    def hands_over(self, _observed: Sequence[Observation]) -> bool:
        """Return False: every fifth proposal is the task-only model's, which is safety enough."""
        return False

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.space)

    @cached_property
    def _proven(self) -> FloatArray:
        """Unit rows of the portfolio, the same for every proposal, shape [C, p]."""
        return self._encoder.to_units(self.portfolio.configurations)

    def _models(
        self, x: FloatArray, trials: Sequence[Observation], n_trials: int
    ) -> list[tuple[float, TransferModel | TaskOnlyModel]]:
        """Return the models that decide and their weights, which add up to 1."""
        raw = scores_of(trials)
        if n_trials < BLEND_FROM:
            return [(1.0, fit_transfer(self.meta, self.algorithm, x, raw))]
        present = fit_task_only(x, normal_scores(raw))
        if n_trials >= TASK_ONLY_FROM and n_trials % TASK_ONLY_EVERY == 0:
            return [(1.0, present)]
        past = fit_transfer(self.meta, self.algorithm, x, raw)
        weight = weight_of(past.leave_one_out(), present.leave_one_out())
        return [(weight, past), (1.0 - weight, present)]


def log_gain(model: TransferModel | TaskOnlyModel, x: FloatArray) -> FloatArray:
    """Return the log expected improvement of configurations, shape [m].

    With noisy scores the incumbent is the best expected trial, not the luckiest one.

    Args:
        model: The model.
        x: Encodings, shape [m, d].
    """
    mean, variance = model.predict(x)
    best = float(mean.max()) if model.best_expected is None else model.best_expected
    return log_expected_improvement(mean, variance, best)


def scores_of(trials: Sequence[Observation]) -> FloatArray:
    """Return the scores of trials, shape [n]; NaN for failed ones."""
    return np.array([np.nan if t.score is None else t.score for t in trials], dtype=np.float64)


def support_of(observed: Sequence[Observation], rng: np.random.Generator) -> Sequence[Observation]:
    """Return the trials that a model reads: all, or the best half and a random rest of many.

    Args:
        observed: All trials.
        rng: Source of randomness.
    """
    if len(observed) <= MAX_SUPPORT:
        return observed
    order = np.argsort([-np.inf if o.score is None else o.score for o in observed])[::-1]
    best, rest = order[: MAX_SUPPORT // 2], order[MAX_SUPPORT // 2 :]
    kept = np.concatenate([best, rng.choice(rest, size=MAX_SUPPORT - len(best), replace=False)])
    return [observed[i] for i in np.sort(kept)]
