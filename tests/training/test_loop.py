import json
import math

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.training import TrainingSettings, load_checkpoint, train

START = {"w": torch.tensor([2.0, -1.0, 0.5])}


class KilledError(Exception):
    pass


def noisy(params, generator):
    """Gradient of |w - noise|^2 / 2: every step depends on the generator's state."""
    error = params["w"] - torch.randn(3, generator=generator)
    return error.square().sum() / 2, {"w": error}


def distance(params):
    return params["w"].square().sum().item()


def run(
    folder=None, *, gradient=noisy, resume=False, seed=5, start=START, validate=distance, **changes
):
    settings = TrainingSettings(
        **(
            {
                "steps": 40,
                "learning_rate": 0.05,
                "cosine": True,
                "clip_norm": 1.5,
                "validate_every": 7,
                "checkpoint_every": 10,
                "log_every": 3,
            }
            | changes
        )
    )
    generator = torch.Generator().manual_seed(seed)
    return train(
        start,
        gradient,
        settings=settings,
        generator=generator,
        validate=validate,
        folder=folder,
        resume=resume,
    )


def killed_after(steps):
    calls = []

    def gradient(params, generator):
        calls.append(1)
        if len(calls) > steps:
            raise KilledError
        return noisy(params, generator)

    return gradient


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("steps", [3, 10, 25, 39])
def test_resume_gives_the_numbers_of_an_uninterrupted_run(tmp_path, steps):
    whole = run(tmp_path / "whole")
    folder = tmp_path / "killed"
    with pytest.raises(KilledError):
        run(folder, gradient=killed_after(steps))
    # another seed: only the checkpoint's generator state can make the numbers agree
    resumed = run(folder, resume=True, seed=5 if steps < 10 else 99)
    assert torch.equal(resumed.params["w"], whole.params["w"])
    assert resumed.best_validation == whole.best_validation
    assert (resumed.steps, resumed.best_step) == (whole.steps, whole.best_step)
    assert log_of(folder) == log_of(tmp_path / "whole")
    ours, theirs = load_checkpoint(folder), load_checkpoint(tmp_path / "whole")
    assert torch.equal(ours.params["w"], theirs.params["w"])
    assert torch.equal(ours.adam.second["w"], theirs.adam.second["w"])
    assert torch.equal(ours.generator, theirs.generator)


def test_resume_of_a_finished_run_changes_nothing(tmp_path):
    first = run(tmp_path)
    log = log_of(tmp_path)
    again = run(tmp_path, resume=True, gradient=killed_after(0))
    assert torch.equal(first.params["w"], again.params["w"])
    assert log_of(tmp_path) == log


def test_half_written_log_line_is_dropped_on_resume(tmp_path):
    with pytest.raises(KilledError):
        run(tmp_path, gradient=killed_after(25))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 26, "lo')
    run(tmp_path, resume=True)
    assert [line["step"] for line in log_of(tmp_path)][-2:] == [39, 40]


def test_without_resume_a_run_starts_afresh(tmp_path):
    first = run(tmp_path)
    second = run(tmp_path)
    assert torch.equal(first.params["w"], second.params["w"])
    assert len(log_of(tmp_path)) == len({line["step"] for line in log_of(tmp_path)})


def test_log_content(tmp_path):
    run(tmp_path)
    lines = log_of(tmp_path)
    assert [line["step"] for line in lines] == sorted({*range(3, 41, 3), *range(7, 41, 7), 40})
    assert {line["step"] for line in lines if "validation" in line} == {7, 14, 21, 28, 35, 40}
    first = lines[0]
    assert set(first) == {"step", "loss", "gradient_norm", "learning_rate"}
    assert first["learning_rate"] == TrainingSettings(
        steps=40, learning_rate=0.05, cosine=True
    ).rate_at(2)
    assert first["loss"] == pytest.approx(first["gradient_norm"] ** 2 / 2, rel=1e-5)


def test_the_best_parameters_are_returned_and_patience_stops(tmp_path):
    def downhill(params, generator):
        return params["w"].sum(), {"w": torch.ones(3)}  # walks down without end, past the optimum

    result = run(
        tmp_path,
        gradient=downhill,
        start={"w": torch.full((3,), 0.5)},
        cosine=False,
        clip_norm=None,
        steps=1000,
        learning_rate=0.1,
        validate_every=1,
        patience=4,
    )
    assert result.stopped_early
    assert result.best_step == 5
    assert result.steps == 9
    assert result.params["w"].abs().max() < 1e-5
    again = run(
        tmp_path,
        gradient=killed_after(0),
        resume=True,
        start={"w": torch.full((3,), 0.5)},
        cosine=False,
        clip_norm=None,
        steps=1000,
        learning_rate=0.1,
        validate_every=1,
        patience=4,
    )
    assert again.stopped_early
    assert again.steps == 9


def test_training_minimises():
    result = run(steps=400, learning_rate=0.02, validate=None)
    assert result.best_validation is None
    assert not result.stopped_early
    assert distance(result.params) < 0.1 * distance(START)
    assert torch.equal(START["w"], torch.tensor([2.0, -1.0, 0.5]))


def test_an_undefined_step_is_skipped_and_logged(tmp_path):
    calls = []

    def sometimes(params, generator):
        calls.append(1)
        loss, grads = noisy(params, generator)
        if len(calls) == 6:
            grads = {"w": torch.full((3,), math.nan)}
        return loss, grads

    result = run(tmp_path, gradient=sometimes)
    assert torch.isfinite(result.params["w"]).all()
    assert [line["step"] for line in log_of(tmp_path) if line["loss"] is None] == [6]
    assert load_checkpoint(tmp_path).adam.updates == 39


def test_lasting_trouble_ends_the_run():
    def never(params, generator):
        return torch.tensor(math.inf), {"w": torch.ones(3)}

    with pytest.raises(InvalidParameterError, match="20 steps in a row"):
        run(gradient=never)


def test_undefined_validation_is_never_the_best(tmp_path):
    result = run(tmp_path, validate=lambda _: math.nan, patience=2)
    assert result.stopped_early
    assert result.steps == 14
    assert result.best_validation is None
    assert log_of(tmp_path)[-1]["validation"] is None


def test_checkpoint_of_another_run_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(StoreError, match="other learning_rate"):
        run(tmp_path, resume=True, learning_rate=0.01)
    with pytest.raises(StoreError, match="other parameters"):
        run(tmp_path, resume=True, start={"w": torch.ones(2)})


def test_counters_of_another_version_are_refused(tmp_path):
    run(tmp_path)
    path = tmp_path / "checkpoint.json"
    index = json.loads(path.read_text())
    index["counters"]["unknown"] = 1
    path.write_text(json.dumps(index))
    with pytest.raises(StoreError, match="does not fit"):
        run(tmp_path, resume=True)


def test_bad_calls_are_refused():
    with pytest.raises(InvalidParameterError, match="'resume'"):
        run(None, resume=True)
    with pytest.raises(InvalidParameterError, match="'params'"):
        run(start={})
    with pytest.raises(InvalidParameterError, match="one gradient per parameter"):
        run(gradient=lambda *_: (torch.tensor(0.0), {"v": torch.ones(3)}))
