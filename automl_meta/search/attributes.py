"""What a search writes beside a trial, and the one place that touches Optuna's storage for it.

Optuna offers samplers no public way to annotate a trial: its own samplers write to the storage too.
"""

from collections.abc import Collection, Mapping
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial

from automl_meta._typing import ParamValue

#: User attribute: ``"warm start"``, ``"user"``, ``"model"``, ``"tpe"`` or ``"random"``.
ORIGIN = "origin"
WARM_START = "warm start"
#: User attribute of an enqueued trial: its configuration.
QUEUED = "queued"
#: User attribute: true where a trial ended for a reason that says nothing about its configuration.
INTERRUPTED = "interrupted"
#: System attribute: the whole configuration planned for a trial, visible to all workers at once.
PLAN = "automl_meta:plan"
_FIXED = "fixed_params"


def set_user_attr(study: Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Write a user attribute, to the storage and to the copy that the live trial shows.

    Args:
        study: The study, or one bracket of it under Hyperband.
        trial: The trial that a sampler was handed.
        key: Name.
        value: JSON-serialisable.
    """
    study._storage.set_trial_user_attr(trial._trial_id, key, value)  # noqa: SLF001
    # The live trial shares this dictionary and would not see the storage's change otherwise.
    trial.user_attrs[key] = value


def write_plan(study: Study, trial: FrozenTrial, plan: Mapping[str, ParamValue]) -> None:
    """Write the configuration planned for a trial.

    Args:
        study: The study, or one bracket of it.
        trial: A running trial.
        plan: The configuration; empty where the prior has nothing to say.
    """
    study._storage.set_trial_system_attr(trial._trial_id, PLAN, dict(plan))  # noqa: SLF001
    trial.system_attrs[PLAN] = dict(plan)  # as for the user attributes


def read_plan(trial: FrozenTrial) -> dict[str, ParamValue] | None:
    """Return the configuration planned for a trial, or None if there is no plan yet.

    Args:
        trial: Any trial.
    """
    plan = trial.system_attrs.get(PLAN)
    return dict(plan) if plan is not None else None


def fixed_params(trial: FrozenTrial) -> dict[str, ParamValue]:
    """Return the values that an enqueued trial must use; empty for other trials.

    Args:
        trial: Any trial.
    """
    return dict(trial.system_attrs.get(_FIXED, {}))


def release(trial: FrozenTrial, names: Collection[str]) -> None:
    """Let values of an enqueued trial be sampled: of this live trial, the storage keeps what was queued.

    Args:
        trial: A trial that a sampler was handed before it starts.
        names: Parameters that are no longer fixed.
    """
    fixed = fixed_params(trial)
    trial.system_attrs[_FIXED] = {n: value for n, value in fixed.items() if n not in names}
