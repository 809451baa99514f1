"""Readers that make problems of the data that definitions name."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from automl_meta._resources import data_folder, no_data, tasks_folder
from automl_meta._typing import Configuration
from automl_meta.benchmark.hpo.definition import Definition, load_definition
from automl_meta.benchmark.hpo.groups import groups_of_descriptions, groups_of_responses
from automl_meta.benchmark.hpo.problem import Problem
from automl_meta.benchmark.hpo.yahpo import yahpo_problem
from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.past import past_task
from automl_meta.metadata.splits import task_folds
from automl_meta.metadata.store import read_evaluations, read_tasks
from automl_meta.pipelines import combine, get_family, join
from automl_meta.spaces import Condition, Encoder, SearchSpace

#: Descriptions that versions of one data set among OpenML's have in common.
_QUALITIES = ("NumberOfInstances", "NumberOfFeatures", "NumberOfClasses", "MajorityClassSize")


@cache
def load_problem(name: str, data: Path | None = None) -> Problem:
    """Load a problem; it is kept in memory, for every fold and method asks for it.

    Args:
        name: Name or path of a definition.
        data: The data folder; None for the one that ``AUTOML_META_DATA`` names.

    Raises:
        InvalidParameterError: If there is no such definition, or it names an unknown reader.
        StoreError: If its data are missing or damaged.
    """
    definition = load_definition(name)
    readers = {
        "yahpo": yahpo_problem,
        "oboe": _oboe,
        "openml100": _openml100,
        "evaluations": _evaluations,
    }
    if definition.source not in readers:
        raise InvalidParameterError.of(
            "source",
            definition.name,
            f"among {', '.join(readers)}",
            definition.source,
            "Choose one.",
        )
    folder = data_folder() if data is None else data
    if folder is None and definition.source != "evaluations":
        raise StoreError(no_data(f"The problem {definition.name}"))
    try:
        return readers[definition.source](definition, folder or Path())
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, StoreError | InvalidParameterError):
            raise
        msg = f"Cannot read the data of {definition.name} below {folder}: {error!r}. Check the data folder."
        raise StoreError(msg) from error


def problem_of(problem: str | Problem) -> Problem:
    """Return a problem itself, or the one of that name.

    Args:
        problem: A problem made in Python, or what ``load_problem`` takes.
    """
    return problem if isinstance(problem, Problem) else load_problem(problem)


def _oboe(definition: Definition, data: Path) -> Problem:
    folder = data / definition.option("folder")
    settings = json.loads((folder / "configs.json").read_text(encoding="utf-8"))
    with np.load(folder / "oboe.npz", allow_pickle=False) as stored:
        scores = 1.0 - stored["error"].astype(np.float64)
        names = tuple(str(i) for i in stored["openml_dataset_id"])
    space, configurations = _space_of_settings(definition.name, settings)
    rows = Encoder(space).to_units(configurations)
    return Problem(
        definition=definition,
        space=space,
        names=names,
        rows=(rows,) * len(scores),
        scores=tuple(scores),
        groups=groups_of_responses(scores),
    )


def _space_of_settings(
    name: str, settings: list[dict[str, Any]]
) -> tuple[SearchSpace, list[Configuration]]:
    """Return a space with the kind of model as its root, numbers as places on their own grids."""
    kinds = list(dict.fromkeys(s["algorithm"] for s in settings))
    distributions: dict[str, BaseDistribution] = {"algorithm": CategoricalDistribution(kinds)}
    conditions, levels = {}, {}
    for kind in kinds:
        own = [s["hyperparameters"] for s in settings if s["algorithm"] == kind]
        for parameter in dict.fromkeys(key for hyper in own for key in hyper):
            values = list(dict.fromkeys(hyper[parameter] for hyper in own))
            full = f"{kind}.{parameter}"
            if all(isinstance(v, int | float) for v in values):
                levels[full] = sorted(values)
                distributions[full] = IntDistribution(0, len(values) - 1)
            else:
                distributions[full] = CategoricalDistribution(values)
            conditions[full] = Condition("algorithm", (kind,))
    configurations: list[Configuration] = [
        {
            "algorithm": s["algorithm"],
            **{
                f"{s['algorithm']}.{p}": levels[f"{s['algorithm']}.{p}"].index(v)
                if f"{s['algorithm']}.{p}" in levels
                else v
                for p, v in s["hyperparameters"].items()
            },
        }
        for s in settings
    ]
    return SearchSpace(name, 1, distributions, conditions), configurations


def _openml100(definition: Definition, data: Path) -> Problem:
    assert definition.space is not None
    table = pd.read_csv(data / definition.option("file"))
    table = table.rename(columns=definition.option("columns"))
    qualities = pd.read_csv(data / definition.option("qualities")).set_index("openml_task_id")
    parameters = list(definition.space.distributions)
    tasks = []
    for number, group in table.groupby("task_id", sort=True):
        records = [
            {str(k): v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
            for row in group[parameters].to_dict("records")
        ]
        scores = group["predictive_accuracy"].to_numpy(dtype=np.float64)
        tasks.append(past_task(str(number), records, scores, definition.space))
    described = [_qualities(qualities, int(task.name)) for task in tasks]
    keys = [[q.get(name, i) for name in _QUALITIES] for i, q in enumerate(described)]
    return Problem(
        definition=definition,
        space=definition.space,
        names=tuple(task.name for task in tasks),
        rows=tuple(task.units for task in tasks),
        scores=tuple(task.scores for task in tasks),
        groups=groups_of_descriptions(keys),
        features=tuple(described),
    )


def _qualities(table: pd.DataFrame, task: int) -> Mapping[str, float]:
    if task not in table.index:
        return {}
    row: dict[Any, Any] = table.drop(columns="name").loc[[task]].iloc[0].dropna().to_dict()
    return {str(name): float(value) for name, value in row.items()}


def _evaluations(definition: Definition, _data: Path) -> Problem:
    problem = definition.option("problem")
    folder = Path(definition.options.get("folder", tasks_folder() / "evaluations"))
    table = read_evaluations(folder)
    records = [
        r for r in read_tasks(folder) if (r.kind == "regression") == (problem == "regression")
    ]
    table = table[table["task"].isin([r.title for r in records]) & (table["origin"] != "random")]
    names = list(dict.fromkeys(table["family"]))
    space = combine([get_family(name) for name in names]).space(problem)
    encoder = Encoder(space)
    rows, scores = [], []
    for record in records:
        own = table[table["task"] == record.title]
        pairs = zip(own["family"], own["configuration"], strict=True)
        rows.append(encoder.to_units([join(name, c) for name, c in pairs]))
        means = [
            float(np.mean(values[record.metric])) if status == "ok" else np.nan
            for values, status in zip(own["scores"], own["status"], strict=True)
        ]
        scores.append(np.array(means))
    groups, _ = task_folds(records, definition.folds, seed=0)
    return Problem(
        definition=definition,
        space=space,
        names=tuple(record.title for record in records),
        rows=tuple(rows),
        scores=tuple(scores),
        groups=groups,
        features=tuple(record.meta_features for record in records),
    )
