import numpy as np
import pandas as pd
import pytest

from automl_meta.exceptions import TaskError
from automl_meta.tasks.columns import type_columns

N = 60


def typed(**columns):
    return type_columns(pd.DataFrame(columns))


def test_numbers_become_float64_and_infinities_missing():
    values = np.arange(N) * 1.5
    values[[3, 7]] = np.inf, -np.inf
    result = typed(a=values)
    assert result.table["a"].dtype == np.float64
    assert result.table["a"].isna().sum() == 2
    assert result.notes == ("2 infinite values in 'a' were taken as missing.",)


@pytest.mark.parametrize("dtype", ["string", "object", "category", "str"])
def test_text_becomes_object_str_with_nan(dtype):
    raw = pd.Series(["x", None, "y"] * 20, dtype=dtype)
    column = typed(a=raw).table["a"]
    assert column.dtype == object
    assert set(map(type, column.dropna())) == {str}
    missing = column[column.isna()]
    assert len(missing) == 20
    assert all(isinstance(value, float) for value in missing)


def test_booleans_and_nullable_types():
    result = typed(
        b=[True, False] * 30,
        nb=pd.array([True, None, False] * 20, dtype="boolean"),
        ni=pd.array([1, None, 3] * 20, dtype="Int64"),
    )
    assert result.kinds == {"b": "categorical", "nb": "categorical", "ni": "numeric"}
    assert set(result.table["b"]) == {"True", "False"}
    assert result.table["ni"].isna().sum() == 20


def test_whole_number_categories_have_no_decimals():
    column = pd.Series(pd.Categorical([1.0, 2.0, np.nan] * 20))
    assert set(typed(a=column).table["a"].dropna()) == {"1", "2"}


def test_ordered_categories_stay_categories():
    ordered = pd.Categorical(["low", "high"] * 30, categories=["low", "high"], ordered=True)
    assert typed(a=ordered).kinds == {"a": "categorical"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None] * N, "all its values are missing"),
        ([np.nan] * N, "all its values are missing"),
        ([np.inf] * N, "all its values are missing"),
        (["x"] * N, "the single value x"),
        ([4.0] * (N - 1) + [None], "the single value 4"),
        (["  "] * N, "all its values are missing"),
        (list(range(1, N + 1)), "identifier"),
        ([f"customer-{i}" for i in range(N)], "identifier"),
        ([f"a long and different remark number {i} on this" for i in range(N)], "free text"),
    ],
)
def test_useless_columns_are_dropped_with_a_note(values, reason):
    result = typed(bad=values, good=[1.0, 2.5] * 30)
    assert list(result.kinds) == ["good"]
    assert all("'bad'" in note for note in result.notes)
    assert reason in result.notes[-1]


def test_keys_are_known_by_name_but_measurements_stay():
    rng = np.random.default_rng(0)
    unique = rng.permutation(1000)[:N]
    result = typed(customer_id=unique, orderId=unique, weight=unique, width=unique + 0.5)
    assert list(result.kinds) == ["weight", "width"]


def test_ten_thousand_categories_stay():
    values = [f"c{i}" for i in range(10_000)] * 2
    result = typed(a=values)
    assert result.kinds == {"a": "categorical"}
    assert result.table["a"].nunique() == 10_000


def test_dates_become_numbers():
    days = pd.date_range("2023-01-01", periods=N, freq="13D")
    as_text = typed(when=days.strftime("%Y-%m-%d"))
    as_dates = typed(when=days)
    assert as_text.kinds == as_dates.kinds
    assert list(as_text.kinds) == [f"when.{p}" for p in ("year", "month", "day", "weekday", "days")]
    np.testing.assert_array_equal(as_text.table, as_dates.table)
    assert as_text.table["when.month"].tolist() == [float(m) for m in days.month]
    assert "became numbers" in as_text.notes[0]


def test_times_zones_and_missing_dates():
    values = ["2024-01-01T10:30:00Z", None, "2024-01-02T11:00:00+02:00"] * 20
    result = typed(when=values)
    assert "when.hour" in result.kinds
    assert result.table["when.hour"].isna().sum() == 20
    assert set(result.table["when.hour"].dropna()) == {10.0, 9.0}


def test_ambiguous_dates_are_refused_with_the_remedy():
    with pytest.raises(TaskError, match=r"day and month cannot be told apart.*--ignore when"):
        typed(when=["03/04/2021", "05/06/2021"] * 30)


def test_a_wrong_date_is_named():
    with pytest.raises(TaskError, match="'2024-13-45' is none"):
        typed(when=["2024-01-01"] * N + ["2024-13-45"])


def test_numbers_written_as_text():
    result = typed(a=[str(i / 7) for i in range(N)])
    assert result.kinds == {"a": "numeric"}
    assert result.notes == ("The text in 'a' was read as numbers.",)


def test_zip_codes_stay_text():
    assert typed(a=["01234", "10115", "80331"] * 20).kinds == {"a": "categorical"}


def test_words_among_numbers_are_refused():
    with pytest.raises(TaskError, match=r"text in 1 rows, such as 'unknown'.*--ignore income"):
        typed(income=[str(i / 7) for i in range(N)] + ["unknown"])


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, b"raw", np.zeros(2)])
def test_nested_values_are_refused(value):
    column = pd.Series([value] * N, dtype=object)
    with pytest.raises(TaskError, match="neither a number nor a category"):
        typed(a=column)


def test_duplicate_names_are_refused():
    table = pd.DataFrame(np.zeros((3, 2)), columns=["a", "a"])
    with pytest.raises(TaskError, match="more than one column named 'a'"):
        type_columns(table)
    mixed = pd.DataFrame({1: [1.0, 2.0], "1": [2.0, 1.0]})
    with pytest.raises(TaskError, match="more than one column named '1'"):
        type_columns(mixed)


def test_complex_numbers_are_refused_and_durations_become_seconds():
    with pytest.raises(TaskError, match="complex"):
        typed(a=np.arange(N) * 1j)
    result = typed(a=pd.to_timedelta([1, 90] * 30, unit="s"))
    assert set(result.table["a"]) == {1.0, 90.0}
