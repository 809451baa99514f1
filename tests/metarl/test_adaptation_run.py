"""Runs of learners that adapt by gradient steps, in small."""

import pytest
import torch
from safetensors.torch import load_file

from automl_meta.metarl.adaptation_run import AdaptationRun
from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.result import FOLDER
from automl_meta.metarl.run import run_metarl
from automl_meta.training import read_log
from automl_meta.training.device import computing_on

SMALL = {
    "steps": 6,
    "hidden": 6,
    "meta_batch": 3,
    "episodes": 3,
    "episode_steps": 8,
    "validate_every": 2,
    "checkpoint_every": 2,
    "log_every": 1,
    "validation_trials": 4,
    "test_trials": 6,
    "threads": 1,
}


class KilledError(Exception):
    pass


def settings_for(learner="promp", env="navigation", **changes):
    epochs = {"epochs": 2} if learner == "promp" else {}
    return recipe(learner, env, **(SMALL | epochs | changes))


@pytest.mark.parametrize(
    ("learner", "env"),
    [("promp", "navigation"), ("maml-rl", "cartpoles"), ("e-maml", "navigation")],
)
def test_a_run_states_what_it_did(learner, env, tmp_path):
    result = run_metarl(settings_for(learner, env, inner_steps=2), tmp_path / "run")
    document = FOLDER.read(tmp_path / "run")
    assert result.finished
    assert result.document == document
    for key in ("training", "shared_training"):
        training = document[key]
        trials = 9 if learner == "promp" else 18  # two epochs play the same tasks
        assert (training["steps"], training["trials"]) == (6, trials)
        assert training["best_validation"] is not None
    names = [method["name"] for method in document["methods"]]
    assert names == [learner, "shared", "fine-tuned", "untrained"]
    for method in document["methods"]:
        adapts = method["name"] != "shared"
        assert len(method["rewards"]) == len(method["intervals"]) == (4 if adapts else 1)
        judged = method["rewards"][2 if adapts else 0]
        assert judged == pytest.approx(method["mean"], abs=1e-3)
        assert (method["rate"] is None) == (not adapts)
    assert document["methods"][0]["rate"] == 0.1
    assert document["methods"][1]["rewards"] == document["methods"][2]["rewards"][:1]
    for name in ("meta", "shared"):
        assert "weight2" in load_file(tmp_path / "run" / f"{name}.safetensors")
    for name in ("training", "shared"):
        assert len(read_log(tmp_path / "run" / name)) == 6


@pytest.mark.parametrize(("training", "step"), [(1, 6), (1, 5), (2, 4)])
def test_a_killed_run_goes_on_to_the_same_numbers(training, step, tmp_path):
    """Killed before a checkpoint, between two epochs, and while the other policy is trained."""
    settings = settings_for()
    whole = run_metarl(settings, tmp_path / "whole").document
    begun = 0

    def kill(told):
        nonlocal begun
        begun += told.number == 1
        if (begun, told.number) == (training, step):
            raise KilledError

    with pytest.raises(KilledError):
        run_metarl(settings, tmp_path / "cut", on_step=kill)
    resumed = run_metarl(settings, tmp_path / "cut", resume=True).document
    assert resumed["methods"] == whole["methods"]
    for name in ("meta", "shared"):
        ours, theirs = (
            load_file(tmp_path / folder / f"{name}.safetensors") for folder in ("cut", "whole")
        )
        assert all(torch.equal(ours[leaf], theirs[leaf]) for leaf in theirs)


def test_an_interrupt_waits_for_the_epochs_and_can_go_on(tmp_path):
    settings, seen = settings_for(), []
    first = run_metarl(
        settings,
        tmp_path / "run",
        on_step=lambda step: seen.append(step.number) or step.number == 3,
    ).document
    assert seen == [1, 2, 3, 4]
    assert first["status"] == "interrupted"
    assert [method["name"] for method in first["methods"]] == ["promp", "untrained"]
    resumed = run_metarl(settings, tmp_path / "run", resume=True).document
    assert resumed["status"] == "finished"
    assert resumed["methods"] == run_metarl(settings, tmp_path / "whole").document["methods"]


def test_whoever_does_not_adapt_plays_as_many_episodes():
    settings = settings_for(inner_steps=2)
    with computing_on("cpu", "float32", 1, where="metarl") as place:
        run = AdaptationRun.of(settings, place)
        sampler = run.sampler(torch.Generator().manual_seed(0), rounds=3)
        assert sampler.episodes == 9
        assert run.trials(6) == 9


def test_all_methods_meet_the_same_tasks():
    settings = settings_for(test_trials=60, episode_steps=4)
    with computing_on("cpu", "float32", 1, where="metarl") as place:
        run = AdaptationRun.of(settings, place)
        params = run.learner.policy.init(torch.Generator().manual_seed(0))
        first, again = (run.returns(run.learner, params, 7, 60, steps) for steps in (0, 0))
        assert torch.equal(first, again)
        adapted = run.returns(run.learner, params, 7, 60, 1)
        # How far the goal is decides most of a short episode's return.
        assert torch.corrcoef(torch.stack([first[0], adapted[1]]))[0, 1] > 0.7


@pytest.mark.gpu
def test_a_gpu_trains_too(tmp_path):
    document = run_metarl(settings_for(device="cuda"), tmp_path / "run").document
    assert document["status"] == "finished"
