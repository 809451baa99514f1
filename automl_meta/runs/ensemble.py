"""From the completed trials of a run to the model's members: selection, refit, the records of both."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sklearn
from optuna.trial import FrozenTrial, TrialState

from automl_meta._typing import JSON, Configuration, FloatArray
from automl_meta.evaluation import Folds, greedy_selection, score_folds
from automl_meta.pipelines import Family
from automl_meta.runs.predictions import PredictionStore
from automl_meta.tasks.task import Task

#: Trials taken by the selection, repetitions included: weights are multiples of a 25th or coarser.
ROUNDS = 25
#: Only the best trials are candidates: it bounds memory, time and what chance can find.
CANDIDATES = 50


@dataclass(frozen=True)
class Member:
    """One trial in the model.

    Attributes:
        trial: Its number.
        family: Name of its family.
        configuration: What is refitted.
        weight: Its share of the average, in (0, 1].
    """

    trial: int
    family: str
    configuration: Configuration
    weight: float


@dataclass(frozen=True)
class Ensemble:
    """What the model of a run consists of.

    Attributes:
        members: At least one, greatest weight first; the shares sum to 1.
        score: Cross-validation score of the average, the members chosen by it; of a single member its own.
        fold_scores: The same for each fold.
        candidates: Completed trials whose predictions could be averaged.
        reason: One sentence that says why these members.
    """

    members: tuple[Member, ...]
    score: float
    fold_scores: tuple[float, ...]
    candidates: int
    reason: str

    def to_json(self, dropped: Sequence[JSON] = ()) -> JSON:
        """Return the ``ensemble`` object of ``result.json``.

        Args:
            dropped: Members that could not be refitted, ``trial`` and ``reason``.
        """
        return {
            "used": len(self.members) > 1,
            "reason": self.reason,
            "candidates": self.candidates,
            "score": self.score,
            "fold_scores": list(self.fold_scores),
            "members": [
                {"trial": member.trial, "family": member.family, "weight": member.weight}
                for member in self.members
            ],
            "dropped": list(dropped),
        }


@dataclass(frozen=True)
class Selector:
    """Chooses the members of a run's model by their predictions on the folds.

    No held-out row is looked at.

    Attributes:
        task: The task.
        folds: The folds of the search.
        family: The family that was searched.
        store: The predictions of its trials.
    """

    task: Task
    folds: Folds
    family: Family
    store: PredictionStore

    def choose(self, trials: Sequence[FrozenTrial], most: int) -> Ensemble:
        """Choose the members.

        Args:
            trials: Trials of the search, at least one of them completed.
            most: Most members; 1 is the best trial.

        Returns:
            The ensemble, or the best trial alone where no average scores better.
        """
        complete, alone = self._complete(trials), self.best(trials)
        if most == 1:
            return alone
        loaded = [(t, self.store.load(t.number)) for t in complete[:CANDIDATES]]
        candidates = {t.number: output for t, output in loaded if output is not None}
        alone = replace(alone, candidates=len(candidates))
        if len(candidates) < 2:
            reason = "There are no two trials with predictions to average: the best trial alone."
            return replace(alone, reason=reason)
        chosen = self._average({t.number: t for t in complete}, candidates, most)
        if len(chosen.members) < 2 or not chosen.score > alone.score:
            return replace(alone, reason="No average scores better than the best trial alone.")
        return chosen

    def best(self, trials: Sequence[FrozenTrial]) -> Ensemble:
        """Return the best trial alone.

        Args:
            trials: Trials of the search, at least one of them completed.
        """
        best = self._complete(trials)[0]
        scores = tuple(float(score) for score in best.user_attrs["fold_scores"])
        reason = "One model was asked for: the best trial."
        return Ensemble((self._member(best, 1.0),), float(best.value or 0.0), scores, 0, reason)

    @staticmethod
    def _complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the completed trials, best first, of equal ones the earlier."""
        complete = [t for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
        return sorted(complete, key=lambda t: (-float(t.value or 0.0), t.number))

    def _average(
        self, trials: Mapping[int, FrozenTrial], outputs: Mapping[int, FloatArray], most: int
    ) -> Ensemble:
        def score(output: FloatArray) -> float:
            try:
                return float(np.mean(score_folds(self.task, self.folds, output)))
            except ValueError:  # undefined for this average
                return -np.inf

        numbers = list(outputs)
        with sklearn.config_context(skip_parameter_validation=True):
            chosen = greedy_selection(
                [outputs[n] for n in numbers], score, rounds=ROUNDS, members=most
            )
        members = tuple(
            self._member(trials[numbers[i]], share) for i, share in chosen.weights.items()
        )
        parts = self._fold_scores(members, outputs)
        reason = (
            f"{len(members)} of {len(numbers)} candidates, averaged: greedy selection with replacement "
            "over their out-of-fold predictions."
        )
        return Ensemble(members, float(np.mean(parts)), parts, len(numbers), reason)

    def without(self, ensemble: Ensemble, failed: Collection[int]) -> Ensemble:
        """Leave members out that could not be refitted, and score what remains.

        Args:
            ensemble: The choice.
            failed: Numbers of their trials; at least one member must remain.

        Returns:
            The ensemble with the other members' shares scaled to sum to 1.
        """
        kept = [member for member in ensemble.members if member.trial not in failed]
        if len(kept) == len(ensemble.members):
            return ensemble
        total = sum(member.weight for member in kept)
        members = tuple(replace(member, weight=member.weight / total) for member in kept)
        outputs = {member.trial: self.store.load(member.trial) for member in members}
        parts = self._fold_scores(members, {n: o for n, o in outputs.items() if o is not None})
        left = len(ensemble.members) - len(members)
        reason = f"{ensemble.reason} Left out, because the refit failed: {left}."
        return replace(
            ensemble,
            members=members,
            score=float(np.mean(parts)),
            fold_scores=parts,
            reason=reason,
        )

    def _fold_scores(
        self, members: Sequence[Member], outputs: Mapping[int, FloatArray]
    ) -> tuple[float, ...]:
        blend = np.sum([member.weight * outputs[member.trial] for member in members], axis=0)
        return score_folds(self.task, self.folds, blend)

    def _member(self, trial: FrozenTrial, weight: float) -> Member:
        configuration = dict(trial.params)
        name = self.family.member_name(configuration)
        return Member(trial.number, name, configuration, weight)
