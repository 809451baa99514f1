"""From stored evaluations to a collection of learners that leave out what they must."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from automl_meta.evaluation import Evaluation
from automl_meta.exceptions import StoreError
from automl_meta.metadata.design import design
from automl_meta.metadata.store import EVALUATIONS, TaskRecord, evaluation_row, write_tasks
from automl_meta.pipelines import AUTO, get_family
from automl_meta.prior import Collection
from automl_meta.prior.build import BuildSettings, build_collection
from automl_meta.prior.dataset import meta_table
from automl_meta.tasks.fingerprint import Fingerprint
from automl_meta.tasks.meta_features import META_FEATURES
from automl_meta.training import TrainingSettings

FAMILIES = [get_family("knn"), get_family("linear")]
QUICK = BuildSettings(
    training=TrainingSettings(steps=3), hidden=8, embedding=2, n_folds=3, feature_steps=(30, 30)
)


def made_up(index, rng):
    """Return a task record; tasks 0 and 1 have equal data under different names."""
    kind = "binary" if index < 6 else "regression"
    data = max(index, 1)
    shape = Fingerprint(
        100 + 30 * data,
        2 if index < 6 else 0,
        (0.5, 0.5, 0.0, 0.0, 0.0),
        ((1.0, 0.0, data / 9, 0, 0, 0, 0),),
    )
    metric = "roc_auc" if index < 6 else "neg_root_mean_squared_error"
    features = dict(zip(META_FEATURES, rng.normal(size=len(META_FEATURES)).tolist(), strict=True))
    return TaskRecord(f"task {index}", "made up", kind, metric, shape, features)


@pytest.fixture
def stored(tmp_path):
    rng = np.random.default_rng(0)
    records = [made_up(i, rng) for i in range(10)]
    rows = []
    for record in records:
        problem = "regression" if record.kind == "regression" else "classification"
        for family in FAMILIES:
            for candidate in design(family, problem, 8, record.fingerprint.digest):
                failed = candidate.number == 5
                scores = () if failed else tuple({record.metric: rng.normal()} for _ in range(3))
                evaluation = Evaluation(
                    record.title,
                    family.name,
                    candidate.configuration,
                    record.metric,
                    scores,
                    (0.1,) * len(scores),
                    "failed" if failed else "ok",
                )
                rows.append(
                    evaluation_row(
                        evaluation,
                        number=candidate.number,
                        origin=candidate.origin,
                        space=family.space(problem).schema_hash,
                        folds=3,
                    )
                )
    pd.DataFrame(rows).to_parquet(tmp_path / EVALUATIONS)
    write_tasks(tmp_path, records)
    return tmp_path, records


def test_a_collection_holds_every_family_and_problem_and_leaves_copies_out(stored, tmp_path):
    folder, records = stored
    told = []
    names = build_collection(
        folder, tmp_path / "out", [AUTO, *FAMILIES], QUICK, on_built=lambda b: told.append(b.done)
    )
    assert sorted(names) == sorted(
        f"{f}-{p}" for f in ("auto", "knn", "linear") for p in ("classification", "regression")
    )
    assert told == list(range(1, 7))
    collection = Collection(tmp_path / "out")
    learner = collection.learner(FAMILIES[0].space("classification"))
    folds = {task.title: task.fold for task in learner.tasks}
    assert folds["task 0"] == folds["task 1"]
    choice = collection.choose(learner, records[0].fingerprint)
    assert choice.model == f"fold-{folds['task 0']}"
    assert "task 0, task 1" in choice.reason
    # The manifest says what made it; the stored tasks carry no more than is needed.
    manifest = json.loads((tmp_path / "out" / learner.name / "manifest.json").read_text())
    assert manifest["facts"]["n_evaluations"] == 6 * 8
    assert manifest["facts"]["versions"]["torch"]


def test_resume_keeps_finished_learners(stored, tmp_path):
    folder, _ = stored
    out = tmp_path / "out"
    build_collection(folder, out, [FAMILIES[0]], QUICK)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.safetensors")}
    told = []
    build_collection(
        folder, out, FAMILIES, QUICK, resume=True, on_built=lambda b: told.append(b.name)
    )
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert sorted(told) == ["linear-classification", "linear-regression"]


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def turned_round(text):
    return json.dumps({name: [-s for s in folds] for name, folds in json.loads(text).items()})


OF_ALL = ("settings", "evaluations", "scores", "meta-features")


@pytest.mark.parametrize("harm", [*OF_ALL, "weights", "space", "unreadable"])
def test_resume_trains_again_what_would_come_out_differently(harm, stored, tmp_path):
    folder, records = stored
    out = tmp_path / "out"
    build_collection(folder, out, FAMILIES[:1], QUICK)
    settings = QUICK
    manifest = out / "knn-classification" / "manifest.json"
    if harm == "settings":
        settings = replace(QUICK, training=TrainingSettings(steps=2))
    elif harm == "evaluations":
        table = pd.read_parquet(folder / EVALUATIONS)
        table[table["number"] < 7].to_parquet(folder / EVALUATIONS)
    elif harm == "scores":
        table = pd.read_parquet(folder / EVALUATIONS)
        table["scores"] = [turned_round(text) for text in table["scores"]]
        table.to_parquet(folder / EVALUATIONS)
    elif harm == "meta-features":
        features = dict.fromkeys(META_FEATURES, 0.5)
        write_tasks(folder, [replace(record, meta_features=features) for record in records])
    elif harm == "weights":
        (manifest.parent / "all.safetensors").write_bytes(b"half a file")
    elif harm == "space":
        space = FAMILIES[0].space("classification")
        rewrite(manifest, space={**space.to_json(), "version": space.version + 1})
    else:
        manifest.write_text("{")
    told = []
    build_collection(
        folder, out, FAMILIES[:1], settings, resume=True, on_built=lambda b: told.append(b.name)
    )
    everything = ["knn-classification", "knn-regression"]
    assert sorted(told) == (everything if harm in OF_ALL else everything[:1])
    learner = Collection(out).learner(FAMILIES[0].space("classification"))
    assert learner.facts["training"]["steps"] == settings.training.steps


def test_resume_after_the_meta_dataset_grew_trains_on_all_of_it(stored, tmp_path):
    folder, records = stored
    out = tmp_path / "out"
    write_tasks(folder, records[:-1])
    build_collection(folder, out, FAMILIES[:1], QUICK)
    write_tasks(folder, records)
    build_collection(folder, out, FAMILIES[:1], QUICK, resume=True)
    learner = Collection(out).learner(FAMILIES[0].space("regression"))
    assert [task.title for task in learner.tasks] == [f"task {i}" for i in range(6, 10)]
    assert Collection(out).choose(learner, records[9].fingerprint).model.startswith("fold-")


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("change", ["another task of this title", "a task less"])
def test_learners_of_two_meta_datasets_never_share_a_folder(change, resume, stored, tmp_path):
    folder, records = stored
    out = tmp_path / "out"
    build_collection(folder, out, FAMILIES[:1], QUICK)
    before = (out / "tasks.json").read_bytes()
    last = replace(records[-1], fingerprint=replace(records[-1].fingerprint, n_rows=999))
    write_tasks(folder, [*records[:-1], *([last] if change.startswith("another") else [])])
    with pytest.raises(StoreError, match=r"knn-regression .*task 9 .*\(1 of 4 tasks\).*--output"):
        build_collection(folder, out, FAMILIES[1:], QUICK, resume=resume)
    assert (out / "tasks.json").read_bytes() == before
    assert not (out / "linear-classification").exists()


def test_auto_joins_its_members_and_failures_are_the_worst(stored):
    from automl_meta.metadata.store import read_evaluations

    folder, records = stored
    table = meta_table(read_evaluations(folder), records, AUTO, "classification")
    assert len(table.tasks) == 6
    assert all(t.encodings.shape == (16, len_of(table)) for t in table.tasks)
    assert {c["family"] for c in table.shared} == {"knn", "linear"}
    for task in table.tasks:
        assert np.isnan(task.raw).sum() == 2
        assert (task.scores[np.isnan(task.raw)] == task.scores.min()).all()


def len_of(table):
    from automl_meta.spaces import Encoder

    return Encoder(table.space).n_columns


def test_evaluations_of_another_space_version_are_refused(stored):
    from automl_meta.metadata.store import read_evaluations

    folder, records = stored
    evaluations = read_evaluations(folder)
    evaluations["space"] = "0123456789abcdef"
    with pytest.raises(StoreError, match="another search space"):
        meta_table(evaluations, records, FAMILIES[0], "classification")


def test_nothing_to_learn_from_is_said(stored, tmp_path):
    folder, _ = stored
    with pytest.raises(StoreError, match="has no evaluations of mlp"):
        build_collection(folder, tmp_path / "out", [get_family("mlp")], QUICK)
