"""Runs in small, and the one that shows that training learns."""

import pytest
import torch
from safetensors.torch import load_file

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.metarl.a2c import LossWeights
from automl_meta.metarl.bandits import BernoulliBandits
from automl_meta.metarl.play import PolicyPlayer, n_inputs, play
from automl_meta.metarl.policy import RecurrentPolicy
from automl_meta.metarl.recipes import recipe
from automl_meta.metarl.result import FOLDER
from automl_meta.metarl.run import run_metarl
from automl_meta.metarl.trial_run import TrialRun, meta_gradient
from automl_meta.training import TrainingSettings, read_log, train
from automl_meta.training.device import computing_on

SMALL = {
    "steps": 6,
    "hidden": 8,
    "meta_batch": 16,
    "arms": 3,
    "episodes": 4,
    "validate_every": 2,
    "checkpoint_every": 1,
    "log_every": 1,
    "validation_trials": 20,
    "test_trials": 30,
    "threads": 1,
}


class KilledError(Exception):
    pass


def settings_for(env="bandits", **changes):
    return recipe("rl2", env, **(SMALL | changes))


def test_training_learns_which_arm_pays():
    """One of two arms always pays, the other never: who remembers the first pull gets 3.5 of 4, chance gets 2."""
    tasks = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(64, 1)

    class Sure(BernoulliBandits):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed, options={"tasks": tasks})

    rng = torch.Generator().manual_seed(0)
    bandits = Sure(128, arms=2, pulls=4, generator=rng)
    policy = RecurrentPolicy(n_inputs(bandits), 2, hidden=16)
    trained = train(
        policy.init(rng),
        lambda params, generator, progress: meta_gradient(
            policy, params, bandits, generator, LossWeights(entropy=0.05 * (1 - progress))
        ),
        settings=TrainingSettings(steps=250, learning_rate=1e-2, schedule="linear", clip_norm=0.5),
        generator=rng,
    )
    with torch.no_grad():
        trial = play(PolicyPlayer(policy, trained.params, rng), bandits)
    assert trial.rewards[0].mean().item() == pytest.approx(0.5, abs=0.15)  # nothing is known yet
    assert trial.rewards[1:].mean().item() > 0.97


@pytest.mark.parametrize("env", ["bandits", "mdps"])
def test_a_run_states_what_it_did(env, tmp_path):
    result = run_metarl(settings_for(env, episode_steps=2), tmp_path / "run", command="the command")
    document = FOLDER.read(tmp_path / "run")
    assert result.document == document
    assert result.finished
    assert document["command"] == "the command"
    assert (document["device"], document["threads"]) == ("cpu", 1)
    assert "gymnasium" in document["versions"]
    training = document["training"]
    assert (training["steps"], training["trials"], training["stopped_by"]) == (6, 96, "steps")
    assert training["best_validation"] is not None
    names = [method["name"] for method in document["methods"]]
    rules = ["random", "greedy"] + (
        ["ucb1", "ucb1-tuned", "thompson", "gittins"]
        if env == "bandits"
        else ["psrl", "optimistic-psrl", "informed"]
    )
    assert names == ["rl2", "rl2-drawn", *rules]
    for method in document["methods"]:
        assert len(method["rewards"]) == 4
        assert sum(method["rewards"]) == pytest.approx(method["mean"], abs=1e-3)
        assert (method["regrets"] is None) == (env == "mdps")
    ours, rival = document["methods"][0], document["methods"][3]
    assert ours["learned_ahead"] == 0
    assert rival["learned_ahead"] == pytest.approx(ours["mean"] - rival["mean"], abs=2e-4)
    assert "action" in load_file(tmp_path / "run" / "meta.safetensors")
    assert [line["step"] for line in read_log(tmp_path / "run" / "training")] == list(range(1, 7))


def test_training_in_shorter_trials_is_that_of_a_run_with_short_ones(tmp_path):
    short = run_metarl(settings_for(episodes=3, validation_trials=20), tmp_path / "short")
    mixed = run_metarl(settings_for(episodes=9, train_episodes=3), tmp_path / "mixed")
    losses = [
        [line["loss"] for line in read_log(folder / "training")]
        for folder in (short.path, mixed.path)
    ]
    assert losses[0] == losses[1]
    assert [len(run.document["methods"][0]["rewards"]) for run in (short, mixed)] == [3, 9]
    with pytest.raises(StoreError, match="other train_episodes"):
        run_metarl(settings_for(episodes=9), tmp_path / "mixed", resume=True)


def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path):
    settings = settings_for()
    whole = run_metarl(settings, tmp_path / "whole").document

    def kill(step):
        if step.number == 4:
            raise KilledError

    with pytest.raises(KilledError):
        run_metarl(settings, tmp_path / "cut", on_step=kill)
    assert FOLDER.read(tmp_path / "cut")["status"] == "training"
    seen = []
    resumed = run_metarl(
        settings, tmp_path / "cut", resume=True, on_step=lambda step: seen.append(step.number)
    )
    assert seen == [4, 5, 6]
    assert resumed.document["methods"] == whole["methods"]
    ours, theirs = (load_file(tmp_path / name / "meta.safetensors") for name in ("cut", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_interrupted_run_is_tested_and_can_go_on(tmp_path):
    settings, told = settings_for(), []
    first = run_metarl(
        settings,
        tmp_path / "run",
        on_step=lambda step: step.number == 3,
        on_test=lambda done, total: told.append((done, total)),
    )
    assert first.document["status"] == "interrupted"
    assert told == [(i, 8) for i in range(1, 9)]
    assert run_metarl(settings, tmp_path / "run", resume=True).document["training"]["steps"] == 6


def test_a_finished_run_is_not_repeated(tmp_path):
    settings = settings_for()
    first = run_metarl(settings, tmp_path / "run")

    def never(_):
        raise AssertionError

    again = run_metarl(settings, tmp_path / "run", resume=True, on_step=never)
    assert again.document == first.document


def test_other_settings_and_full_folders_are_refused(tmp_path):
    run_metarl(settings_for(), tmp_path / "run")
    with pytest.raises(InvalidParameterError, match="'output' parameter of metarl"):
        run_metarl(settings_for(), tmp_path / "run")
    with pytest.raises(StoreError, match="other hidden"):
        run_metarl(settings_for(hidden=9), tmp_path / "run", resume=True)
    (tmp_path / "run" / "result.json").write_text("{}")
    with pytest.raises(StoreError, match="no result of automl-meta metarl"):
        run_metarl(settings_for(), tmp_path / "run", resume=True)


def test_a_missing_gpu_is_refused(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InvalidParameterError, match="'device' parameter of metarl"):
        run_metarl(settings_for(device="cuda"), tmp_path / "run")


@pytest.mark.gpu
def test_a_gpu_trains_too(tmp_path):
    document = run_metarl(settings_for(device="cuda"), tmp_path / "run").document
    assert document["status"] == "finished"
    assert document["device"] != "cpu"


@pytest.mark.gpu
@pytest.mark.parametrize("learner", ["rl2", "snail"])
@pytest.mark.parametrize("env", ["bandits", "mdps"])
def test_replays_are_the_gradient(learner, env, caplog):
    settings = recipe(learner, env, **(SMALL | {"device": "cuda", "episodes": 2}))
    with computing_on("cuda", "float32", 1, where="metarl") as place:
        captured, plain = (TrialRun.of(settings, place) for _ in range(2))
        replayed = captured.gradient()
        params = captured.policy.init(torch.Generator().manual_seed(0))
        params = {name: leaf.to(place.device) for name, leaf in params.items()}
        for step in range(4):
            progress = step / 4
            loss, grads = replayed(params, captured.generator, progress)
            expected_loss, expected = plain.plain_gradient(params, progress)
            torch.testing.assert_close(loss, expected_loss)
            torch.testing.assert_close(grads, expected, rtol=1e-3, atol=1e-5)
    assert not caplog.text  # it was captured
