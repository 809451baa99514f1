import json
import math
from dataclasses import replace

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError, StoreError
from automl_meta.training import TrainingSettings, load_checkpoint, save_checkpoint, train

START = {"w": torch.tensor([2.0, -1.0, 0.5])}


class KilledError(Exception):
    pass


def noisy(params, generator, progress):
    """Gradient of |w - noise|^2 / 2: every step depends on the generator's state."""
    error = params["w"] - torch.randn(3, generator=generator)
    return error.square().sum() / 2, {"w": error}


def distance(params):
    return params["w"].square().sum().item()


def run(
    folder=None,
    *,
    gradient=noisy,
    resume=False,
    seed=5,
    start=START,
    validate=distance,
    on_step=None,
    **changes,
):
    settings = TrainingSettings(
        **(
            {
                "steps": 40,
                "learning_rate": 0.05,
                "schedule": "cosine",
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
        on_step=on_step,
    )


def killed_after(steps):
    calls = []

    def gradient(params, generator, progress):
        calls.append(1)
        if len(calls) > steps:
            raise KilledError
        return noisy(params, generator, progress)

    return gradient


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def untimed(lines):
    return [{k: v for k, v in line.items() if "seconds" not in k} for line in lines]


@pytest.mark.parametrize("steps", [3, 10, 25, 39])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "sgd", "momentum": 0.9, "schedule": "linear"},
        {"optimizer": "sgd", "weight_decay": 0.1, "schedule": "constant"},
    ],
    ids=["adam", "adamw", "momentum", "sgd"],
)
def test_resume_gives_the_numbers_of_an_uninterrupted_run(tmp_path, steps, changes):
    whole = run(tmp_path / "whole", **changes)
    folder = tmp_path / "killed"
    with pytest.raises(KilledError):
        run(folder, gradient=killed_after(steps), **changes)
    # another seed: only the checkpoint's generator state can make the numbers agree
    resumed = run(folder, resume=True, seed=5 if steps < 10 else 99, **changes)
    assert torch.equal(resumed.params["w"], whole.params["w"])
    assert resumed.best_validation == whole.best_validation
    assert (resumed.steps, resumed.best_step) == (whole.steps, whole.best_step)
    assert untimed(log_of(folder)) == untimed(log_of(tmp_path / "whole"))
    ours, theirs = load_checkpoint(folder), load_checkpoint(tmp_path / "whole")
    assert torch.equal(ours.params["w"], theirs.params["w"])
    for name in ("first", "second"):
        mine, other = getattr(ours.optimizer, name), getattr(theirs.optimizer, name)
        assert set(mine) == set(other)
        assert all(torch.equal(mine[leaf], other[leaf]) for leaf in mine)
    assert torch.equal(ours.generators[0], theirs.generators[0])


def test_resume_keeps_the_order_of_the_parameters(tmp_path):
    start = {"z": torch.ones(2), "a": torch.zeros(3)}
    orders = []

    def gradient(params, generator, progress):
        orders.append(list(params))
        return params["z"].sum(), {name: torch.ones_like(leaf) for name, leaf in params.items()}

    for stop in (20, None):
        run(
            tmp_path,
            gradient=gradient,
            start=start,
            validate=None,
            resume=True,
            on_step=lambda step, stop=stop: step.number == stop,
        )
    assert orders == [["z", "a"]] * 40


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
    assert set(first) == {
        "step",
        "loss",
        "gradient_norm",
        "learning_rate",
        "seconds",
        "cpu_seconds",
    }
    assert first["learning_rate"] == TrainingSettings(
        steps=40, learning_rate=0.05, schedule="cosine"
    ).rate_at(2 / 40)
    assert first["loss"] == pytest.approx(first["gradient_norm"] ** 2 / 2, rel=1e-5)


def test_the_best_parameters_are_returned_and_patience_stops(tmp_path):
    def downhill(params, generator, progress):
        return params["w"].sum(), {"w": torch.ones(3)}  # walks down without end, past the optimum

    result = run(
        tmp_path,
        gradient=downhill,
        start={"w": torch.full((3,), 0.5)},
        schedule="constant",
        clip_norm=None,
        steps=1000,
        learning_rate=0.1,
        validate_every=1,
        patience=4,
    )
    assert result.stopped_by == "patience"
    assert result.best_step == 5
    assert result.steps == 9
    assert result.params["w"].abs().max() < 1e-5
    again = run(
        tmp_path,
        gradient=killed_after(0),
        resume=True,
        start={"w": torch.full((3,), 0.5)},
        schedule="constant",
        clip_norm=None,
        steps=1000,
        learning_rate=0.1,
        validate_every=1,
        patience=4,
    )
    assert again.stopped_by == "patience"
    assert again.steps == 9


class Clock:
    """A clock that each look at it puts forward, so that time budgets need no waiting."""

    def __init__(self, tick):
        self.now, self.tick = 0.0, tick

    def __call__(self):
        self.now += self.tick
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock(0.5)  # a step looks twice: 0.5 s each
    monkeypatch.setattr("automl_meta.training.loop.time.perf_counter", made)
    return made


def test_a_time_budget_counts_training_alone(clock):
    seen = []

    def watched(params, generator, progress):
        seen.append(progress)
        return noisy(params, generator, progress)

    def slow(params):
        clock.now += 1000.0
        return distance(params)

    result = run(gradient=watched, validate=slow, steps=None, seconds=5.0, validate_every=2)
    assert result.stopped_by == "seconds"
    assert (result.steps, result.seconds) == (10, 5.0)
    assert seen == pytest.approx([i / 10 for i in range(10)])


def test_the_rate_follows_the_time(tmp_path, clock):
    run(tmp_path, steps=None, seconds=5.0, schedule="linear", log_every=1)
    rates = [line["learning_rate"] for line in log_of(tmp_path)]
    assert rates == pytest.approx([0.05 * (1 - i / 10) for i in range(10)])
    assert [line["seconds"] for line in log_of(tmp_path)] == [0.5 * i for i in range(1, 11)]


def test_a_resumed_time_budget_goes_on_with_what_is_left(tmp_path, clock):
    budget = {"steps": None, "seconds": 10.0, "checkpoint_every": 4}
    with pytest.raises(KilledError):
        run(tmp_path, gradient=killed_after(9), **budget)
    clock.now += 1e6
    result = run(tmp_path, resume=True, **budget)
    assert (result.steps, result.seconds) == (20, 10.0)
    assert log_of(tmp_path)[-1]["seconds"] == 10.0


def test_the_earlier_of_two_budgets_ends_the_run(clock):
    assert run(steps=7, seconds=10.0).stopped_by == "steps"
    late = run(steps=70, seconds=10.0)
    assert (late.steps, late.stopped_by) == (20, "seconds")


def test_cpu_seconds_are_counted_over_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr("automl_meta.training.loop.time.process_time", Clock(2.0))
    with pytest.raises(KilledError):
        run(tmp_path, gradient=killed_after(25))
    result = run(tmp_path, resume=True)
    assert result.cpu_seconds == 80.0
    assert log_of(tmp_path)[-1]["cpu_seconds"] == 80.0


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path):
    whole = run(tmp_path / "whole")
    steps = []

    def stop(step):
        steps.append(step)
        return step.number == 17

    cut = run(tmp_path / "cut", on_step=stop)
    assert (cut.steps, cut.stopped_by) == (17, "interrupt")
    assert cut.best_step in {7, 14}
    assert [step.number for step in steps] == list(range(1, 18))
    assert {step.number for step in steps if step.validation is not None} == {7, 14}
    assert steps[3].progress == 0.1
    resumed = run(tmp_path / "cut", resume=True)
    assert torch.equal(resumed.params["w"], whole.params["w"])
    assert resumed.best_step == whole.best_step
    assert untimed(log_of(tmp_path / "whole")) == [
        line for line in untimed(log_of(tmp_path / "cut")) if line["step"] != 17
    ]


def test_training_minimises():
    result = run(steps=400, learning_rate=0.02, validate=None)
    assert result.best_validation is None
    assert result.stopped_by == "steps"
    assert distance(result.params) < 0.1 * distance(START)
    assert torch.equal(START["w"], torch.tensor([2.0, -1.0, 0.5]))


def test_an_undefined_step_is_skipped_and_logged(tmp_path):
    calls = []

    def sometimes(params, generator, progress):
        calls.append(1)
        loss, grads = noisy(params, generator, progress)
        if len(calls) == 6:
            grads = {"w": torch.full((3,), math.nan)}
        return loss, grads

    result = run(tmp_path, gradient=sometimes)
    assert torch.isfinite(result.params["w"]).all()
    assert [line["step"] for line in log_of(tmp_path) if line["loss"] is None] == [6]
    assert load_checkpoint(tmp_path).optimizer.updates == 39


def test_lasting_trouble_ends_the_run():
    def never(params, generator, progress):
        return torch.tensor(math.inf), {"w": torch.ones(3)}

    with pytest.raises(InvalidParameterError, match="20 steps in a row"):
        run(gradient=never)


def test_undefined_validation_is_never_the_best(tmp_path):
    result = run(tmp_path, validate=lambda _: math.nan, patience=2)
    assert result.stopped_by == "patience"
    assert result.steps == 14
    assert result.best_validation is None
    assert log_of(tmp_path)[-1]["validation"] is None


def test_checkpoint_of_another_run_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(StoreError, match="other learning_rate"):
        run(tmp_path, resume=True, learning_rate=0.01)
    with pytest.raises(StoreError, match="other parameters"):
        run(tmp_path, resume=True, start={"w": torch.ones(2)})


def test_checkpoint_of_more_processes_is_refused(tmp_path):
    run(tmp_path)
    found = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, replace(found, generators=found.generators * 2))
    with pytest.raises(StoreError, match="other number of processes"):
        run(tmp_path, resume=True)


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
