"""YAHPO's surrogate networks as problems; reading them needs the ``benchmark`` extra (onnxruntime)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automl_meta._typing import Configuration, FloatArray
from automl_meta.benchmark.hpo.definition import Definition
from automl_meta.benchmark.hpo.groups import groups_of_responses
from automl_meta.benchmark.hpo.problem import Problem
from automl_meta.exceptions import InvalidParameterError, MissingExtraError, StoreError
from automl_meta.spaces import Encoder, SearchSpace

#: Stands for a task that is not known, in YAHPO's encodings.
_UNKNOWN = "#na#"
_RECORD_SEED = 0


class SurrogateNetwork:
    """One network for all tasks of a scenario: fixed columns, searched numbers, categories.

    Args:
        folder: Folder with ``model.onnx`` and ``encoding.json``.
        definition: Names the columns.

    Raises:
        MissingExtraError: If onnxruntime is not installed.
        StoreError: If the files cannot be read.
    """

    def __init__(self, folder: Path, definition: Definition) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            msg = "Surrogate problems need onnxruntime. Install it: pip install 'automl-meta[benchmark]'."
            raise MissingExtraError(msg) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            text = (folder / "encoding.json").read_text(encoding="utf-8")
            self._codes: Mapping[str, Mapping[str, int]] = json.loads(text)
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            msg = f"Cannot read the surrogate in {folder}: {error}. Check the data folder."
            raise StoreError(msg) from error
        self._options = definition.options
        self._task, self._output = definition.option("task"), definition.option("output")
        self._space = _space_of(definition)
        categorical = [n for n in self._codes if n != self._task]
        self._numbers = [n for n in self._space.distributions if n not in categorical]
        self._categories = categorical
        self.tasks = tuple(t for t in self._codes[self._task] if t != _UNKNOWN)

    def __call__(self, task: int, configurations: Sequence[Configuration]) -> FloatArray:
        """Return scores, shape [n].

        Args:
            task: Number of the task.
            configurations: Any configurations of the space; inactive numbers count as 0.
        """
        before, after = (list(self._options.get(k, {}).values()) for k in ("before", "after"))
        numbers = [
            [*before, *(float(c.get(n, 0.0) or 0.0) for n in self._numbers), *after]
            for c in configurations
        ]
        code = self._codes[self._task][self.tasks[task]]
        categories = [
            [code, *(self._codes[n][str(c[n])] for n in self._categories)] for c in configurations
        ]
        feed = {
            "x_cont": np.array(numbers, dtype=np.float32),
            "x_cat": np.array(categories, dtype=np.int32).reshape(len(configurations), -1),
        }
        inputs = {
            i.name: feed["x_cat" if "cat" in i.name else "x_cont"]
            for i in self._session.get_inputs()
        }
        output: Any = self._session.run(None, inputs)[0]
        column = np.asarray(output[:, self._output], dtype=np.float64)
        return column / float(self._options.get("divide", 1.0))


def yahpo_problem(definition: Definition, data: Path) -> Problem:
    """Make a problem of a surrogate network and random settings, the same for all tasks.

    Args:
        definition: With ``model``, ``task``, ``output`` and ``recorded`` among its options.
        data: The data folder.
    """
    space = _space_of(definition)
    network = SurrogateNetwork(data / definition.option("model"), definition)
    encoder = Encoder(space)
    rng = np.random.default_rng(_RECORD_SEED)
    rows = encoder.sample_units(rng, int(definition.option("recorded")))
    configurations = [encoder.from_units(row) for row in rows]
    scores = np.stack([network(t, configurations) for t in range(len(network.tasks))])
    return Problem(
        definition=definition,
        space=space,
        names=network.tasks,
        rows=(rows,) * len(scores),
        scores=tuple(scores),
        groups=groups_of_responses(scores),
        function=network,
    )


def _space_of(definition: Definition) -> SearchSpace:
    if definition.space is None:
        raise InvalidParameterError.of(
            "parameter", definition.name, "one [[parameter]] table at least", None, "Add them."
        )
    return definition.space
