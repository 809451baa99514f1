import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.training.suite import check_chosen, completed, read_suite

TWO = """
title = "Two"
notes = ["read this"]
[defaults]
steps = 5
size = 1
[[run]]
name = "a"
[[run]]
name = "b"
size = 2
"""


def read(tmp_path, text, **changes):
    path = tmp_path / "two.toml"
    path.write_text(text)
    return read_suite(path, changes, command="metarl", example="bandits")


def test_entries_win_over_defaults_and_changes_over_both(tmp_path):
    suite = read(tmp_path, TWO, size=3)
    assert (suite.title, suite.notes, suite.file) == ("Two", ("read this",), "two.toml")
    assert [(e.name, dict(e.values)) for e in read(tmp_path, TWO).entries] == [
        ("a", {"steps": 5, "size": 1}),
        ("b", {"steps": 5, "size": 2}),
    ]
    assert [entry.values["size"] for entry in suite.entries] == [3, 3]


def test_a_budget_replaces_the_other_kind(tmp_path):
    assert read(tmp_path, TWO, seconds=9).entries[0].values == {"size": 1, "seconds": 9}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "is no valid TOML"),
        ("title = 'none'", "one \\[\\[run\\]\\] table at least"),
        ("[[run]]\nsize = 1", "'name' parameter of two.toml must be a name without slashes"),
        ("[[run]]\nname = '../a'", "a name without slashes"),
        ("[[run]]\nname = 'a'\n[[run]]\nname = 'a'", "must be unique"),
    ],
)
def test_files_that_break_the_format_are_refused(tmp_path, text, message):
    with pytest.raises(InvalidParameterError, match=message):
        read(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InvalidParameterError, match=r"'suite' parameter of metarl .* Try bandits"):
        read_suite(tmp_path / "no.toml", {}, command="metarl", example="bandits")


def test_settings_are_made_by_the_recipe(tmp_path):
    entry = read(tmp_path, TWO).entries[1]
    assert completed(entry, dict, "two.toml", ignored=("steps",)) == {"size": 2}
    with pytest.raises(InvalidParameterError, match=r"Run 'b' of two.toml lacks a value"):
        completed(entry, lambda steps: steps, "two.toml")


def test_unknown_names_are_refused():
    with pytest.raises(InvalidParameterError, match="'only' parameter of metarl must be one of a"):
        check_chosen(["c"], ["a", "b"], "metarl")
