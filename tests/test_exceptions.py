"""Types of settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from automl_meta.exceptions import InvalidParameterError, check_types


@dataclass
class Settings:
    whole: int
    real: float
    flag: bool
    word: str
    perhaps: int | None
    table: Mapping[str, Any]
    choice: Literal["a", "b"]


@pytest.mark.parametrize(
    "values",
    [
        {"whole": 3, "real": 2, "flag": True, "word": "x", "perhaps": None, "table": {"a": 1}},
        {"real": 0.5, "perhaps": 3},
        {"real": np.float64(0.5)},
        {"choice": 7},  # for a check of its own
        {"unknown": object()},
    ],
)
def test_what_fits_passes(values):
    check_types(values, (Settings,), "here")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"whole": 2.0}, "'whole' parameter of here must be an int. Got 2.0 instead. Give an int."),
        ({"whole": True}, "'whole' .* an int. Got True"),
        ({"whole": None}, "'whole' .* an int. Got None"),
        ({"whole": np.int64(3)}, "'whole' .* an int"),
        ({"real": "fast"}, "'real' .* a number. Got 'fast'"),
        ({"real": False}, "'real' .* a number. Got False"),
        ({"flag": 1}, "'flag' .* True or False. Got 1"),
        ({"word": 3}, "'word' .* a string. Got 3"),
        ({"perhaps": "no"}, "'perhaps' .* an int or None. Got 'no'"),
        ({"table": [1]}, "'table' .* a table of names and values"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(values, message):
    with pytest.raises(InvalidParameterError, match=message):
        check_types(values, (Settings,), "here")
