"""The lines of ``ablation.py``: the shipped search, and one change each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from automl_meta._typing import FloatArray
from automl_meta.metalearn import FOMAML, MAML, Algorithm, MetaSGD, Reptile
from automl_meta.prior import acquisition, mixture, past, past_portfolio, scores
from automl_meta.prior import prior as proposals
from automl_meta.prior.responses import WARPS

SHARES = mixture.COMPONENTS
TPE_FROM = 20
DRAWS = acquisition._draws  # noqa: SLF001


@dataclass(frozen=True)
class Variation:
    """One line of the table.

    Attributes:
        name: What is different.
        constants: (module, name) to another value while it searches.
        learning: (module, name, another value) while it learns.
        algorithm: How the deep kernel adapts.
        start: Starting points; 0 for as many as reports have.
        warps: How scores become comparable, for the response model.
        tpe_every: From the twentieth trial on every nth is Optuna's TPE's; 0 for none.
        seed: Of learning and of search; where nothing else differs, the line tells what chance does.
        learned_steps: Whether local search steps as far along each parameter as the past tasks' best configurations
            lie apart in it, instead of equally far in all.
    """

    name: str
    constants: Mapping[tuple[Any, str], Any] = field(default_factory=dict)
    learning: tuple[tuple[Any, str, Any], ...] = ()
    algorithm: Algorithm = field(default_factory=lambda: MetaSGD(initial_rate=0.01, steps=1))
    start: int = 0
    warps: Sequence[str] = WARPS
    tpe_every: int = 0
    seed: int = 0
    learned_steps: bool = False


class Blended(optuna.samplers.BaseSampler):
    """A sampler of ours with TPE's proposals among its own.

    Args:
        ours: The sampler.
        every: From trial ``TPE_FROM`` on every nth is TPE's.
    """

    def __init__(self, ours: optuna.samplers.BaseSampler, every: int) -> None:
        self._ours, self._every = ours, every
        self._tpe = optuna.samplers.TPESampler(seed=0)

    def _of(self, trial: FrozenTrial) -> optuna.samplers.BaseSampler:
        late = trial.number >= TPE_FROM
        return self._tpe if late and trial.number % self._every == 0 else self._ours

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Ask whose trial it is."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask whose trial it is."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, distribution: Any
    ) -> Any:
        """Ask whose trial it is."""
        return self._of(trial).sample_independent(study, trial, param_name, distribution)


def variations(problem: str) -> list[Variation]:
    """Return the shipped setting first, then one change each.

    Args:
        problem: Where whole spaces are searched, other things matter than on tables.
    """
    return of_open_spaces() if problem == "lcbench" else of_tables()


def of_tables() -> list[Variation]:
    """Return the variations for searches among given configurations."""
    weight, temper = (proposals, "TRANSFER_WEIGHT"), (mixture, "TEMPER")
    shares, never = (mixture, "COMPONENTS"), 10**9
    return [
        Variation("as shipped"),
        Variation("another seed", seed=1),
        Variation("a third seed", seed=2),
        Variation("1 starting point", start=1),
        Variation("3 starting points", start=3),
        Variation("8 starting points", start=8),
        Variation("no deep kernel", {weight: 0.0}),
        Variation("deep kernel not adapted", algorithm=MAML(rate=1e-9, steps=1)),
        Variation("deep kernel by MAML", algorithm=MAML(rate=0.01, steps=1)),
        Variation("deep kernel by FOMAML", algorithm=FOMAML(rate=0.01, steps=1)),
        Variation("deep kernel by Reptile", algorithm=Reptile(rate=0.01, steps=5)),
        Variation(
            "deep kernel by Meta-SGD, 3 steps", algorithm=MetaSGD(initial_rate=0.01, steps=3)
        ),
        Variation("deep kernel of weight .5", {weight: 0.5}),
        Variation("no task-only proposals", {(proposals, "TASK_ONLY_FROM_IF_CLOSED"): never}),
        Variation(
            "every fifth proposal task-only",
            {(proposals, "TASK_ONLY_FROM_IF_CLOSED"): 10, (proposals, "TASK_ONLY_EVERY"): 5},
        ),
        Variation("every fourth proposal TPE's from the twentieth on", tpe_every=4),
        Variation("no proposals by coverage", {(proposals, "COVER_EVERY"): never}),
        Variation("every fourth proposal by coverage", {(proposals, "COVER_EVERY"): 4}),
        Variation("no new structure", {shares: SHARES[:1]}),
        Variation("evidence not tempered", {temper: 1.0}),
        Variation("evidence to the power .5", {temper: 0.5}),
        Variation("scores as ranks alone", warps=("rank",)),
        Variation("scores as log regrets alone", warps=("gap",)),
        Variation("noise of .03", {shares: with_noise(0.03)}),
        Variation("noise of .3", {shares: with_noise(0.3)}),
        Variation("half the kernel's length", {(mixture, "_LENGTH"): 0.5 * mixture._LENGTH}),  # noqa: SLF001
    ]


def of_open_spaces() -> list[Variation]:
    """Return the variations for searches of whole spaces."""
    weight, temper = (proposals, "TRANSFER_WEIGHT"), (mixture, "TEMPER")
    climbs, never = (proposals, "CLIMBS"), 10**9
    as_evaluated = ((past_portfolio, "REFINED", 0),)

    def cut(by: Callable[[FloatArray], FloatArray]) -> tuple[tuple[Any, str, Any], ...]:
        return ((past, "bounded", by), (past_portfolio, "bounded", by))

    return [
        Variation("as shipped"),
        Variation("another seed", seed=1),
        Variation("a third seed", seed=2),
        Variation("3 starting points", start=3),
        Variation("5 starting points", start=5),
        Variation("8 starting points", start=8),
        Variation("starting point as evaluated", learning=as_evaluated),
        Variation("no local search", {climbs: 0}),
        Variation("neither", {climbs: 0}, as_evaluated),
        Variation("local search by learned steps", learned_steps=True),
        Variation("past scores whole", learning=cut(whole)),
        Variation("past scores without the worst tenth", learning=cut(scores.trimmed)),
        Variation("past scores cut off at 3 times", learning=((scores, "_REACH", 3.0),)),
        Variation("past scores cut off at 4 times", learning=((scores, "_REACH", 4.0),)),
        Variation(
            "starting point without the worst tenth",
            learning=((past_portfolio, "bounded", scores.trimmed),),
        ),
        Variation("no deep kernel", {weight: 0.0}),
        Variation("deep kernel not adapted", algorithm=MAML(rate=1e-9, steps=1)),
        Variation("no task-only proposals", {(proposals, "TASK_ONLY_FROM"): never}),
        Variation("every fourth proposal TPE's from the twentieth on", tpe_every=4),
        Variation("evidence not tempered", {temper: 1.0}),
        Variation("evidence to the power .5", {temper: 0.5}),
        Variation("noise of .03", {(mixture, "COMPONENTS"): with_noise(0.03)}),
        Variation("noise of .3", {(mixture, "COMPONENTS"): with_noise(0.3)}),
        Variation(
            "the best expected trial is the incumbent",
            {(mixture.ResponseModel, "_gain"): over_expected},
        ),
    ]


def with_noise(noise: float) -> tuple[tuple[float, float, float], ...]:
    """Return the mixture's components with another noise."""
    return tuple((share, noise, weight) for share, _, weight in SHARES)


def whole(raw: FloatArray) -> FloatArray:
    """Return scores as they are."""
    return raw


def over_expected(model: Any, x: FloatArray, components: Sequence[Any]) -> FloatArray:
    """Return the log expected improvement over the best expected trial instead of the best one."""
    at_trials = model._predictions(model._x, components)  # noqa: SLF001
    gains = []
    pairs = zip(at_trials, model._predictions(x, components), strict=True)  # noqa: SLF001
    for (_, seen, _), (component, mean, variance) in pairs:
        best = np.max(seen if len(seen) else mean, axis=0)
        spread = np.broadcast_to(variance[:, None], mean.shape)
        unit = model._responses.warps[component.warp].unit  # noqa: SLF001
        gain = acquisition.log_expected_improvement(mean - best, spread, 0.0)
        gains.append(gain - np.log(unit) + component.log_weights)
    return np.asarray(np.logaddexp.reduce(np.concatenate(gains, axis=1), axis=1))


def draws_by(steps: FloatArray, row: FloatArray, n: int, rng: np.random.Generator) -> Any:
    """Return what ``acquisition._draws`` does, with longer steps in some parameters than in others."""
    start, change, moved, anew = DRAWS(row, n, rng)
    return start, change, start + steps * (moved - start), anew
