"""HPO-B's files as past tasks."""

import json
from pathlib import Path

import numpy as np
from optuna.distributions import FloatDistribution

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metadata.arrays import outside_cube, past_tasks_of_arrays
from automl_meta.metadata.past import PastTask
from automl_meta.spaces import SearchSpace


def read_hpob(path: str | Path, search_space: str) -> tuple[SearchSpace, list[PastTask]]:
    """Read one search space of an HPO-B file, such as ``meta-train-dataset.json``.

    Configurations are points of the unit cube there; the space calls its parameters ``x0``, ``x1``, ...

    Args:
        path: The file.
        search_space: Its id, such as ``"5971"``.

    Returns:
        The space and one task a data set.

    Raises:
        InvalidParameterError: If the file has no such search space.
        StoreError: If it is no HPO-B file, or a configuration is no point of the unit cube.

    Reference:
        Pineda-Arango et al. (2021), HPO-B, section 4: {space: {data set: {"X": [n, d], "y": [n, 1]}}}.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        search_space = str(search_space)  # ids look like numbers
        if search_space not in document:
            raise InvalidParameterError.of(
                "search_space",
                "read_hpob",
                f"among {', '.join(document)}",
                search_space,
                "Choose one of them.",
            )
        tables = {
            name: (np.array(t["X"], dtype=np.float64), np.array(t["y"], dtype=np.float64).ravel())
            for name, t in document[search_space].items()
        }
        d = next(iter(tables.values()))[0].shape[1]
    except InvalidParameterError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        StopIteration,
        IndexError,
    ) as e:
        msg = f"Cannot read {path} as an HPO-B file: {e!r}. Give one of its JSON files."
        raise StoreError(msg) from e
    space = SearchSpace(
        f"hpo-b-{search_space}", 1, {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(d)}
    )
    for name, (x, _) in tables.items():
        odd = f"the shape {x.shape}" if x.shape[1:] != (d,) else outside_cube(x, space)
        if odd is not None:
            rule = f"configurations must be points of the unit cube of {d} dimensions"
            msg = f"Cannot read {path} as an HPO-B file: task {name} has {odd}, but {rule}. Scale them."
            raise StoreError(msg)
    tasks = [
        past_tasks_of_arrays(x, y[None], space, [name], maximize=True)[0]
        for name, (x, y) in tables.items()
    ]
    return space, tasks
