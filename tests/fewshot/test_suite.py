import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.result import FewShotResult
from automl_meta.fewshot.suite import load_fewshot_suite, run_suite

TWO = """
title = "Two"
notes = ["A note."]
[defaults]
data = "sinusoid"
threads = 1
steps = 7
[[run]]
name = "a"
learner = "maml"
published = 98.7
[[run]]
name = "b"
learner = "meta-sgd"
seconds = 60
steps = 3
options = {granularity = "tensor"}
"""


def written(tmp_path, text):
    path = tmp_path / "suite.toml"
    path.write_text(text)
    return path


def test_reading(tmp_path):
    suite = load_fewshot_suite(written(tmp_path, TWO))
    assert (suite.title, suite.notes) == ("Two", ("A note.",))
    first, second = suite.runs
    assert (first.name, first.published, second.published) == ("a", 98.7, None)
    assert (first.settings.learner, first.settings.data, first.settings.threads) == (
        "maml",
        "sinusoid",
        1,
    )
    assert (first.settings.training.steps, first.settings.training.seconds) == (7, None)
    assert (second.settings.training.steps, second.settings.training.seconds) == (3, 60)
    assert second.settings.options == {"granularity": "tensor"}


def test_changes_win_and_a_budget_replaces_both_kinds(tmp_path):
    suite = load_fewshot_suite(written(tmp_path, TWO), steps=2, seed=5, threads=2)
    for run in suite.runs:
        assert (run.settings.training.steps, run.settings.training.seconds) == (2, None)
        assert (run.settings.seed, run.settings.threads) == (5, 2)


def test_the_shipped_table_of_a_gpu_is_complete():
    suite = load_fewshot_suite("omniglot-gpu", device="cpu", precision="tf32")
    kinds = {(run.settings.learner, run.settings.ways, run.settings.shots) for run in suite.runs}
    assert len(kinds) == 13 * 4
    assert len(suite.runs) == len(kinds) + 1  # Reptile without the query's statistics
    assert all(run.settings.test_episodes == 10_000 for run in suite.runs)
    assert all(run.settings.training.patience for run in suite.runs)
    # 20 drawings of a character are all there is.
    assert all(
        (run.settings.train_shots or run.settings.shots) + run.settings.queries <= 20
        for run in suite.runs
    )


def test_the_shipped_sinusoids_are_those_of_the_paper():
    suite = load_fewshot_suite("sinusoids")
    assert {run.settings.data for run in suite.runs} == {"sinusoid-frequency"}
    published = {
        (run.settings.learner, run.settings.shots)
        for run in suite.runs
        if run.published is not None and run.settings.inner_steps == 1
    }
    assert published == {(name, points) for name in ("maml", "meta-sgd") for points in (5, 10, 20)}


def test_the_shipped_suite_is_valid():
    suite = load_fewshot_suite("omniglot")
    assert {run.settings.learner for run in suite.runs} == {
        "maml",
        "fomaml",
        "anil",
        "boil",
        "cavia",
        "reptile",
        "meta-sgd",
        "maml++",
        "protonet",
        "meta-networks",
        "mann",
        "matching",
        "snail",
    }
    assert all(run.settings.test_episodes >= 1000 for run in suite.runs)
    for run in suite.runs:  # the name says which rows do without the query's statistics
        assert run.settings.transductive != run.name.endswith("-inductive")


def test_the_shipped_minutes_of_a_gpu_are_limited_by_time():
    suite = load_fewshot_suite("omniglot-gpu-minutes", device="cpu", precision="tf32")
    assert len({run.name for run in suite.runs}) == len(suite.runs) == 9
    assert sum(run.settings.training.seconds for run in suite.runs) <= 700
    longer = load_fewshot_suite("omniglot-gpu-20-way", device="cpu", precision="tf32")
    assert {(run.settings.ways, run.settings.training.seconds) for run in longer.runs} == {
        (20, 450)
    }


def test_runs_go_to_their_folders_up_to_an_interrupt(tmp_path):
    suite = load_fewshot_suite(written(tmp_path, TWO))
    seen = []

    def run(entry, folder):
        seen.append((entry.name, folder))
        return FewShotResult(folder, {"status": "interrupted"})

    assert len(run_suite(suite, tmp_path, run)) == 1
    assert seen == [("a", tmp_path / "a")]
    run_suite(suite, tmp_path, run, only=["b"])
    assert seen[-1] == ("b", tmp_path / "b")
    with pytest.raises(InvalidParameterError, match="one of a, b"):
        run_suite(suite, tmp_path, run, only=["c"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title =", "no valid TOML"),
        ("title = 'x'", "one .*run.* table"),
        ("run = 3", "one .*run.* table"),
        ("[[run]]\nlearner = 'maml'", "'name'"),
        ("[[run]]\nname = '../x'\nlearner = 'maml'", "'name'"),
        ("[[run]]\nname = 'x'", "lacks a value.*learner"),
        (
            "[[run]]\nname = 'x'\nlearner = 'maml'\nways = '5'",
            "Run 'x' of suite.toml: .*'ways' .* an int. Got '5'",
        ),
        ("[[run]]\nname = 'x'\nlearner = 'maml'\nways = 5.5", "'ways' .* an int. Got 5.5"),
        ("[[run]]\nname = 'x'\nlearner = 'maml'\nseconds = true", "a number or None. Got True"),
        ("[[run]]\nname = 'x'\nlearner = 'maml'\ntransductive = 'yes'", "True or False. Got 'yes'"),
        (
            "[[run]]\nname = 'x'\nlearner = 'maml'\noptions = 3",
            "a table of names and values. Got 3",
        ),
        (
            "[[run]]\nname = 'x'\nlearner = 'maml'\npublished = 'x'",
            "'published' .* a number or None",
        ),
        ("[[run]]\nname = 'x'\nlearner = 'maml'\nsped = 3", "'sped'"),
        ("[[run]]\nname = 'x'\nlearner = 'maml'\n" * 2, "unique"),
    ],
)
def test_bad_suites_are_refused(tmp_path, text, message):
    with pytest.raises(InvalidParameterError, match=message):
        load_fewshot_suite(written(tmp_path, text))


def test_unknown_suite():
    with pytest.raises(InvalidParameterError, match="a TOML file or a shipped suite"):
        load_fewshot_suite("nowhere")
