"""Runs in small: eight classes of noisy patterns, a few steps, real learners."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.fewshot.examples import load_examples
from automl_meta.fewshot.recipes import recipe
from automl_meta.fewshot.result import read_result
from automl_meta.fewshot.run import run_fewshot
from automl_meta.fewshot.settings import WITHOUT_STEPS
from automl_meta.fewshot.setup import make_sources
from automl_meta.report.fewshot import fewshot_report
from automl_meta.training import read_log

SMALL = {
    "ways": 2,
    "steps": 6,
    "filters": 4,
    "meta_batch": 2,
    "queries": 3,
    "test_queries": 3,
    "image_size": 16,
    "validate_every": 2,
    "checkpoint_every": 1,
    "log_every": 1,
    "validation_episodes": 4,
    "test_episodes": 6,
    "threads": 1,
}


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twelve classes of eight pictures: a bright patch whose place tells the class, and noise."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for c in range(12):
        place = folder / f"class-{c:02}"
        place.mkdir()
        for i in range(8):
            pixels = rng.integers(0, 60, (16, 16), dtype=np.uint8)
            pixels[c : c + 4, (3 * c) % 12 : (3 * c) % 12 + 4] = 255
            Image.fromarray(pixels).save(place / f"{i}.png")
    return str(folder)


def settings_for(pictures, learner="maml", **changes):
    if learner in {"protonet", "matching"}:
        changes = {"train_ways": 3} | changes
    if learner == "reptile":
        changes = {"train_shots": 4, "test_steps": 3} | changes
    if learner == "mann":
        changes = {"options": {"units": 8, "slots": 8, "width": 4}} | changes
    return recipe(learner, pictures, **(SMALL | changes))


@pytest.mark.parametrize(
    "learner",
    [
        "maml",
        "fomaml",
        "anil",
        "boil",
        "reptile",
        "meta-sgd",
        "maml++",
        "cavia",
        "protonet",
        "matching",
        "snail",
        "meta-networks",
        "mann",
    ],
)
def test_every_learner_runs_and_states_what_it_did(pictures, tmp_path, learner):
    settings = settings_for(pictures, learner)
    result = run_fewshot(settings, tmp_path / "run", command="the command")
    document = read_result(tmp_path / "run")
    assert result.document == document
    assert result.finished
    assert document["command"] == "the command"
    assert document["settings"]["learner"] == learner
    assert document["transductive"] is True
    assert (document["device"], document["threads"], document["processes"]) == ("cpu", 1, 1)
    assert document["data"]["classes"] == {"train": 32, "validation": 4, "test": 12}
    assert document["seeds"]["training"] == [0]
    training = document["training"]
    assert (training["steps"], training["stopped_by"]) == (6, "steps")
    assert 0 < training["cpu_seconds"] < 60
    assert training["thread_seconds"] == training["seconds"]
    (test,) = document["tests"]
    assert (test["metric"], test["episodes"], test["shots"]) == ("accuracy", 6, 1)
    assert 0 <= test["mean"] <= 1
    assert (test["steps"] is None) == (learner in WITHOUT_STEPS)
    weights = load_file(tmp_path / "run" / "meta.safetensors")
    assert any(name.startswith("weights.") for name in weights)
    examples = load_examples(tmp_path / "run")
    assert examples.outputs.shape == (1, 4, 6, 2)
    assert examples.episodes.ways == 2
    assert 0.9 < examples.episodes.query_x.max() <= 1


def test_sequences_are_tested_by_appearance(pictures, tmp_path):
    document = run_fewshot(settings_for(pictures, "mann"), tmp_path / "run").document
    # one support item and three queries a class make four appearances
    assert [entry["appearance"] for entry in document["appearances"]] == [1, 2, 3, 4]
    for entry in document["appearances"]:
        assert entry["episodes"] == 6
        assert 0 <= entry["mean"] <= 1
        assert entry["interval95"] >= 0
    assert read_result(tmp_path / "run")["appearances"] == document["appearances"]
    page = fewshot_report(tmp_path / "run").read_text("utf-8")
    assert "By appearance" in page
    assert (tmp_path / "run" / "appearances.svg").is_file()


def test_training_learns(pictures, tmp_path):
    settings = settings_for(pictures, steps=150, validate_every=50, test_episodes=40, filters=8)
    document = run_fewshot(settings, tmp_path / "run").document
    assert document["tests"][0]["mean"] > 0.65  # guessing: 0.5
    assert document["training"]["best_validation"] > 0.65


@pytest.mark.parametrize("learner", ["maml", "meta-networks", "mann"])
def test_a_killed_run_goes_on_to_the_same_numbers(pictures, tmp_path, learner):
    settings = settings_for(pictures, learner)
    whole = run_fewshot(settings, tmp_path / "whole").document

    def kill(step):
        if step.number == 4:
            raise KilledError

    with pytest.raises(KilledError):
        run_fewshot(settings, tmp_path / "cut", on_step=kill)
    assert read_result(tmp_path / "cut")["status"] == "training"
    seen = []
    resumed = run_fewshot(
        settings, tmp_path / "cut", resume=True, on_step=lambda step: seen.append(step.number)
    )
    # killed in step 4, before its checkpoint
    assert seen == [4, 5, 6]
    assert resumed.document["tests"] == whole["tests"]
    assert resumed.document.get("appearances") == whole.get("appearances")
    assert resumed.document["started"] == read_result(tmp_path / "cut")["started"]
    ours, theirs = (load_file(tmp_path / name / "meta.safetensors") for name in ("cut", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_interrupted_run_is_tested_and_can_go_on(pictures, tmp_path):
    settings = settings_for(pictures)
    first = run_fewshot(settings, tmp_path / "run", on_step=lambda step: step.number == 3)
    assert first.document["status"] == "interrupted"
    assert not first.finished
    assert first.document["training"]["stopped_by"] == "interrupt"
    assert len(first.document["tests"]) == 1
    again = run_fewshot(settings, tmp_path / "run", resume=True)
    assert again.finished
    assert again.document["training"]["steps"] == 6


def test_a_finished_run_is_not_repeated(pictures, tmp_path):
    settings = settings_for(pictures)
    first = run_fewshot(settings, tmp_path / "run")

    def never(_):
        raise AssertionError

    again = run_fewshot(settings, tmp_path / "run", resume=True, on_step=never)
    assert again.document == first.document


def test_other_settings_and_full_folders_are_refused(pictures, tmp_path):
    settings = settings_for(pictures)
    run_fewshot(settings, tmp_path / "run")
    with pytest.raises(InvalidParameterError, match="Add --resume"):
        run_fewshot(settings, tmp_path / "run")
    other = settings_for(pictures, inner_rate=0.1)
    with pytest.raises(StoreError, match="other inner_rate"):
        run_fewshot(other, tmp_path / "run", resume=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidParameterError, match="new or empty folder"):
        run_fewshot(settings, tmp_path / "file")


def test_damaged_results_are_refused(pictures, tmp_path):
    folder = tmp_path / "run"
    run_fewshot(settings_for(pictures), folder)
    (folder / "result.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        read_result(folder)
    (folder / "result.json").write_text(json.dumps({"schema": "other"}))
    with pytest.raises(StoreError, match="schema"):
        read_result(folder)
    with pytest.raises(StoreError, match=r"No result\.json"):
        read_result(tmp_path)


def test_seeds(pictures, tmp_path):
    def weights(name, **changes):
        run_fewshot(settings_for(pictures, **changes), tmp_path / name)
        return load_file(tmp_path / name / "meta.safetensors")["weights.head.weight"]

    first = weights("a")
    assert torch.equal(first, weights("b"))
    assert not torch.equal(first, weights("c", seed=1))


def test_the_same_test_episodes_for_every_learner_and_seed(pictures, tmp_path):
    for name, learner, seed in (("a", "maml", 0), ("b", "protonet", 3)):
        run_fewshot(settings_for(pictures, learner, seed=seed), tmp_path / name)
    first, second = (load_examples(tmp_path / name).episodes for name in "ab")
    assert torch.equal(first.query_x, second.query_x)
    assert torch.equal(first.support_x, second.support_x)


@pytest.mark.parametrize("data", ["sinusoid", "harmonic"])
def test_regression_is_tested_by_points_and_steps(tmp_path, data):
    small = {k: v for k, v in SMALL.items() if k not in {"ways", "image_size", "test_queries"}}
    settings = recipe("meta-sgd", data, shots=10, **small)
    document = run_fewshot(settings, tmp_path / "run").document
    cases = [(test["shots"], test["steps"]) for test in document["tests"]]
    assert cases == [(points, steps) for points in (5, 10, 20) for steps in (0, 1, 5)]
    assert {test["metric"] for test in document["tests"]} == {"mean squared error"}
    examples = load_examples(tmp_path / "run")
    assert examples.steps == (0, 1, 5)
    assert examples.outputs.shape == (3, 4, 100, 1)
    log = read_log(tmp_path / "run" / "training")
    assert document["training"]["best_validation"] == min(
        line["validation"] for line in log if "validation" in line
    )


def test_what_cannot_be_had_is_noted_and_switches_are_restored(pictures, tmp_path):
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    settings = settings_for(pictures, device="cpu", precision="tf32", threads=2)
    document = run_fewshot(settings, tmp_path / "run").document
    assert document["precision"] == "float32"
    assert len(document["notes"]) == 1
    assert "TF32" in document["notes"][0]
    assert document["threads"] == 2
    assert (torch.get_float32_matmul_precision(), torch.get_num_threads()) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_an_error_only_where_it_was_asked_for(pictures, tmp_path):
    with pytest.raises(InvalidParameterError, match="'device'"):
        run_fewshot(settings_for(pictures, device="cuda"), tmp_path / "run")


@pytest.mark.parametrize(
    ("learner", "whose"),
    [
        ("maml", "MAML"),
        ("protonet", "NearestPrototype"),
        ("matching", "MatchingSettings"),
        ("snail", "SnailSettings"),
    ],
)
def test_an_unknown_option_is_refused(pictures, tmp_path, learner, whose):
    with pytest.raises(InvalidParameterError, match=f"settings of {whose}"):
        run_fewshot(settings_for(pictures, learner, options={"speed": 3}), tmp_path / "run")


def test_options_of_heads_are_stated(pictures, tmp_path):
    for learner, options in (
        ("matching", {"full_context": False, "temperature": 0.5}),
        ("snail", {"filters": 3, "attention": [[4, 2], [5, 3]]}),
    ):
        settings = settings_for(pictures, learner, options=options, steps=1)
        stated = run_fewshot(settings, tmp_path / learner).document["learner"]["settings"]
        assert stated | options == stated


@pytest.mark.parametrize("learner", ["matching", "snail"])
def test_those_that_read_in_order_train_on_shuffled_supports(pictures, learner):
    sources = make_sources(settings_for(pictures, learner), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    assert len(sources.train.sample(40, generator).support_y.unique(dim=0)) > 1
    for source in (sources.validation, sources.test[1]):
        assert len(source.sample(40, generator).support_y.unique(dim=0)) == 1


def test_an_unknown_option_of_mann_is_refused(pictures, tmp_path):
    for options in ({"speed": 3}, {"embedding": "words"}):
        with pytest.raises(InvalidParameterError, match="MANN"):
            run_fewshot(settings_for(pictures, "mann", options=options), tmp_path / "mann")
