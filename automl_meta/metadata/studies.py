"""Optuna studies as past tasks, and the common space of several studies."""

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.fold_scores import fold_scores
from automl_meta.metadata.past import PastTask, checked_features, past_task
from automl_meta.spaces import Condition, SearchSpace, units

_logger = logging.getLogger(__name__)

#: User attribute of a study: names to numbers that describe its task; ``fit`` writes it.
TASK_FEATURES = "task_features"
#: Orders in which trials with and without a parameter could stand: of so many one is no chance any more.
_LEAST_ORDERS = 1000
#: Whole numbers on which a parameter may hang have so many values at most, as numbers of layers have.
_MOST_LEVELS = 50


def past_tasks_of_studies(
    studies: Sequence[Study],
    space: SearchSpace,
    score_of: Callable[[FrozenTrial, float], float | None],
    features: Mapping[str, Mapping[str, float]] | None = None,
) -> list[PastTask]:
    """Read the finished trials of studies.

    Args:
        studies: Studies with one objective each, of either direction.
        space: The common space.
        score_of: (trial, sign) to the trial's score, greater is better, None for a failed one.
        features: Study name to numbers that describe its task, in the place of those that a study carries itself, in
            its user attribute ``task_features``.

    Returns:
        One task a study, without evaluations where it has no finished trial within the space, with fold scores where
        its trials reported them.

    Raises:
        InvalidParameterError: If a study has several objectives.
    """
    tasks = []
    for study, name in zip(studies, _unique([s.study_name for s in studies]), strict=True):
        sign = _sign(study)
        trials = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and t.params]
        scores = [score_of(trial, sign) for trial in trials]
        given = (features or {}).get(study.study_name)
        described = _carried_features(study) if given is None else given
        task = past_task(name, [trial.params for trial in trials], scores, space, described)
        tasks.append(replace(task, folds=fold_scores(trials, sign)))
    return tasks


def _carried_features(study: Study) -> dict[str, float]:
    """Return the numbers with which a study describes its own task; what is none is passed by with a warning."""
    carried = study.user_attrs.get(TASK_FEATURES, {})
    try:
        return checked_features(carried, f"study '{study.study_name}'")
    except InvalidParameterError as error:
        _logger.warning("A study's own description of its task is passed by. %s", error)
        return {}


def common_space(studies: Sequence[Study], name: str = "studies") -> SearchSpace:
    """Return the space that covers the finished trials of all studies.

    Ranges are united, and so are choices. A parameter that only some trials of a study have is
    conditional: on the categorical parameter whose value tells whether it is there, or on the whole number of which a
    threshold does. Where no parameter tells, it is taken to be active always, and is missing where it was not recorded.

    Args:
        studies: Studies with one objective each.
        name: Name of the space.

    Raises:
        InvalidParameterError: If no study has a finished trial with parameters, or a parameter is a
            number in one study and a category in another.
    """
    trials = [
        [t for t in study.get_trials(deepcopy=False) if t.state.is_finished() and t.params]
        for study in studies
    ]
    found: dict[str, BaseDistribution] = {}
    for trial in (t for of_study in trials for t in of_study):
        for parameter, distribution in trial.distributions.items():
            known = found.get(parameter)
            found[parameter] = (
                distribution if known is None else _united(parameter, known, distribution)
            )
    if not found:
        raise InvalidParameterError.of(
            "studies",
            "from_studies",
            "studies of which one has a finished trial with parameters",
            [study.study_name for study in studies],
            "Give past studies that were run.",
        )
    conditions = {p: c for p in found if (c := _condition(p, found, trials)) is not None}
    return SearchSpace(name, 1, _parents_first(found, conditions), conditions)


def check_studies(studies: object) -> Sequence[Study]:
    """Return the studies if a learner can be made of them.

    Raises:
        InvalidParameterError: If it is not a sequence of at least one study, or one has several objectives.
    """
    if (
        not isinstance(studies, Sequence)
        or not studies
        or not all(isinstance(s, Study) for s in studies)
    ):
        raise InvalidParameterError.of(
            "studies",
            "from_studies",
            "a list of at least one optuna.Study",
            studies,
            "Load them with optuna.load_study, or use from_storage.",
        )
    for study in studies:
        _sign(study)
    return studies


def load_studies(
    storage: str | Path | BaseStorage,
    names: Sequence[str] | None = None,
    *,
    where: str = "from_storage",
    parameters: tuple[str, str] = ("storage", "names"),
) -> list[Study]:
    """Load the studies of a storage.

    Args:
        storage: A database URL, the path of a journal file, or a storage.
        names: Their names; by default all studies with one objective.
        where: Function or command that was asked, for errors.
        parameters: What ``storage`` and ``names`` are called there.

    Raises:
        InvalidParameterError: If a name is not in the storage, there is no study in it, or it is no storage.
        StoreError: If the storage cannot be opened.
    """
    _check_source(storage, names, where, parameters)
    if isinstance(names, str):
        names = [names]
    try:
        opened = _opened(str(storage) if isinstance(storage, Path) else storage)
        known = [s for s in optuna.get_all_study_summaries(opened) if len(s.directions) == 1]
        every = optuna.get_all_study_names(opened)
    except (SQLAlchemyError, OSError, ValueError, ImportError) as error:
        shown = _shown(storage)
        msg = f"Cannot open the storage {shown}: {error}. Give a URL such as sqlite:///past.db."
        raise StoreError(msg) from error
    if not (every if names else known):
        found = f"{_shown(storage)} with {_listed(every)}"
        remedy = "Give one that past studies are in, and leave this one out."
        if every:
            remedy = "Make a table of one of their values and use MetaLearner.from_frame."
        rule = "a storage that has a study with one objective"
        raise InvalidParameterError.of(parameters[0], where, rule, found, remedy)
    wanted = [s.study_name for s in known] if names is None else list(names)
    absent = [name for name in wanted if name not in every]
    if absent or not wanted:
        rule = f"among the storage's studies ({', '.join(every)})"
        raise InvalidParameterError.of(parameters[1], where, rule, absent, "Check the names.")
    return [optuna.load_study(study_name=name, storage=opened) for name in wanted]


def _listed(names: Sequence[str]) -> str:
    return f"none, only those with several ({', '.join(names)})" if names else "no study"


def _shown(storage: object) -> str:
    """Return a storage as a message may show it: without a password."""
    if not isinstance(storage, str) or "://" not in storage:
        return str(storage)
    try:
        shown = make_url(storage).render_as_string(hide_password=True)
    except (SQLAlchemyError, ValueError):
        shown = re.sub(r"://.*@", "://***@", storage)
    return re.sub(r"(?i)(password|passwd|pwd)=[^&;]*", r"\1=***", shown)


def _check_source(storage: object, names: object, where: str, parameters: tuple[str, str]) -> None:
    if not isinstance(storage, str | Path | BaseStorage) or not str(storage).strip():
        rule = "a database URL, the path of a journal file, or an Optuna storage"
        remedy = "Try 'sqlite:///past.db'."
        raise InvalidParameterError.of(parameters[0], where, rule, storage, remedy)
    if names is not None and not isinstance(names, Sequence):
        rule, remedy = "a list of study names, or None", f"Try {parameters[1]}=['a']."
        raise InvalidParameterError.of(parameters[1], where, rule, names, remedy)


def _opened(storage: str | BaseStorage) -> BaseStorage:
    """Open a storage for reading; a file that does not exist is an error, not a new database."""
    if isinstance(storage, BaseStorage):
        return storage
    is_journal = "://" not in storage
    path = storage if is_journal else _sqlite_file(storage)
    if path is not None and not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if is_journal:
        return JournalStorage(JournalFileBackend(storage))
    return RDBStorage(storage)


def _sqlite_file(url: str) -> str | None:
    """Return the file that a URL of SQLite names; None for other databases."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    path = parsed.database or ":memory:"
    return path.removeprefix("file:").partition("?")[0] if path.startswith("file:") else path


def _sign(study: Study) -> float:
    if len(study.directions) != 1:
        raise InvalidParameterError.of(
            "studies",
            "from_studies",
            "studies with one objective",
            f"'{study.study_name}' with {len(study.directions)} objectives",
            "Leave it out, or make a table of one of its values and use MetaLearner.from_frame.",
        )
    return -1.0 if study.directions[0] == StudyDirection.MINIMIZE else 1.0


def _unique(names: Sequence[str]) -> list[str]:
    """Return names with a number appended to those that are not the first of theirs."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result


def _united(name: str, a: BaseDistribution, b: BaseDistribution) -> BaseDistribution:
    both = units.united(a, b)
    if both is None:
        raise InvalidParameterError.of(
            name,
            "from_studies",
            "of one type in all studies",
            f"{a} in one and {b} in another",
            "Leave out one kind of study, or rename the parameter.",
        )
    return both


def _condition(
    name: str, found: Mapping[str, BaseDistribution], trials: Sequence[Sequence[FrozenTrial]]
) -> Condition | None:
    """Return the parameter and its values that tell whether another parameter is there."""
    # Only studies that know the parameter: where it was never searched, its absence says nothing.
    rows = [t for study in trials if any(name in t.params for t in study) for t in study]
    # A failed trial may have stopped before it was asked for the parameter.
    rows = [t for t in rows if t.state != TrialState.FAIL or name in t.params]
    having = [t for t in rows if name in t.params]
    if len(having) == len(rows):
        return None
    # A category that tells explains more than a number that does.
    for kind, values_of in ((CategoricalDistribution, _choices), (IntDistribution, _side)):
        for parent, distribution in found.items():
            if parent == name or not isinstance(distribution, kind):
                continue
            lacking = [t for t in rows if name not in t.params and parent in t.params]
            # Where no trial has the parent alone, it tells nothing: both may hang on a third one.
            if lacking and all(parent in t.params for t in having):
                values = values_of(parent, distribution, having, lacking)
                if values:
                    return Condition(parent, tuple(values))
    return None


def _choices(
    parent: str, _: BaseDistribution, having: Sequence[FrozenTrial], lacking: Sequence[FrozenTrial]
) -> list[Any]:
    """Return the choices of the trials that have a parameter, if no trial that lacks it has one of them."""
    with_it, without = _values(parent, having), _values(parent, lacking)
    if any(units.same_value(a, b) for a in with_it for b in without):
        return []
    return with_it


def _side(
    parent: str,
    distribution: BaseDistribution,
    having: Sequence[FrozenTrial],
    lacking: Sequence[FrozenTrial],
) -> list[int]:
    """Return the numbers on one side of a threshold, if it parts the trials that have a parameter from those that lack it.

    That is how a parameter of the third layer hangs on the number of layers. A few trials are parted by some number by
    chance, so they must be more than that.
    """
    assert isinstance(distribution, IntDistribution)
    n_levels = units.n_levels(distribution)
    if not units.is_countable(distribution) or n_levels is None or n_levels > _MOST_LEVELS:
        return []
    # Where one side has so many trials, one on the other is enough; of a million, exact numbers would take seconds.
    sizes = [min(len(part), _LEAST_ORDERS) for part in (having, lacking)]
    if math.comb(sum(sizes), sizes[0]) < _LEAST_ORDERS:
        return []
    numbers = range(distribution.low, distribution.high + 1, distribution.step)
    with_it, without = ([int(t.params[parent]) for t in part] for part in (having, lacking))
    if min(with_it) > max(without):
        return [n for n in numbers if n >= min(with_it)]
    if max(with_it) < min(without):
        return [n for n in numbers if n <= max(with_it)]
    return []


def _values(name: str, trials: Sequence[FrozenTrial]) -> list[Any]:
    result: list[Any] = []
    for trial in trials:
        if not any(units.same_value(trial.params[name], known) for known in result):
            result.append(trial.params[name])
    return result


def _parents_first(
    found: Mapping[str, BaseDistribution], conditions: dict[str, Condition]
) -> dict[str, BaseDistribution]:
    """Return the distributions with parents before children; a condition in a circle is dropped."""
    ordered: dict[str, BaseDistribution] = {}
    while len(ordered) < len(found):
        ready = [
            name
            for name in found
            if name not in ordered
            and (name not in conditions or conditions[name].parent in ordered)
        ]
        if not ready:
            conditions.pop(next(name for name in found if name not in ordered))
            continue
        ordered.update({name: found[name] for name in ready})
    return ordered
