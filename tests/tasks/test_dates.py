import pandas as pd
import pytest

from automl_meta.exceptions import TaskError
from automl_meta.tasks.columns import type_columns
from automl_meta.tasks.dates import expand_dates


def test_new_rows_get_the_parts_of_training():
    train = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=50).strftime("%Y/%m/%d")})
    typed = type_columns(train)
    new = expand_dates(train.iloc[5:6], list(typed.kinds))
    for part in typed.kinds:
        assert new[part].iloc[0] == typed.table[part].iloc[5]


def test_missing_dates_stay_missing():
    new = expand_dates(pd.DataFrame({"when": [None, "2024-05-06"]}), ["when.month"])
    assert new["when.month"].isna().tolist() == [True, False]
    assert expand_dates(pd.DataFrame({"when": [None]}), ["when.day"])["when.day"].isna().all()


def test_a_real_column_with_such_a_name_is_left_alone():
    table = pd.DataFrame({"when": ["x"], "when.month": [3.0]})
    assert expand_dates(table, ["when.month"]) is table


def test_what_is_no_date_is_refused():
    with pytest.raises(TaskError, match="must hold dates"):
        expand_dates(pd.DataFrame({"when": ["yesterday"]}), ["when.month"])
