"""A prior over any search space, learned from past searches in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial

import numpy as np
from threadpoolctl import ThreadpoolController

from automl_meta._typing import JSON, Configuration, FloatArray
from automl_meta.exceptions import InvalidParameterError
from automl_meta.metadata.past import PastTask
from automl_meta.metalearn import Algorithm, MetaParams, MetaSGD
from automl_meta.prior.acquisition import candidates, climbed
from automl_meta.prior.meta_training import train_surrogate
from automl_meta.prior.mixture import ResponseModel
from automl_meta.prior.past_portfolio import build_portfolio, coverage
from automl_meta.prior.prior import (
    Observation,
    Portfolio,
    log_gain,
    scores_of,
    support_of,
)
from automl_meta.prior.pruning import PrunerModel
from automl_meta.prior.responses import Responses, learn_responses, unwarped_regret
from automl_meta.prior.scores import normal_scores
from automl_meta.prior.surrogate import SurrogateShape
from automl_meta.prior.task_only import fit_task_only
from automl_meta.prior.transfer import MAX_SUPPORT, fit_transfer
from automl_meta.spaces import Encoder, SearchSpace
from automl_meta.training import TrainingSettings

#: How much the adapted deep kernel has to say beside the response model.
TRANSFER_WEIGHT = 0.25
#: The deep kernel joins from this many trials on: before that its scale is a guess.
TRANSFER_FROM = 3
#: Rounds of local search from the best candidates.
CLIMBS = 3
#: The present task alone makes every tenth proposal, so that a past that misleads cannot stop the search. In a closed
#: space, where no search gets lost between two rows, that begins late: earlier it costs more than it insures.
TASK_ONLY_EVERY = 10
TASK_ONLY_FROM, TASK_ONLY_FROM_IF_CLOSED = 10, 30
#: In a closed space every seventh proposal is what the past tasks themselves would try, each with its own best rows: a
#: Gaussian over them all does not believe in the one row among thousands that a rare kind of task needs.
COVER_EVERY = 7
#: With less weight on what the past says, from this many trials on, a cold sampler takes over.
HAND_OVER_FROM = 8
LEAST_TRUST = 0.4
#: Evaluations a task needs for support and query of an episode.
_EPISODE = 8


@cache
def _blas() -> ThreadpoolController:
    """Return the controller of BLAS threads: on small matrices they cost ten times what they bring."""
    return ThreadpoolController()


@dataclass(frozen=True, eq=False)
class PastPrior:
    """What was learned from past searches over one space, free of Optuna.

    Attributes:
        space: The common space of the past searches.
        responses: Gaussians over response functions.
        portfolio: Warm-start candidates.
        algorithm: How the deep-kernel surrogate adapts to a task's trials.
        meta: The surrogate's meta-parameters; None where no past task had enough evaluations.
        n_start: Size of the warm-start set where none is asked for, >= 1.
        closed: Whether the portfolio's configurations are all that a search may choose among, as long as one is new.
        facts: What made it; JSON-ready.
    """

    space: SearchSpace
    responses: Responses
    portfolio: Portfolio
    algorithm: Algorithm
    meta: MetaParams | None
    n_start: int = 5
    closed: bool = False
    facts: JSON = field(default_factory=dict)

    @property
    def pruner(self) -> PrunerModel:
        """A pruner that never prunes: values of whole trials say nothing about their course."""
        return PrunerModel(0.0, 0)

    def warm_start(
        self,
        n: int,
        meta_features: Mapping[str, float] | None = None,
        *,
        space: SearchSpace | None = None,
    ) -> list[Configuration]:
        """Return up to n configurations to try first, best first.

        Args:
            n: How many.
            meta_features: Numbers that describe the new task, by the names that past tasks had.
            space: The space that is searched, if narrower.
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
            pending: Trials that are running: believed to score what the model expects.
            rng: Source of randomness.
            space: The space that is searched, if it is not the prior's: the proposal lies in it.
        """
        with _blas().limit(limits=1):
            return self._propose(observed, pending, rng, space)

    def _propose(
        self,
        observed: Sequence[Observation],
        pending: Sequence[Configuration],
        rng: np.random.Generator,
        space: SearchSpace | None,
    ) -> Configuration:
        encoder = self._encoder
        seen = self._reading(support_of(observed, rng))
        running = encoder.to_units(list(pending))
        taken = np.concatenate([seen.units, running])
        rows = candidates(
            encoder,
            taken,
            normal_scores(seen.raw),
            self._proven,
            rng,
            None if space == self.space else space,
            proven_only=self.closed or not observed,
        )
        n = len(observed)
        if self.closed and n > 0 and n % COVER_EVERY == 0:
            cover = coverage(self.portfolio.regrets, self._proven, seen.units, seen.raw, rows)
            if cover.max() > 0:
                return encoder.from_units(rows[int(np.argmax(cover))])
        gain = self._gain(seen, encoder.expand(running), n)
        # Local search would leave a narrower space, and the proven rows where they alone are wanted.
        stays = self.closed or not observed or not (space is None or space == self.space)
        rounds = 0 if stays else CLIMBS
        best = climbed(encoder, rows, lambda r: gain(encoder.expand(r)), taken, rng, rounds=rounds)
        return encoder.from_units(best)

    def hands_over(self, observed: Sequence[Observation]) -> bool:
        """Tell whether the trials contradict the past so clearly that a cold sampler should go on.

        The cold sampler's trials are trials like any other: should they agree with the past, it is asked again.

        Args:
            observed: Finished trials, in order.
        """
        if len(observed) < HAND_OVER_FROM:
            return False
        with _blas().limit(limits=1):
            return self._reading(observed[-MAX_SUPPORT:]).model.trust() < LEAST_TRUST

    def _reading(self, trials: Sequence[Observation]) -> "_Reading":
        """Return what the trials say; a proposal asks twice for the same ones, so the last answer is kept."""
        kept = self._kept.get("last")
        if kept is None or kept.trials != list(trials):
            units = self._encoder.to_units([trial.configuration for trial in trials])
            x, raw = self._encoder.expand(units), scores_of(trials)
            kept = _Reading(list(trials), units, x, raw, ResponseModel(self.responses, x, raw))
            self._kept["last"] = kept
        return kept

    def _gain(
        self, seen: "_Reading", running: FloatArray, n: int
    ) -> Callable[[FloatArray], FloatArray]:
        """Return what tells the gain that candidates promise: [m, d] to [m], minus infinity for the hopeless.

        Args:
            seen: What the trials say.
            running: Encodings of those that run.
            n: Number of trials.
        """
        first = TASK_ONLY_FROM_IF_CLOSED if self.closed else TASK_ONLY_FROM
        if n >= first and n % TASK_ONLY_EVERY == 0:
            present = fit_task_only(*_joined(seen.x, normal_scores(seen.raw), running))
            return partial(log_gain, present)
        model = seen.model.believing(running) if len(running) else seen.model
        if self.meta is None or np.isfinite(seen.raw).sum() < TRANSFER_FROM:
            return model.log_gain
        transfer = fit_transfer(self.meta, self.algorithm, seen.x, seen.raw)
        if len(running):
            transfer = transfer.believing(running)
        weight = TRANSFER_WEIGHT * model.trust()

        def gain(new: FloatArray) -> FloatArray:
            value = model.log_gain(new)
            close = np.isfinite(value)
            value[close] *= 1.0 - weight
            value[close] += weight * log_gain(transfer, new[close])
            return value

        return gain

    @cached_property
    def _kept(self) -> "dict[str, _Reading]":
        """The last reading; replaced as a whole, so threads at worst read twice."""
        return {}

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.space)

    @cached_property
    def _proven(self) -> FloatArray:
        """Unit rows of the portfolio, shape [C, p]."""
        return self._encoder.to_units(self.portfolio.configurations)


@dataclass(frozen=True, eq=False)
class _Reading:
    """What a search's trials say.

    Attributes:
        trials: The trials.
        units: Their unit matrix, shape [n, p].
        x: Their encodings, shape [n, d].
        raw: Their scores, shape [n]; NaN for failed ones.
        model: The response model, conditioned on them.
    """

    trials: list[Observation]
    units: FloatArray
    x: FloatArray
    raw: FloatArray
    model: ResponseModel


def _joined(
    x: FloatArray, scores: FloatArray, running: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return trials and running ones, these with the median score: nothing is known of them."""
    believed = np.full(len(running), float(np.median(scores)))
    return np.concatenate([x, running]), np.concatenate([scores, believed])


@dataclass(frozen=True, eq=False)
class _Table:
    """A past task as the deep kernel's training reads it."""

    encodings: FloatArray
    scores: FloatArray


def learn_past(
    tasks: Sequence[PastTask],
    space: SearchSpace,
    *,
    algorithm: Algorithm | None = None,
    n_start: int = 5,
    refine: bool = True,
    seed: int = 0,
) -> PastPrior:
    """Learn from past searches.

    Args:
        tasks: Their evaluations in the common space. Tasks that say nothing (no finished evaluation, or
            the same score everywhere) are left out, unless all are of that kind.
        space: The common space.
        algorithm: How the deep-kernel surrogate adapts; Meta-SGD by default.
        n_start: Size of the warm-start set where none is asked for, >= 1.
        refine: Whether starting points may be configurations that no past task evaluated, found by local search
            on the learned responses; False for searches among given configurations: where the past tasks share
            theirs, proposals are then among them.
        seed: Seed of weights and batches.

    Raises:
        InvalidParameterError: If there is no finished evaluation at all.
    """
    if isinstance(n_start, bool) or not isinstance(n_start, int) or n_start < 1:
        raise InvalidParameterError.of(
            "warm_start", "MetaLearner", "an int >= 1", n_start, "Try warm_start=5."
        )
    known = [task for task in tasks if np.isfinite(task.scores).any()]
    if not known:
        raise InvalidParameterError.of(
            "tasks",
            "learn_past",
            "past tasks of which one has a finished evaluation within the space",
            [task.name for task in tasks],
            "Check the parameters' names and ranges.",
        )
    telling = [task for task in known if np.nanmax(task.scores) > np.nanmin(task.scores)] or known
    encoder = Encoder(space)
    encodings = [encoder.expand(encoder.normalise_known(task.units)) for task in telling]
    responses, weights = learn_responses(encodings, [t.scores for t in telling], seed=seed)
    chosen = MetaSGD(initial_rate=0.01, steps=1) if algorithm is None else algorithm
    meta = _learn_surrogate(telling, encodings, chosen, seed)

    def predicted(units: FloatArray) -> FloatArray:
        """Return every task's regret at configurations, [T, m]."""
        features = responses.features(encoder.expand(units))
        return unwarped_regret(weights["gap"] @ features.T, responses.warps["gap"])

    portfolio, closed = build_portfolio(telling, encoder, predicted, refine=refine)
    facts: JSON = {
        "n_tasks": len(telling),
        "n_evaluations": int(sum(len(task.scores) for task in telling)),
        "left_out": [task.name for task in tasks if not any(task is t for t in telling)],
        "seed": seed,
    }
    return PastPrior(space, responses, portfolio, chosen, meta, n_start, closed, facts)


def _learn_surrogate(
    tasks: Sequence[PastTask], encodings: Sequence[FloatArray], algorithm: Algorithm, seed: int
) -> MetaParams | None:
    tables = [
        _Table(x, normal_scores(task.scores))
        for x, task in zip(encodings, tasks, strict=True)
        if len(x) >= _EPISODE
    ]
    if not tables:
        return None
    shape = SurrogateShape(encodings[0].shape[1])
    settings = TrainingSettings(steps=400, learning_rate=3e-3, schedule="cosine", clip_norm=5.0)
    return train_surrogate(tables, shape, algorithm, settings, seed)
