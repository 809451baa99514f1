"""Configurations as vectors for the surrogate: one-hot choices, unit-cube numbers, activity flags.

Notation: n configurations, p parameters, d columns. A *unit matrix* [n, p] holds one coordinate a
parameter with NaN where it is inactive; the *encoding* [n, d] is what a model reads.
"""

from collections.abc import Sequence

import numpy as np
from optuna.distributions import CategoricalDistribution

from automl_meta._typing import Configuration, FloatArray, ParamValue
from automl_meta.exceptions import InvalidParameterError
from automl_meta.spaces import units
from automl_meta.spaces.space import SearchSpace


class Encoder:
    """Turns configurations of one space into vectors and back.

    A categorical parameter takes one column a choice (all zero while inactive). A number takes one
    column in [0, 1] (0.5 while inactive). Every distinct condition adds one activity flag.

    Args:
        space: The space to encode.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> encoder = Encoder(SearchSpace("toy", 1, {"rate": FloatDistribution(1e-4, 1.0, log=True)}))
        >>> encoder.encode([{"rate": 0.01}]).tolist()
        [[0.5]]
        >>> round(encoder.decode([0.75])["rate"], 6)
        0.1
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._names = tuple(space.distributions)
        self._levels = [units.n_levels(d) for d in space.distributions.values()]
        self._conditions = tuple(dict.fromkeys(space.conditions.values()))
        #: Which parameters are categorical, shape [p].
        self.is_categorical = np.array(
            [isinstance(d, CategoricalDistribution) for d in space.distributions.values()]
        )
        self._columns: list[slice] = []
        self.feature_names: list[str] = []
        for name, distribution in space.distributions.items():
            start = len(self.feature_names)
            if isinstance(distribution, CategoricalDistribution):
                self.feature_names += [f"{name}={choice}" for choice in distribution.choices]
            else:
                self.feature_names.append(name)
            self._columns.append(slice(start, len(self.feature_names)))
        self.feature_names += [
            f"{c.parent} in {'|'.join(map(str, c.values))}" for c in self._conditions
        ]

    @property
    def n_columns(self) -> int:
        """Number of columns d of the encoding."""
        return len(self.feature_names)

    @property
    def n_parameters(self) -> int:
        """Number of parameters p of the space."""
        return len(self._names)

    def to_units(self, configurations: Sequence[Configuration]) -> FloatArray:
        """Return the unit matrix of valid configurations, shape [n, p], NaN where inactive."""
        matrix = np.full((len(configurations), self.n_parameters), np.nan)
        for row, configuration in enumerate(configurations):
            active = set(self.space.active(configuration))
            for column, (name, distribution) in enumerate(self.space.distributions.items()):
                if name in active:
                    matrix[row, column] = units.to_unit(distribution, configuration[name])
        return matrix

    def from_units(self, row: FloatArray) -> dict[str, ParamValue]:
        """Return the configuration of one row of a unit matrix, shape [p]."""
        return self.space.from_units(np.nan_to_num(row, nan=0.5))

    def normalise(self, matrix: FloatArray) -> FloatArray:
        """Clip coordinates, move discrete ones to the middle of their slice, blank inactive ones.

        Args:
            matrix: Shape [n, p]; any real numbers, NaN allowed.

        Returns:
            A valid unit matrix, shape [n, p].
        """
        result = np.clip(np.nan_to_num(matrix, nan=0.5), 0.0, 1.0)
        for column, (levels, distribution) in enumerate(
            zip(self._levels, self.space.distributions.values(), strict=True)
        ):
            if levels is not None and not getattr(distribution, "log", False):
                index = np.minimum((result[:, column] * levels).astype(np.int64), levels - 1)
                result[:, column] = (index + 0.5) / levels
        for column, name in enumerate(self._names):
            condition = self.space.conditions.get(name)
            if condition is not None:
                inactive = ~self._holds(result, condition.parent, condition.values)
                result[inactive, column] = np.nan
        return result

    def normalise_known(self, matrix: FloatArray) -> FloatArray:
        """Do as ``normalise``, but leave blank what is NaN: a parameter that was not recorded.

        Args:
            matrix: Shape [n, p]; any real numbers, NaN allowed.

        Returns:
            A unit matrix that ``expand`` takes, shape [n, p].
        """
        result = self.normalise(matrix)
        result[np.isnan(matrix)] = np.nan
        return result

    def sample_units(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Draw n points of the space as a valid unit matrix, shape [n, p]."""
        return self.normalise(rng.uniform(size=(n, self.n_parameters)))

    def expand(self, matrix: FloatArray) -> FloatArray:
        """Turn a valid unit matrix [n, p] into the encoding [n, d]."""
        result = np.zeros((len(matrix), self.n_columns))
        active = ~np.isnan(matrix)
        filled = np.where(active, matrix, 0.5)
        for index, distribution in enumerate(self.space.distributions.values()):
            block = self._columns[index]
            if isinstance(distribution, CategoricalDistribution):
                rows = np.flatnonzero(active[:, index])
                n = len(distribution.choices)
                choice = np.minimum((matrix[rows, index] * n).astype(np.int64), n - 1)
                result[rows, block.start + choice] = 1.0
            else:
                result[:, block.start] = filled[:, index]
        offset = self.n_columns - len(self._conditions)
        for index, condition in enumerate(self._conditions):
            result[:, offset + index] = self._holds(matrix, condition.parent, condition.values)
        return result

    def encode(self, configurations: Sequence[Configuration]) -> FloatArray:
        """Return the encoding of valid configurations, shape [n, d], values in [0, 1]."""
        return self.expand(self.to_units(configurations))

    def decode(self, vector: Sequence[float] | FloatArray) -> dict[str, ParamValue]:
        """Return the configuration nearest to an encoded vector.

        Args:
            vector: Shape [d]; the largest of a parameter's one-hot columns wins.

        Raises:
            InvalidParameterError: If the length is not d.
        """
        values = np.asarray(vector, dtype=np.float64)
        if values.shape != (self.n_columns,):
            raise InvalidParameterError.of(
                "vector",
                "Encoder.decode",
                f"of shape ({self.n_columns},)",
                values.shape,
                "Encode with the same space.",
            )
        row = np.empty(self.n_parameters)
        for index, distribution in enumerate(self.space.distributions.values()):
            block = values[self._columns[index]]
            if isinstance(distribution, CategoricalDistribution):
                row[index] = (int(np.argmax(block)) + 0.5) / len(block)
            else:
                row[index] = block[0]
        return self.from_units(row)

    def _holds(self, matrix: FloatArray, parent: str, values: tuple[ParamValue, ...]) -> np.ndarray:
        """Tell for each row whether an (already normalised) parent holds one of the values."""
        column = self._names.index(parent)
        n, distribution = self._levels[column], self.space.distributions[parent]
        assert n is not None
        wanted = np.array([units.level_of(distribution, value) for value in values])
        coordinate = matrix[:, column]
        level = np.minimum((np.nan_to_num(coordinate, nan=-1.0) * n).astype(np.int64), n - 1)
        return np.isin(level, wanted) & ~np.isnan(coordinate)
