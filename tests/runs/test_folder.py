import json
import math
from datetime import datetime
from pathlib import Path

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.runs.folder import (
    default_folder,
    exclusive,
    prepare_folder,
    read_result,
    repair_journal,
    write_json,
)


@pytest.mark.parametrize(
    ("task", "stem"),
    [
        ("openml:31", "openml-31"),
        ("data/my table (1).csv", "my-table-1"),
        ("../../etc/passwd", "passwd"),
        ("x" * 300, "x" * 60),
        ("../..", "task"),
    ],
)
def test_default_folder_is_a_safe_name_under_runs(task: str, stem: str) -> None:
    path = default_folder(task, datetime(2026, 3, 2, 10, 15, 7))
    assert path == Path("runs") / f"{stem}-20260302-101507"


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InvalidParameterError, match="--resume"):
        prepare_folder(tmp_path, resume=False)
    with pytest.raises(InvalidParameterError, match=r"study\.log"):
        prepare_folder(tmp_path, resume=True)
    with pytest.raises(InvalidParameterError, match="It is a file"):
        prepare_folder(tmp_path / "note.txt", resume=False)
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be created"):
        prepare_folder(tmp_path / "file" / "run", resume=False)


def test_two_holders_of_one_folder_are_refused(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path),
        pytest.raises(StoreError, match="Another process"),
        exclusive(tmp_path),
    ):
        pass
    with exclusive(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tail", [b"", b'{"op_code": 4, "wor', b"\x00\xff"])
def test_half_a_line_is_dropped_and_the_journal_goes_on(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "study.log"
    whole = b'{"op_code":0}\n{"op_code":1}\n'
    path.write_bytes(whole + tail)
    Path(f"{path}.lock").symlink_to(path)
    repair_journal(path)
    assert path.read_bytes() == whole
    assert not Path(f"{path}.lock").is_symlink()


def test_a_repaired_journal_is_readable_by_optuna(tmp_path: Path) -> None:
    import optuna

    path = tmp_path / "study.log"
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path))), study_name="s"
    )
    study.tell(study.ask(), 1.0)
    with path.open("ab") as handle:
        handle.write(b'{"op_code": 4, "tr')
    repair_journal(path)
    again = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    again.tell(again.ask(), 2.0)
    assert [t.value for t in again.trials] == [1.0, 2.0]


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": math.nan})
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize("text", [None, "{", "[1]"])
def test_reading_no_result_says_what_to_do(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    with pytest.raises(StoreError, match="automl-meta fit"):
        read_result(tmp_path)
