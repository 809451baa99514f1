"""The settings of one run, checked once and kept in the run's journal."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from automl_meta._typing import JSON
from automl_meta.exceptions import InvalidParameterError, check_int

#: Settings that are whole numbers: least and greatest value, and what to try.
_WHOLE = {
    "trials": (1, 1_000_000, "Try --trials 30."),
    "folds": (2, 50, "Try --folds 5."),
    "seed": (0, 2**32 - 1, "Try --seed 0."),
    "jobs": (1, 1024, "Try --jobs 1."),
    "ensemble": (1, 1000, "Try --ensemble 10; 1 is the single best trial."),
    "memory_limit": (64, 2**31, "Try --memory-limit 4096."),
}
#: Settings that a resumed run may change: they say how long to search and what is made of it, not what
#: is searched.
RESUMABLE = frozenset({"trials", "timeout", "jobs", "ensemble", "trial_time_limit", "memory_limit"})


@dataclass(frozen=True)
class FitSettings:
    """Settings of ``fit``.

    Attributes:
        family: Name of a family, or ``"auto"``.
        trials: Trials in all, warm starts included, >= 1.
        timeout: Seconds that the search may take, > 0, or None; it covers the trials only, not loading
            the task before them nor the choice of members, the refits, the defaults and the report after them.
        folds: Cross-validation folds inside the training part, 2 to 50.
        seed: Seed of the folds, the sampler and the estimators, 0 to 2**32 - 1.
        jobs: Trials evaluated at the same time, >= 1, each on one thread.
        prior: ``"default"``, ``"none"`` or the path of a trained meta-learner.
        ensemble: Most trials that the final model averages, >= 1; 1 is the single best trial.
        trial_time_limit: Seconds that one trial may take, all folds together, > 0.
        memory_limit: MiB that one trial may use beyond the libraries' own, >= 64, or None for no limit.

    Raises:
        InvalidParameterError: If a value breaks its rule.

    Example:
        >>> FitSettings(trials=10).folds
        5
    """

    family: str = "auto"
    trials: int = 30
    timeout: float | None = None
    folds: int = 5
    seed: int = 0
    jobs: int = 1
    prior: str = "default"
    ensemble: int = 10
    trial_time_limit: float = 300.0
    memory_limit: int | None = 4096

    def __post_init__(self) -> None:
        for name, (low, high, remedy) in _WHOLE.items():
            value = getattr(self, name)
            if value is not None or name != "memory_limit":
                check_int(value, name, "fit", low, high, remedy=remedy)
        _seconds("trial_time_limit", self.trial_time_limit, "Try --trial-time-limit 5m.")
        if self.timeout is not None:
            _seconds("timeout", self.timeout, "Try --timeout 10m.")

    def to_json(self) -> JSON:
        """Return the settings as the ``settings`` object of ``result.json``."""
        return asdict(self)

    def check_resumes(self, stored: JSON) -> None:
        """Check that these settings continue a run that was started with ``stored``.

        Args:
            stored: ``to_json()`` of the run that was interrupted.

        Raises:
            InvalidParameterError: If a setting that decides what is searched differs.
        """
        for item in fields(self):
            mine, theirs = getattr(self, item.name), stored.get(item.name)
            if item.name not in RESUMABLE and mine != theirs:
                flag = item.name.replace("_", "-")
                raise InvalidParameterError.of(
                    item.name,
                    "fit with resume",
                    f"{theirs!r}, as the run was started",
                    mine,
                    f"Try --{flag} {theirs}, or start a new run in another --output.",
                )


def _seconds(name: str, value: Any, remedy: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise InvalidParameterError.of(name, "fit", "a number of seconds > 0", value, remedy)
