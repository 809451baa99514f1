import math
from dataclasses import asdict

import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.training import TrainingSettings


def test_cosine_falls_from_the_rate_to_zero():
    settings = TrainingSettings(steps=10, learning_rate=0.2, schedule="cosine")
    rates = [settings.rate_at(step / 10) for step in range(10)]
    assert rates[0] == 0.2
    assert rates[5] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.01


def test_linear_and_constant():
    linear = TrainingSettings(steps=10, learning_rate=0.2, schedule="linear")
    assert [linear.rate_at(p) for p in (0, 0.25, 0.75)] == pytest.approx([0.2, 0.15, 0.05])
    assert TrainingSettings(steps=10, learning_rate=0.2).rate_at(0.9) == 0.2


def test_progress_is_the_larger_share():
    both = TrainingSettings(steps=100, seconds=10.0)
    assert both.progress_at(30, 1.0) == 0.3
    assert both.progress_at(30, 5.0) == 0.5
    assert both.progress_at(100, 1.0) == 1.0
    assert both.progress_at(1, 11.0) == 1.0
    assert TrainingSettings(seconds=10.0).progress_at(10**6, 1.0) == 0.1
    assert TrainingSettings(steps=10).progress_at(1, 1e9) == 0.1


def test_stored_settings_are_read():
    settings = TrainingSettings(steps=600, learning_rate=3e-3, schedule="cosine", clip_norm=5.0)
    assert TrainingSettings.from_record(asdict(settings)) == settings
    # as the learners that ship with the package hold it
    before = {
        "steps": 600,
        "learning_rate": 0.003,
        "cosine": True,
        "clip_norm": 5.0,
        "validate_every": 100,
        "patience": None,
        "checkpoint_every": 500,
        "log_every": 10,
    }
    assert TrainingSettings.from_record(before) == settings
    assert TrainingSettings.from_record({"steps": 1, "cosine": False}).schedule == "constant"


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"steps": 1.0},
        {"steps": True},
        {"steps": None},
        {"learning_rate": 0},
        {"learning_rate": math.nan},
        {"clip_norm": -1.0},
        {"seconds": 0},
        {"seconds": math.inf},
        {"validate_every": 0},
        {"patience": 0},
        {"checkpoint_every": None},
        {"log_every": -1},
        {"momentum": 1.0},
        {"weight_decay": -0.1},
        {"schedule": "step"},
        {"optimizer": "lbfgs"},
    ],
    ids=str,
)
def test_bad_settings_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of TrainingSettings"):
        TrainingSettings(**({"steps": 10} | wrong))
