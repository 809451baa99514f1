"""What is learned across tasks, in one object: responses, deep kernel, starting points, pruner."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from threading import Lock

import numpy as np
from threadpoolctl import ThreadpoolController

from automl_meta._typing import JSON, Configuration, FloatArray
from automl_meta.metalearn import Algorithm, MetaParams
from automl_meta.prior.acquisition import candidates, climbed, log_gain
from automl_meta.prior.conditioning import Conditioner
from automl_meta.prior.mixture import ResponseModel
from automl_meta.prior.observations import Observation, scores_of, support_of
from automl_meta.prior.past_portfolio import coverage
from automl_meta.prior.portfolio import Portfolio
from automl_meta.prior.pruning import NEVER, PrunerModel
from automl_meta.prior.responses import Responses
from automl_meta.prior.scores import normal_scores
from automl_meta.prior.task_only import fit_task_only
from automl_meta.prior.transfer import MAX_SUPPORT, fit_transfer
from automl_meta.spaces import Encoder, Region, SearchSpace

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
#: With less weight on what the past says, from this many trials on, a cold sampler takes over; in a closed space, which
#: that would leave, the process that knows the present task only.
HAND_OVER_FROM = 8
LEAST_TRUST = 0.4


class _OneThread:
    """Keeps BLAS on one thread while any proposal is made: on small matrices more cost ten times what they bring.

    The limit is the whole process's, so the last of several threads to leave lifts it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._exit = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._exit.enter_context(_blas().limit(limits=1))
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._exit.close()


@cache
def _blas() -> ThreadpoolController:
    """Return the controller of BLAS threads; making it takes longer than a proposal."""
    return ThreadpoolController()


_one_thread = _OneThread()


@dataclass(frozen=True, eq=False)
class Prior:
    """A meta-learner for one search space, free of Optuna.

    Attributes:
        space: The space that it knows.
        responses: Gaussians over response functions.
        portfolio: Warm-start candidates.
        algorithm: How the deep-kernel surrogate adapts to a task's trials.
        meta: The surrogate's meta-parameters; None where no past task had enough evaluations.
        conditioner: What meta-features say of the responses; None where nothing was learned of it.
        pruner: When to stop a trial early; never where too few past tasks have fold scores.
        n_start: Size of the warm-start set where none is asked for, >= 1.
        proven_until: The first so many trials, >= 1, are chosen among the portfolio's configurations: the most promising
            of all others is too often one where the models err.
        closed: Whether the portfolio's configurations are all that a search may choose among, as long as one is new.
        facts: What made it; JSON-ready.
    """

    space: SearchSpace
    responses: Responses
    portfolio: Portfolio
    algorithm: Algorithm
    meta: MetaParams | None
    conditioner: Conditioner | None = None
    pruner: PrunerModel = NEVER
    n_start: int = 5
    proven_until: int = 1
    closed: bool = False
    facts: JSON = field(default_factory=dict)

    def conditioned(self, features: Mapping[str, float] | None) -> "Prior":
        """Return the prior for a task with these meta-features.

        Args:
            features: Meta-features by name; None, unknown names or a prior that learned none change nothing. What
                comes back is of one task: it is not conditioned again.
        """
        if features is None or self.conditioner is None:
            return self
        told = self.conditioner.conditioned(self.responses, features)
        return replace(self, responses=told, conditioner=None)

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
        region = Region.of(self._encoder, space)
        with _one_thread:
            found = self._propose(observed, pending, rng, region)
        if space is None or region is None:
            return found
        clipped = space.clip(found)  # steps, types, and the last decimal at an end
        return {name: value for name, value in clipped.items() if name in self.space.distributions}

    def _propose(
        self,
        observed: Sequence[Observation],
        pending: Sequence[Configuration],
        rng: np.random.Generator,
        region: Region | None,
    ) -> Configuration:
        encoder, n = self._encoder, len(observed)
        # In a narrower space few of the portfolio are left, and most of these moved to its edge.
        proven_only = self.closed or n < (self.proven_until if region is None else 1)
        seen = self._reading("proposal", support_of(observed, rng))
        running = encoder.to_units(list(pending))
        taken = np.concatenate([seen.units, running])
        rows = candidates(
            encoder,
            taken,
            normal_scores(seen.raw),
            self._proven,
            rng,
            region,
            proven_only=proven_only,
            given_only=self.closed,
        )
        if self.closed and n > 0 and n % COVER_EVERY == 0:
            cover = coverage(self.portfolio.regrets, self._proven, seen.units, seen.raw, rows)
            if cover.max() > 0:
                return encoder.from_units(rows[int(np.argmax(cover))])
        gain = self._gain(seen, encoder.expand(running), n)
        # Local search would leave the proven rows where they alone are wanted.
        rounds = 0 if proven_only else CLIMBS
        best = climbed(
            encoder, rows, lambda r: gain(encoder.expand(r)), taken, rng, region, rounds=rounds
        )
        return encoder.from_units(best)

    def hands_over(self, observed: Sequence[Observation]) -> bool:
        """Tell whether the trials contradict the past so clearly that a cold sampler should go on.

        The cold sampler's trials are trials like any other: should they agree with the past, it is asked again.
        Failed trials do not count: that a region fails, for memory for instance, says nothing of the past's scores.

        Args:
            observed: Finished trials, in order.
        """
        told = [trial for trial in observed if trial.score is not None]
        if len(told) < HAND_OVER_FROM or self.closed:
            return False
        with _one_thread:
            return self._reading("trust", told[-MAX_SUPPORT:]).model.trust() < LEAST_TRUST

    def _reading(self, use: str, trials: Sequence[Observation]) -> "_Reading":
        """Return what the trials say; mostly trust and proposal ask for the same ones, so the last answers are kept.

        Args:
            use: Who asks; with failed trials, or many, the two differ.
            trials: The trials.
        """
        wanted = list(trials)
        for kept in list(self._kept.values()):
            if kept.trials == wanted:
                return kept
        units = self._units(wanted)
        x, raw = self._encoder.expand(units), scores_of(trials)
        self._kept[use] = _Reading(wanted, units, x, raw, ResponseModel(self.responses, x, raw))
        return self._kept[use]

    def _units(self, trials: list[Observation]) -> FloatArray:
        """Return the trials' unit matrix, shape [n, p]; of those that an earlier reading began with it is known."""
        known = np.empty((0, self._encoder.n_parameters))
        for kept in list(self._kept.values()):
            n = len(kept.trials)
            if n > len(known) and trials[:n] == kept.trials:
                known = kept.units
        new = [trial.configuration for trial in trials[len(known) :]]
        return np.concatenate([known, self._encoder.to_units(new)])

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
        n_told = int(np.isfinite(seen.raw).sum())
        lost = self.closed and n_told >= HAND_OVER_FROM and seen.model.trust() < LEAST_TRUST
        if lost or (n >= first and n % TASK_ONLY_EVERY == 0):
            present = fit_task_only(*_joined(seen.x, normal_scores(seen.raw), running))
            return partial(log_gain, present)
        model = seen.model.believing(running) if len(running) else seen.model
        if self.meta is None or n_told < TRANSFER_FROM:
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
        """The last reading of each use; replaced as a whole, so threads at worst read twice."""
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
