from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.report import comparison_report
from automl_meta.report.comparison_tables import compare_methods
from automl_meta.report.head_start import head_starts


@pytest.fixture
def table() -> pd.DataFrame:
    """Ours is 0.05 better on six tasks, equal on one, worse on one; both rise over the trials."""
    rows = []
    for task in range(8):
        gain = {6: 0.0, 7: -0.05}.get(task, 0.05)
        for method, bonus in (("ours", gain), ("tpe", 0.0)):
            for seed in range(3):
                for trial in range(12):
                    score = 0.7 + 0.01 * trial + bonus
                    rows.append((f"task-{task}", method, seed, trial, score))
    return pd.DataFrame(rows, columns=["task", "method", "seed", "trial", "score"])


def test_ranks_and_wins_are_counted_over_tasks(table: pd.DataFrame) -> None:
    found = compare_methods(table, baseline="tpe", checkpoints=(5, 10))
    assert (found.n_tasks, found.n_seeds, found.n_trials) == (8, 3, 12)
    assert found.ranks[10].to_dict() == {"ours": 1.1875, "tpe": 1.8125}
    duel = found.duels[-1]
    assert (duel.method, duel.checkpoint) == ("ours", 10)
    assert duel.tasks == "6/1/1"
    assert duel.pairs == "18/3/3"
    assert duel.low < duel.gain < duel.high
    assert duel.gain > 0
    assert found.scores.loc["task-0"].to_dict() == pytest.approx({"ours": 0.84, "tpe": 0.79})


def test_the_first_method_is_set_against_all_others(table: pd.DataFrame, tmp_path: Path) -> None:
    third = table[table["method"] == "tpe"].assign(method="gp", score=lambda t: t["score"] + 0.02)
    three = pd.concat([table, third], ignore_index=True)
    found = compare_methods(three, baseline="tpe", checkpoints=(5, 10))
    assert [(d.method, d.baseline, d.checkpoint) for d in found.others] == [
        ("ours", "gp", 5),
        ("ours", "gp", 10),
    ]
    assert found.others[1].tasks == "6/0/2"
    assert compare_methods(table, baseline="tpe", checkpoints=(5,)).others == ()
    _, text = comparison_report(three, tmp_path, title="three", baseline="tpe", checkpoints=(10,))
    assert "ours against the others" in text.read_text()


def test_curves_fall_and_lie_in_their_bands(table: pd.DataFrame) -> None:
    found = compare_methods(table, baseline="tpe", checkpoints=(5,))
    for curve in found.curves:
        assert curve.mean.shape == (12,)
        assert (np.diff(curve.mean) <= 1e-12).all()
        assert (curve.low <= curve.mean + 1e-12).all()
        assert (curve.mean <= curve.high + 1e-12).all()


def test_a_failed_trial_is_no_zero_and_a_run_without_success_loses(table: pd.DataFrame) -> None:
    run = (table["task"] == "task-0") & (table["method"] == "ours")
    some = table.copy()
    some.loc[run & (table["trial"] < 3), "score"] = np.nan
    found = compare_methods(some, baseline="tpe", checkpoints=(10,))
    assert found.scores.loc["task-0", "ours"] == pytest.approx(0.84)
    never = table.copy()
    never.loc[run, "score"] = np.nan
    assert compare_methods(never, baseline="tpe", checkpoints=(10,)).duels[0].tasks == "5/1/2"


def test_the_report_is_written_and_escaped(table: pd.DataFrame, tmp_path: Path) -> None:
    table["task"] = table["task"].replace({"task-0": "<script>|x"})
    html, text = comparison_report(
        table,
        tmp_path / "out",
        title="Ours & TPE",
        baseline="tpe",
        checkpoints=(5, 10),
        command="automl-meta compare --suite a.toml",
        notes=["No meta-learner saw its task."],
    )
    page, words = html.read_text(), text.read_text()
    assert "<script" not in page
    assert "&lt;script&gt;|x" in page
    assert "&lt;script\\>\\|x" in words
    assert "6/1/1" in page
    assert "6/1/1" in words
    assert "automl-meta compare --suite a.toml" in page
    assert "Ours &amp; TPE" in page
    assert "src=" not in page
    assert (tmp_path / "out" / "curves.svg").read_text().count("var(") == 0
    tables = [line for line in words.splitlines() if line.startswith("|")]
    assert "| method | rank after 5 | regret after 5 | rank after 10 | regret after 10 |" in tables
    assert "|---|---:|---:|---:|---:|" in tables


def test_the_verdict_claims_only_what_the_interval_shows(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    equal = table.assign(score=table["score"].where(table["method"] == "tpe"))
    equal["score"] = equal.groupby(["task", "seed", "trial"])["score"].transform("max")
    _, text = comparison_report(equal, tmp_path / "a", title="t", baseline="tpe", checkpoints=(10,))
    assert "cannot be told apart from" in text.read_text()
    _, text = comparison_report(
        table, tmp_path / "b", title="t", baseline="ours", checkpoints=(10,)
    )
    assert "tpe is worse than ours" in text.read_text()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda t: t.drop(columns="seed"), "table"),
        (lambda t: t.iloc[:0], "table"),
        (lambda t: t.iloc[1:], "table"),
        (lambda t: t[(t["seed"] < 2) | (t["method"] == "tpe")], "table"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "table"),
    ],
)
def test_incomplete_tables_are_refused(change: object, name: str, table: pd.DataFrame) -> None:
    with pytest.raises(InvalidParameterError, match=f"'{name}'"):
        compare_methods(change(table), baseline="tpe", checkpoints=(5,))  # type: ignore[operator]


def test_unknown_baselines_and_checkpoints_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(InvalidParameterError, match="'baseline'"):
        compare_methods(table, baseline="random", checkpoints=(5,))
    with pytest.raises(InvalidParameterError, match="'checkpoints'"):
        compare_methods(table, baseline="tpe", checkpoints=(5, 13))


def test_ten_trials_are_compared_with_all_of_the_baseline(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    table["error"] = 0.025
    table["held_out"] = np.where(
        table["trial"].isin([9, 11]), table["score"] - 0.1 * (table["method"] == "tpe"), np.nan
    )
    (start,) = head_starts(table, "tpe")
    # After 10 trials ours is .02 lower than after 12: wins of .03, ties of -.02, a loss of -.07.
    assert (start.validation, start.not_worse) == ("6/1/1", 7 / 8)
    assert start.held_out == "8/0/0"
    assert start.tasks.loc["task-0"].to_dict() == pytest.approx(
        {
            "ours": 0.84,
            "theirs": 0.81,
            "error": 0.025,
            "ours_held_out": 0.84,
            "theirs_held_out": 0.71,
        }
    )
    _, text = comparison_report(table, tmp_path, title="t", baseline="tpe", checkpoints=(10,))
    words = text.read_text()
    assert "won or tied on **88%**" in words
    assert "| task-7 | 0.7400 | 0.8100 | 0.0250 | 0.7400 | 0.7100 |" in words


def test_no_head_start_without_errors_or_with_few_trials(table: pd.DataFrame) -> None:
    assert head_starts(table, "tpe") == ()
    assert head_starts(table[table["trial"] < 10].assign(error=0.1), "tpe") == ()


def test_a_search_without_success_is_behind_in_the_head_start(table: pd.DataFrame) -> None:
    table["error"] = 0.025
    ours = (table["method"] == "ours") & (table["task"] == "task-0")
    table.loc[ours, "score"] = np.nan
    (start,) = head_starts(table, "tpe")
    assert start.validation == "5/1/2"
    assert start.held_out is None
