import math

import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.training import TrainingSettings


def test_cosine_falls_from_the_rate_to_zero():
    settings = TrainingSettings(steps=10, learning_rate=0.2, cosine=True)
    rates = [settings.rate_at(step) for step in range(10)]
    assert rates[0] == 0.2
    assert rates[5] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.01
    assert TrainingSettings(steps=10, learning_rate=0.2).rate_at(9) == 0.2


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"steps": 1.0},
        {"steps": True},
        {"learning_rate": 0},
        {"learning_rate": math.nan},
        {"clip_norm": -1.0},
        {"validate_every": 0},
        {"patience": 0},
        {"checkpoint_every": None},
        {"log_every": -1},
    ],
    ids=str,
)
def test_bad_settings_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of TrainingSettings"):
        TrainingSettings(**({"steps": 10} | wrong))
