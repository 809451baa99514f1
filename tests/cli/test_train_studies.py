import json

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from typer.testing import CliRunner

from automl_meta.cli.app import app, run
from automl_meta.search import MetaLearner


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('past')}/past.db"
    for seed, best in enumerate((0.3, 0.35)):
        study = optuna.create_study(
            study_name=f"s{seed}",
            storage=url,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed=seed),
        )
        study.optimize(lambda t, b=best: -((t.suggest_float("x", 0, 1) - b) ** 2), n_trials=15)
    return url


def test_studies_become_a_learner_that_suggests(storage, tmp_path):
    output = str(tmp_path / "learner")
    trained = CliRunner().invoke(app, ["train", "--storage", storage, "--output", output])
    assert trained.exit_code == 0, trained.output
    assert "2 studies, 30 trials, 1 parameters" in trained.output
    assert "No study describes its task" in trained.output
    shown = CliRunner().invoke(app, ["suggest", "--learner", output, "-n", "2"])
    configurations = [json.loads(line) for line in shown.output.splitlines()]
    assert configurations == MetaLearner.load(output).prior.warm_start(2)
    assert abs(configurations[0]["x"] - 0.32) < 0.15
    again = CliRunner().invoke(app, ["train", "--storage", storage, "--output", output])
    assert "It replaces the one that was there." in again.output
    assert "It replaces" not in trained.output


def test_fewer_starting_points_than_asked_for_are_announced(storage, tmp_path, capsys):
    output = str(tmp_path / "learner")
    assert run(["train", "--storage", storage, "--output", output]) == 0
    capsys.readouterr()
    assert run(["suggest", "--learner", output, "-n", "500"]) == 0
    shown = capsys.readouterr()
    n = len(shown.out.splitlines())
    assert 0 < n < 500
    assert shown.err == f"The learner has {n} starting points, not 500.\n"


@pytest.fixture(scope="module")
def two_kinds(tmp_path_factory):
    """Eight studies whose best value depends on the rows of their task, and a file that says how many there are."""
    folder = tmp_path_factory.mktemp("kinds")
    url, lines = f"sqlite:///{folder}/past.db", ["study,rows,never"]
    for seed in range(8):
        best, rows = ((0.1, 10), (0.9, 1000))[seed % 2]
        study = optuna.create_study(
            study_name=f"s{seed}", storage=url, sampler=optuna.samplers.RandomSampler(seed=seed)
        )
        study.optimize(lambda t, b=best: (t.suggest_float("x", 0, 1) - b) ** 2, n_trials=15)
        lines.append(f"s{seed},{rows if seed else ''},")
    (folder / "features.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    return url, str(folder / "features.csv")


def test_a_feature_of_the_new_task_chooses_what_is_suggested(two_kinds, tmp_path, capsys):
    url, features = two_kinds
    output = str(tmp_path / "learner")
    assert run(["train", "--storage", url, "--features", features, "--output", output]) == 0
    capsys.readouterr()
    for rows, best in (("10", 0.1), ("1000", 0.9)):
        assert run(["suggest", "--learner", output, "-n", "1", "--feature", f"rows={rows}"]) == 0
        assert abs(json.loads(capsys.readouterr().out)["x"] - best) < 0.25
    assert run(["suggest", "--learner", output, "--feature", "rowz=1"]) == 2
    assert "'feature' parameter of suggest must be of names that the learner knows (rows)" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        (b"\xff\xfe\x00", "decode"),
        (b"", "which is empty"),
        (b"name,rows\ns0,1\n", "the columns 'name', 'rows'"),
        (b"study;rows\ns0;1\n", "the columns 'study;rows'"),
        (b"study\ns0\n", "the columns 'study'"),
        (b"study,rows,rows\ns0,1,2\n", "each name once"),
        (b"study,rows\ns0,many\n", "'many' for 'rows' in line 2"),
        (b"study,rows\ns0,inf\n", "'inf' for 'rows'"),
        (b"study,rows\ns0,1,2\n", "one line of 2 cells"),
        (b"study,rows\ns0,1\n\ns0,2\n", "line 4"),
        (b"study,rows\ns7,1\n", "the study 's7' in line 2"),
    ],
)
def test_a_bad_file_of_features_is_refused_in_one_line(storage, tmp_path, capsys, text, message):
    path = tmp_path / "features.csv"
    if text is not None:
        path.write_bytes(text)
    output = tmp_path / "learner"
    words = ["train", "--storage", storage, "--features", str(path), "--output", str(output)]
    assert run(words) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Error: The 'features' parameter of train must be a CSV")
    assert message in shown
    assert shown.count("\n") == 1
    assert not output.exists()


def test_one_study_of_a_storage_can_be_named(storage, tmp_path):
    output = str(tmp_path / "learner")
    arguments = ["train", "--storage", storage, "--study", "s1", "--output", output]
    assert "1 studies, 15 trials" in CliRunner().invoke(app, arguments).output


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ((), "Name one source of past evaluations", 2),
        (("--storage", ""), "'storage' parameter of train must be a database URL", 2),
        (("--storage", "{storage}", "--study", "zz"), "'study' parameter of train", 2),
        (("--storage", "sqlite:///no.db"), "there is no file no.db", 1),
        (("--storage", "sqlite:///no.db", "--from-runs", "x"), "Name one source", 2),
        (("--from-runs", "no-such-run"), "the folder of an earlier fit", 2),
        (("--evaluations", "x", "--study", "a"), "given with --storage only", 2),
        (("--from-runs", "x", "--features", "f.csv"), "given with --storage only", 2),
        (("--storage", "past.db", "--steps", "9"), "given with --evaluations only", 2),
        (("--storage", "past.db", "--family", "svm"), "given with --evaluations only", 2),
        (("--storage", "past.db", "--resume"), "given with --evaluations only", 2),
    ],
)
def test_wrong_sources_are_refused_without_a_traceback(
    arguments, message, code, storage, tmp_path, capsys
):
    words = [word.replace("{storage}", storage) for word in arguments]
    assert run(["train", "--output", str(tmp_path / "o"), *words]) == code
    shown = " ".join(capsys.readouterr().err.split())
    assert message in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "o").exists()


def test_a_taken_output_is_refused_before_the_training(storage, tmp_path, capsys, monkeypatch):
    (tmp_path / "taken").write_text("mine")
    monkeypatch.setattr(MetaLearner, "from_studies", lambda *_, **__: pytest.fail("it trained"))
    assert run(["train", "--storage", storage, "--output", str(tmp_path / "taken")]) == 1
    assert "cannot be created" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "taken").read_text() == "mine"


def folds_of(trial, n_folds=5):
    """Report as fit does: one score a fold, and their mean."""
    x = trial.suggest_float("x", 0, 1)
    scores = [(x - 0.3) ** 2 + 0.01 * ((7 * fold + trial.number) % 5) for fold in range(n_folds)]
    for fold, score in enumerate(scores):
        trial.report(score, fold)
    return sum(scores) / n_folds


def earlier_fit(folder, family, seed, kind="binary", n_trials=9):
    """A folder with what train reads of one that fit wrote."""
    folder.mkdir()
    backend = JournalFileBackend(str(folder / "study.log"))
    study = optuna.create_study(
        study_name="fit",
        storage=JournalStorage(backend),
        sampler=optuna.samplers.RandomSampler(seed=seed),
    )
    study.set_user_attr("task_features", {"log_rows": 2.0 + seed})
    study.optimize(folds_of, n_trials=n_trials)
    (folder / "result.json").write_text(
        json.dumps({"settings": {"family": family}, "task": {"kind": kind}})
    )
    return str(folder)


def test_runs_of_one_family_are_each_learned_from_once(tmp_path, capsys):
    runs = [earlier_fit(tmp_path / name, "knn", i) for i, name in enumerate("ab")]
    repeated = [word for path in [*runs, runs[0]] for word in ("--from-runs", path)]
    assert run(["train", *repeated, "--output", str(tmp_path / "learner")]) == 0
    shown = capsys.readouterr().out
    assert "2 studies, 18 trials" in shown
    assert "It never prunes: too few studies reported fold scores." in shown


def test_runs_describe_their_tasks_themselves(tmp_path, capsys):
    runs = [earlier_fit(tmp_path / name, "knn", i) for i, name in enumerate("ab")]
    words = [word for path in runs for word in ("--from-runs", path)]
    assert run(["train", *words, "--output", str(tmp_path / "learner")]) == 0
    assert "1 number describes the tasks" in capsys.readouterr().out
    portfolio = MetaLearner.load(tmp_path / "learner").prior.portfolio
    assert portfolio.feature_names == ("log_rows",)
    assert portfolio.meta_features.tolist() == [[2.0], [3.0]]


def test_runs_teach_the_pruner_their_fold_scores(tmp_path, capsys):
    runs = [earlier_fit(tmp_path / name, "knn", i, n_trials=10) for i, name in enumerate("abcde")]
    words = [word for path in runs for word in ("--from-runs", path)]
    assert run(["train", *words, "--output", str(tmp_path / "learner")]) == 0
    assert "Its pruner learned from 5 studies" in capsys.readouterr().out
    assert MetaLearner.load(tmp_path / "learner").prior.pruner.n_tasks == 5


@pytest.mark.parametrize("second", [{"family": "linear"}, {"family": "knn", "kind": "regression"}])
def test_runs_of_several_kinds_are_refused(tmp_path, capsys, second):
    runs = [
        earlier_fit(tmp_path / "a", "knn", 0, kind="multiclass"),
        earlier_fit(tmp_path / "b", seed=0, **second),
    ]
    words = [word for path in runs for word in ("--from-runs", path)]
    assert run(["train", *words, "--output", str(tmp_path / "learner")]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "runs of one family" in shown
    assert not (tmp_path / "learner").exists()


def test_a_training_that_fails_leaves_no_folder(tmp_path, capsys):
    url = f"sqlite:///{tmp_path}/failed.db"
    study = optuna.create_study(storage=url)
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), float("nan"))[1], n_trials=2)
    assert run(["train", "--storage", url, "--output", str(tmp_path / "learner")]) == 2
    assert "2 evaluations within it, none of a finite value" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not (tmp_path / "learner").exists()


def test_suggest_names_its_short_option(tmp_path, capsys):
    assert run(["suggest", "--learner", str(tmp_path), "-n", "0"]) == 2
    assert "Try -n 10" in capsys.readouterr().err


@pytest.mark.parametrize("feature", ["rows", "rows=many", "=3"])
def test_a_feature_must_be_a_name_and_a_number(feature, tmp_path, capsys):
    assert run(["suggest", "--learner", str(tmp_path), "--feature", feature]) == 2
    assert "NAME=NUMBER" in capsys.readouterr().err


def test_suggest_names_what_is_missing(tmp_path, capsys):
    assert run(["suggest", "--learner", str(tmp_path / "none")]) == 1
    assert "No meta-learner" in capsys.readouterr().err
