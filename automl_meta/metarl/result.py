"""The record of a meta-reinforcement-learning run: ``result.json``."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from automl_meta._typing import JSON
from automl_meta.metarl.evaluate import Outcome
from automl_meta.metarl.settings import MetaRLSettings
from automl_meta.statistics import half_interval
from automl_meta.training.folder import ResultFolder

SCHEMA = "automl-meta/metarl/1"
FOLDER = ResultFolder("metarl", SCHEMA)


@dataclass(frozen=True)
class MetaRLResult:
    """A run and where it lies.

    Attributes:
        path: Its folder: ``result.json``, ``meta.safetensors`` and ``training/`` with log and checkpoint.
        document: The content of ``result.json``.
    """

    path: Path
    document: JSON

    @property
    def finished(self) -> bool:
        """Whether training ended by itself and the test is done."""
        return bool(self.document["status"] == "finished")


def settings_record(settings: MetaRLSettings) -> JSON:
    """Return settings as they are stored: JSON-ready and flat but for ``training``."""
    record: JSON = json.loads(json.dumps(asdict(settings)))
    return record


def outcome_record(name: str, outcome: Outcome, learned: Outcome, published: float | None) -> JSON:
    """Return one entry of ``methods``.

    Args:
        name: Of the method.
        outcome: What it reached.
        learned: What the trained policy reached on the same trials.
        published: What a paper reached with the same method, or None.
    """
    ahead = learned.totals - outcome.totals
    return {
        "name": name,
        "mean": finite(outcome.mean),
        "interval95": finite(outcome.interval95),
        "learned_ahead": finite(ahead.mean().item()),
        "learned_ahead_interval95": finite(half_interval(ahead.numpy())),
        "published": published,
        "rewards": _rounded(outcome.rewards),
        "regrets": None if outcome.regrets is None else _rounded(outcome.regrets),
    }


def _rounded(values: Tensor) -> list[float | None]:
    return [finite(value, 5) for value in values.tolist()]


def finite(value: float, digits: int = 4) -> float | None:
    """Return a rounded number, or None where there is none: a policy that diverges has no reward.

    Args:
        value: Any number.
        digits: Behind the point.

    Example:
        >>> finite(0.123456), finite(float("nan"))
        (0.1235, None)
    """
    return round(value, digits) if math.isfinite(value) else None
