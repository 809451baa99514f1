"""The real client against a loopback server that speaks OpenML's REST API."""

import os
import pickle

import numpy as np
import openml
import pytest

from automl_meta.exceptions import InvalidParameterError, NetworkError, TaskError
from automl_meta.tasks import load_task, openml_http
from automl_meta.tasks.openml_client import source


class Explosive:
    """Fails the test when it is unpickled."""

    def __reduce__(self):
        return (os.abort, ())


@pytest.fixture
def load(openml_server, tmp_path):
    def call(reference, **options):
        options = {"server": openml_server.url, "cache": tmp_path / "cache", **options}
        return load_task(reference, **options)

    return call


@pytest.fixture
def folder(openml_server, tmp_path):
    return source(openml_server.url, tmp_path / "cache").folder


@pytest.fixture
def small(openml_server, arff_text):
    return openml_server.add(arff_text(300), "class", task_id=77, data_id=7, name="small")


def test_a_task_comes_from_the_server_then_from_the_cache(load, openml_server, small):
    first = load("openml:77")
    asked = len(openml_server.asked)
    again, offline = load("openml:77"), load("openml:77", offline=True)
    assert len(openml_server.asked) == asked
    assert first.provenance["source"] == "OpenML server"
    assert again.provenance["source"] == "OpenML cache"
    assert first.split.source == "OpenML fold 0"
    for other in (again, offline):
        assert np.array_equal(first.split.test, other.split.test)
        assert first.features.equals(other.features)
        assert np.array_equal(first.target, other.target)


def test_official_fold_zero_is_the_test_part(load, small, folder):
    task = load("openml:77")
    lines = (folder / "tasks" / "77" / "datasplits.arff").read_text().splitlines()
    expected = sorted(
        int(x.split(",")[1]) for x in lines if x.startswith("TEST") and x.endswith(",0")
    )
    assert task.split.test.tolist() == expected


def test_small_folds_are_replaced(load, openml_server, arff_text):
    openml_server.add(arff_text(100), "class", task_id=5)
    task = load("openml:5")
    assert task.split.source.startswith("generated")
    assert any("10 test rows, fewer than 20" in note for note in task.notes)


def test_measure_ignored_and_row_id_columns(load, openml_server, arff_text):
    openml_server.add(
        arff_text(250),
        "class",
        task_id=6,
        measure="predictive_accuracy",
        ignore=("noise",),
        row_id="rowname",
    )
    task = load("openml:6")
    assert task.metric == "accuracy"
    assert list(task.columns) == ["number", "colour"]
    assert "OpenML marks as no features: noise, rowname." in task.notes
    assert load("openml:6", metric="f1").metric == "f1"
    assert list(load("openml:6", ignore=["colour"]).columns) == ["number"]


def test_regression_tasks(load, openml_server, arff_text):
    openml_server.add(arff_text(250), "noise", task_id=8, type_id=2, measure="mean_absolute_error")
    task = load("openml:8")
    assert (task.kind, task.metric) == ("regression", "neg_mean_absolute_error")
    assert len(task.split.test) == 25


def test_data_sets(load, openml_server, arff_text):
    openml_server.add(arff_text(80), "class", data_id=9)
    openml_server.add(arff_text(80), "class", data_id=10, default_target="")
    task = load("openml-data:9")
    assert task.target_name == "class"
    assert task.split.source.startswith("generated")
    assert load("openml-data:9", target="noise").kind == "regression"
    with pytest.raises(InvalidParameterError, match="no single default target"):
        load("openml-data:10")
    assert load("openml-data:10", target="class", offline=True).classes == ("no", "yes")


def test_unknown_ids_and_unsupported_types(load, openml_server, arff_text):
    with pytest.raises(TaskError, match="no OpenML task 404"):
        load("openml:404")
    with pytest.raises(TaskError, match="no OpenML data set 404"):
        load("openml-data:404")
    for type_id in (3, 4, 5):
        openml_server.add(arff_text(40), "class", task_id=20 + type_id, data_id=9, type_id=type_id)
        with pytest.raises(TaskError, match="not supported"):
            load(f"openml:{20 + type_id}")


def test_sparse_data_are_refused(load, openml_server):
    text = "@relation s\n@attribute a real\n@attribute class {0,1}\n@data\n{0 1.5}\n"
    openml_server.add(text, "class", task_id=4, data_id=4, format="Sparse_ARFF")
    for reference in ("openml:4", "openml-data:4"):
        with pytest.raises(TaskError, match="sparse"):
            load(reference)


@pytest.mark.parametrize("endpoint", ["task", "data", "features", "download", "splits"])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("html503", "HTTP 503"),
        ("html200", "no OpenML document|checksum|damaged"),
        ("xml500", "database is down"),
        ("truncate", "cannot be used|no OpenML document|checksum"),
        ("reset", "cannot be used"),
    ],
)
def test_bad_answers_are_one_clear_line(
    load, openml_server, small, monkeypatch, endpoint, kind, text
):
    monkeypatch.setattr("automl_meta.tasks.openml_client.ATTEMPTS", 1)
    openml_server.fail(endpoint, kind)
    with pytest.raises(NetworkError, match=text) as caught:
        load("openml:77")
    assert "\n" not in str(caught.value)
    del openml_server.faults[endpoint]
    assert load("openml:77").provenance["source"] == "OpenML server"


def test_a_wrong_checksum_is_noticed(load, openml_server, small, monkeypatch):
    monkeypatch.setattr("automl_meta.tasks.openml_client.ATTEMPTS", 1)
    openml_server.fail("download", "corrupt")
    with pytest.raises(NetworkError, match="checksum"):
        load("openml:77")


def test_a_passing_failure_is_tried_again(load, openml_server, small):
    openml_server.fail("task", "html503", times=1)
    assert load("openml:77").title == "small"


def test_slow_answers_end(load, openml_server, small, monkeypatch):
    monkeypatch.setattr(openml_http, "SILENT_SECONDS", 0.3)
    openml_server.fail("download", "slow")
    with pytest.raises(NetworkError, match=r"(no answer within|silent for) 0\.3 s"):
        load("openml:77")


def test_nothing_listens(load):
    with pytest.raises(NetworkError, match="cannot be used"):
        load("openml:77", server="http://127.0.0.1:9")


def test_offline_never_asks(load, openml_server, small):
    with pytest.raises(TaskError, match="neither in the local OpenML cache nor bundled"):
        load("openml:77", offline=True)
    assert openml_server.asked == []


def test_an_incomplete_cache_is_completed(load, openml_server, small, folder):
    load("openml:77")
    (folder / "datasets" / "7" / "features.xml").unlink()
    with pytest.raises(TaskError, match="neither in the local"):
        load("openml:77", offline=True)
    assert (folder / "tasks" / "77" / "task.xml").is_file()
    assert load("openml:77").provenance["source"] == "OpenML server"
    assert load("openml:77", offline=True).title == "small"


@pytest.mark.parametrize(
    "file",
    [
        "tasks/77/task.xml",
        "tasks/77/datasplits.arff",
        "datasets/7/description.xml",
        "datasets/7/features.xml",
        "datasets/7/dataset.arff",
    ],
)
@pytest.mark.parametrize("damage", ["cut", "empty", "garbage"])
def test_damaged_entries_are_fetched_again_or_named(load, small, folder, file, damage):
    load("openml:77")
    path = folder / file
    whole = path.read_bytes()
    path.write_bytes(
        {"cut": whole[: len(whole) // 2], "empty": b"", "garbage": b"\x00\xff<a>"}[damage]
    )
    with pytest.raises(TaskError) as caught:
        load("openml:77", offline=True)
    assert "\n" not in str(caught.value)
    task = load("openml:77")
    assert len(task.target) == 300
    assert path.read_bytes() == whole
    assert load("openml:77", offline=True).provenance["source"] == "OpenML cache"


def test_pickles_in_the_cache_are_never_opened(load, small, folder):
    load("openml:77")
    for path in (
        "tasks/77/datasplits.pkl.py3",
        "datasets/7/dataset.pkl.py3",
        "datasets/7/features.xml.pkl",
    ):
        (folder / path).write_bytes(pickle.dumps(Explosive()))
    assert load("openml:77", offline=True).title == "small"


def test_no_pickle_is_written(load, small, folder):
    load("openml:77")
    written = sorted(p.name for p in folder.rglob("*") if p.is_file())
    assert written == [
        "dataset.arff",
        "datasplits.arff",
        "description.xml",
        "features.xml",
        "task.xml",
    ]


def test_the_clients_configuration_is_left_as_it_was(load, small):
    before = openml.config.get_config_as_dict()
    load("openml:77")
    assert openml.config.get_config_as_dict() == before
    assert "OPENML_SKIP_PARQUET" not in os.environ


def test_the_clients_configured_server_and_cache_are_used(
    openml_server, small, tmp_path, monkeypatch
):
    monkeypatch.setattr(openml.config, "server", f"{openml_server.url}/api/v1/xml")
    monkeypatch.setattr(openml.config, "_root_cache_directory", tmp_path / "own")
    assert load_task("openml:77").title == "small"
    assert list((tmp_path / "own").rglob("task.xml"))


def test_the_api_key_stays_with_its_server(load, openml_server, small, monkeypatch):
    seen = []
    request = openml_http.TimedSession.request

    def watch(self, method, url, *args, **kwargs):
        seen.append(kwargs.get("params"))
        return request(self, method, url, *args, **kwargs)

    monkeypatch.setattr(openml_http.TimedSession, "request", watch)
    monkeypatch.setattr(openml.config, "apikey", "secret")
    load("openml:77")
    assert seen
    assert "secret" not in str(seen)


def test_a_cached_parquet_file_is_used(load, openml_server, small, folder):
    task = load("openml:77")
    from automl_meta.tasks import read_table

    arff_file = folder / "datasets" / "7" / "dataset.arff"
    read_table(arff_file).to_parquet(folder / "datasets" / "7" / "dataset_7.pq")
    arff_file.unlink()
    description = folder / "datasets" / "7" / "description.xml"
    text = description.read_text()
    url = f"<oml:parquet_url>{openml_server.url}/b/dataset_7.pq</oml:parquet_url>"
    description.write_text(text.replace("<oml:file_id>", f"{url}<oml:file_id>"))
    assert load("openml:77", offline=True).features.equals(task.features)


def test_the_bundled_copy_serves_when_the_network_does_not(load, openml_server, monkeypatch):
    monkeypatch.setattr("automl_meta.tasks.openml_client.ATTEMPTS", 1)
    openml_server.fail("task", "html503")
    task = load("openml:9946")
    assert task.provenance["source"] == "bundled copy"
    assert "The bundled copy was used" in task.notes[0]


@pytest.mark.parametrize(
    "reference", ["openml:x", "openml:", "31", "https://www.openml.org/t/31", ""]
)
def test_odd_references_are_refused(load, reference):
    with pytest.raises(InvalidParameterError, match="openml:31"):
        load(reference)


def test_options_that_do_not_fit(load, small):
    with pytest.raises(InvalidParameterError, match="http or https URL"):
        load("openml:77", server="localhost:80")
    with pytest.raises(InvalidParameterError, match="test_file"):
        load("openml:77", test_file="x.csv")
    with pytest.raises(InvalidParameterError, match="openml-data:7"):
        load("openml:77", target="noise")


@pytest.mark.data
@pytest.mark.parametrize(
    ("task_id", "shape", "n_classes"),
    [
        (31, (1000, 20), 2),
        (3, (3196, 36), 2),
        (37, (768, 8), 2),
        (36, (2310, 18), 7),
        (3021, (3772, 27), 2),
        (41, (683, 35), 19),
    ],
)
def test_real_tasks(load, openml_server, shared_data, task_id, shape, n_classes):
    openml_server.add_real(shared_data / "openml", task_id)
    task = load(f"openml:{task_id}")
    assert task.features.shape == shape
    assert len(task.classes) == n_classes
    assert task.split.source == "OpenML fold 0"
    assert abs(len(task.split.test) - shape[0] / 10) <= 1
    assert load(f"openml:{task_id}", offline=True).features.equals(task.features)
