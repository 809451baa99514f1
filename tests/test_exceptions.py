"""Types and ranges of settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from automl_meta.exceptions import InvalidParameterError, check_int, check_least, check_types


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


@pytest.mark.parametrize(("value", "high"), [(2, None), (2, 2), (10**12, None)])
def test_a_number_in_its_range_comes_back(value, high):
    assert check_int(value, "folds", "fit", 2, high) == value


@pytest.mark.parametrize("value", [1, 51, True, 2.5, 3.0, "3", None, [3]])
def test_what_is_no_int_of_the_range_is_refused(value):
    rule = (
        r"The 'folds' parameter of fit must be an int from 2 to 50\. Got .* instead\. Try folds=2\."
    )
    with pytest.raises(InvalidParameterError, match=rule):
        check_int(value, "folds", "fit", 2, 50)


@pytest.mark.parametrize("value", [0, 2.5, "many", None])
def test_a_record_names_the_attribute_that_is_too_small_or_no_int(value):
    record = Settings(value, 0.5, True, "x", None, {}, "a")
    with pytest.raises(
        InvalidParameterError, match="'whole' parameter of here must be an int >= 1"
    ):
        check_least(record, "here", {"whole": 1})
