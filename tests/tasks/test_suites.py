import pytest

from automl_meta.exceptions import AutomlMetaError, InvalidParameterError, TaskError
from automl_meta.tasks import SuiteTask, load_suite, load_suite_task


def test_the_shipped_suite_reads():
    suite = load_suite("meta")
    assert len(suite.tasks) >= 50
    assert {task.kind for task in suite.tasks} == {"classification", "regression"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "no valid TOML"),
        ('name = "x"', "one \\[\\[task\\]\\] table"),
        ('[[task]]\ntarget = "y"', "reference"),
        ('[[task]]\nreference = "a.csv"\ncolour = 1', "colour"),
        ('[[task]]\nreference = "a.csv"\nheader = "no"', "header"),
        ('[[task]]\nreference = "a.csv"\nkind = "ranking"', "kind"),
    ],
)
def test_wrong_suites_are_refused(tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(InvalidParameterError, match=message):
        load_suite(tmp_path / "s.toml")


def test_an_unknown_suite_names_the_shipped_ones():
    with pytest.raises(InvalidParameterError, match="meta"):
        load_suite("nonsense")


def test_shared_tables_need_the_data_folder(monkeypatch):
    monkeypatch.setenv("AUTOML_META_DATA", "/nowhere")
    with pytest.raises(TaskError, match="AUTOML_META_DATA"):
        load_suite_task(SuiteTask("shared:openml/credit-g.arff.gz", "class"))


def test_a_local_table(tmp_path):
    rows = "\n".join(f"{i * 0.5},{i * 1.25}" for i in range(100))
    (tmp_path / "t.csv").write_text(rows)
    entry = SuiteTask(str(tmp_path / "t.csv"), kind="regression", header=False, title="lines")
    task = load_suite_task(entry, max_rows=40, seed=1)
    assert (task.title, len(task.target), task.kind) == ("lines", 40, "regression")
    assert task.provenance["source"] == entry.reference


@pytest.mark.data
@pytest.mark.slow
def test_every_task_of_the_shipped_suite_loads(shared_data):
    failed = []
    for entry in load_suite("meta").tasks:
        try:
            load_suite_task(entry, max_rows=700)
        except AutomlMetaError as error:
            failed.append(f"{entry.reference}: {error}")
    assert failed == []
