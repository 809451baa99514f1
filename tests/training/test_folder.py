import pytest

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.training.folder import ResultFolder

FOLDER = ResultFolder("metarl", "automl-meta/metarl/1")


def document(**settings):
    return {"schema": "automl-meta/metarl/1", "settings": settings}


def test_a_new_folder_is_made_and_a_full_one_refused(tmp_path):
    folder = tmp_path / "deep" / "run"
    assert FOLDER.prepare(folder, {}, resume=False) is None
    FOLDER.write(folder, document(size=1))
    with pytest.raises(InvalidParameterError, match=r"'output' parameter of metarl .* --resume"):
        FOLDER.prepare(folder, {"size": 1}, resume=False)


def test_a_resumed_run_needs_the_same_settings(tmp_path):
    FOLDER.write(tmp_path, document(size=1))
    assert FOLDER.prepare(tmp_path, {"size": 1}, resume=True) == document(size=1)
    with pytest.raises(StoreError, match="made with other size"):
        FOLDER.prepare(tmp_path, {"size": 2}, resume=True)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(StoreError, match="that automl-meta metarl wrote"):
        FOLDER.read(tmp_path)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        FOLDER.read(tmp_path)
    (tmp_path / "result.json").write_text('{"schema": "other"}')
    with pytest.raises(StoreError, match="no result of automl-meta metarl"):
        FOLDER.read(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be created"):
        FOLDER.prepare(tmp_path / "file" / "run", {}, resume=True)


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        FOLDER.write(tmp_path, document(size=float("nan")))
    assert not list(tmp_path.glob("result.json"))
