import gzip

import numpy as np
import pandas as pd
import pytest

from automl_meta.exceptions import InvalidParameterError, TaskError
from automl_meta.tasks import load_task, read_table, table_task


def frame(n=60):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.normal(size=n).round(3),
            "colour": rng.choice(["red", "green"], n),
            "y": np.where(np.arange(n) % 3 == 0, "yes", "no"),
        }
    )


@pytest.fixture(params=["csv", "tsv", "parquet", "csv.gz", "parquet.gz"])
def table_file(request, tmp_path):
    file = tmp_path / f"table.{request.param}"
    plain = tmp_path / f"table.{request.param.removesuffix('.gz')}"
    if "parquet" in request.param:
        frame().to_parquet(plain)
    else:
        frame().to_csv(plain, index=False, sep="\t" if "tsv" in request.param else ",")
    if file != plain:
        file.write_bytes(gzip.compress(plain.read_bytes()))
    return file


def test_all_formats_give_the_same_task(table_file):
    task = table_task(table_file, "y")
    assert task.kind == "binary"
    assert task.classes == ("no", "yes")
    assert task.columns == {"x": "numeric", "colour": "categorical"}
    np.testing.assert_array_equal(task.features["x"], frame()["x"])
    assert task.features["colour"].tolist() == frame()["colour"].tolist()
    assert task.target.tolist() == (frame()["y"] == "yes").astype(int).tolist()
    assert len(task.split.test) == 15
    assert task.metric == "roc_auc"


def test_arff_categories_are_declared(csv_file, arff_text):
    task = table_task(csv_file(arff_text(), "small.arff"), "class")
    assert task.columns == {"number": "numeric", "colour": "categorical", "noise": "numeric"}
    assert set(task.features["colour"].dropna()) == {"red", "green", "light blue"}
    assert any("'rowname' was dropped" in note for note in task.notes)


def test_arff_dates_and_sparse_rows(csv_file):
    rows = "\n".join(f"2024-01-{i % 28 + 1:02d},{i % 2}" for i in range(40))
    dated = f"@relation d\n@attribute when date 'yyyy-MM-dd'\n@attribute y {{0,1}}\n@data\n{rows}\n"
    assert "when.day" in table_task(csv_file(dated, "d.arff"), "y").columns
    sparse = "@relation s\n@attribute a real\n@attribute y {0,1}\n@data\n{0 1.5}\n{1 1}\n"
    with pytest.raises(TaskError, match="sparse"):
        read_table(csv_file(sparse, "s.arff"))


def test_semicolons_decimal_commas_latin1_and_byte_order_marks(csv_file):
    rows = "\n".join(f"{i},5;Größe{i % 3}" for i in range(30))
    table = read_table(csv_file(f"a;b\n{rows}\n".encode("latin-1")))
    assert table["a"].tolist()[:2] == [0.5, 1.5]
    assert table["b"].iloc[0] == "Größe0"
    assert any("Latin-1" in note for note in table.attrs["notes"])
    assert list(read_table(csv_file("\ufeffa,b\n1,2\n")).columns) == ["a", "b"]


def test_without_header_the_last_column_is_the_target(csv_file):
    rows = "\n".join(f"{i * 0.5},{i % 7},{i * 1.25}" for i in range(40))
    task = table_task(csv_file(rows), None, header=False)
    assert task.target_name == "2"
    assert task.kind == "regression"
    assert len(task.target) == 40


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"], "binary"),
        ([0, 1], "binary"),
        ([True, False], "binary"),
        ([1, 2, 3], "multiclass"),
        ([0.5, 1.5], "regression"),
        (list(range(40)), "regression"),
    ],
)
def test_the_kind_follows_the_target(tmp_path, values, kind):
    target = (values * 60)[:120]
    pd.DataFrame({"x": np.arange(120) / 7, "y": target}).to_csv(tmp_path / "t.csv", index=False)
    assert table_task(tmp_path / "t.csv", "y").kind == kind


def test_the_metric_decides_the_kind(tmp_path):
    pd.DataFrame({"x": np.arange(90) / 7, "y": [1, 2, 3] * 30}).to_csv(
        tmp_path / "t.csv", index=False
    )
    task = table_task(tmp_path / "t.csv", "y", metric="r2")
    assert (task.kind, task.metric) == ("regression", "r2")
    assert task.target.dtype == np.float64
    many = table_task(tmp_path / "t.csv", "y", metric="roc_auc")
    assert many.metric == "roc_auc_ovr"
    assert many.classes == ("1", "2", "3")


def test_numeric_classes_are_ordered_as_numbers(tmp_path):
    pd.DataFrame({"x": np.arange(90) / 7, "y": [2, 10, 1] * 30}).to_csv(
        tmp_path / "t.csv", index=False
    )
    assert table_task(tmp_path / "t.csv", "y").classes == ("1", "2", "10")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ([None] * 30, "no known value"),
        (["a"] * 30, "single class a"),
        ([2.5] * 30, "single value 2.5"),
        ([f"name {i}" for i in range(30)], "too many to be classes"),
        ([1.5] * 3 + [2.5] * 3 + [None] * 24, "6 rows"),
    ],
)
def test_hopeless_targets_are_refused(tmp_path, target, text):
    pd.DataFrame({"x": np.arange(30) / 7, "y": target}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TaskError, match=text):
        table_task(tmp_path / "t.parquet", "y")


def test_rows_without_target_are_dropped(tmp_path):
    pd.DataFrame({"x": np.arange(60) / 7, "y": ([1.5, np.inf, None, 3.25] * 15)}).to_parquet(
        tmp_path / "t.parquet"
    )
    task = table_task(tmp_path / "t.parquet", "y", kind="regression")
    assert len(task.target) == 30
    assert "30 rows were dropped: their target is missing." in task.notes
    assert np.isfinite(task.target).all()


def test_wrong_names_get_a_remedy(tmp_path):
    frame().to_csv(tmp_path / "t.csv", index=False)
    for call, text in [
        (lambda: table_task(tmp_path / "t.csv", "Y"), "Did you mean y"),
        (lambda: table_task(tmp_path / "t.csv", None), "Try --target y"),
        (lambda: table_task(tmp_path / "t.csv", "y", ignore=["color"]), "Did you mean colour"),
        (lambda: table_task(tmp_path / "t.csv", "y", ignore=["y"]), "without the target"),
        (lambda: table_task(tmp_path / "t.csv", "y", metric="r2"), "Choose another"),
        (lambda: table_task(tmp_path / "none.csv", "y"), "existing file"),
        (lambda: table_task(tmp_path / "t.xlsx", "y"), r"\.csv, \.tsv"),
        (lambda: table_task(tmp_path / "t.csv", "y", max_rows=3), "max_rows"),
    ]:
        with pytest.raises((InvalidParameterError, TaskError), match=text):
            call()


def test_ignoring_every_column_is_refused(tmp_path):
    frame().to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(TaskError, match="no usable feature column"):
        table_task(tmp_path / "t.csv", "y", ignore=["x", "colour"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"a,b\n"),
        ("a.csv", b"a,a\n1,2\n"),
        ("a.csv", b"a,b\n1,2\n1,2,3,4\n"),
        ("a.csv.gz", b"no gzip"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99)[:30]),
        ("a.parquet", b"PAR1 and then nothing"),
        ("a.arff", b"hello"),
        ("a.arff", b"@relation x\n@attribute a real\n@data\n1\ntwo\n"),
        ("a.arff", b"@relation x\n@attribute a real\n@attribute a real\n@data\n1,2\n"),
    ],
)
def test_broken_files_are_named(csv_file, name, content):
    with pytest.raises(TaskError) as caught:
        read_table(csv_file(content, name))
    assert "\n" not in str(caught.value)


def test_a_test_file_is_the_held_out_part(tmp_path):
    frame(60).to_csv(tmp_path / "train.csv", index=False)
    frame(12).to_csv(tmp_path / "test.csv", index=False)
    task = load_task(tmp_path / "train.csv", target="y", test_file=tmp_path / "test.csv")
    assert task.split.test.tolist() == list(range(60, 72))
    assert "test.csv" in task.split.source
    frame(12).drop(columns="x").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(TaskError, match="lacks the column 'x'"):
        table_task(tmp_path / "train.csv", "y", test_file=tmp_path / "test.csv")
    frame(12).assign(y="maybe").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(TaskError, match="class 'maybe'"):
        table_task(tmp_path / "train.csv", "y", test_file=tmp_path / "test.csv")


def test_a_sample_is_stratified_seeded_and_noted(tmp_path):
    frame(600).to_csv(tmp_path / "t.csv", index=False)
    a, b = (table_task(tmp_path / "t.csv", "y", max_rows=90, seed=4) for _ in range(2))
    assert len(a.target) == len(a.features) == 90
    assert a.target.sum() == 30
    pd.testing.assert_frame_equal(a.features, b.features)
    assert "90 of 600 rows were drawn, seed 4." in a.notes


def test_a_table_of_categories_only(tmp_path):
    frame(200).drop(columns="x").to_csv(tmp_path / "t.csv", index=False)
    assert set(table_task(tmp_path / "t.csv", "y").columns.values()) == {"categorical"}


@pytest.mark.data
def test_shared_tables_of_each_kind_load(shared_data):
    cars = table_task(shared_data / "pmlb" / "car.tsv.gz", "target")
    assert cars.kind == "multiclass"
    housing = table_task(shared_data / "uci_regression" / "housing.csv.gz", None, header=False)
    assert housing.features.shape == (506, 13)
    credit = table_task(shared_data / "openml" / "credit-g.arff.gz", "class")
    assert sum(kind == "categorical" for kind in credit.columns.values()) == 13
