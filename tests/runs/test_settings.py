import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.runs.settings import FitSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trials", 0),
        ("trials", True),
        ("trials", "ten"),
        ("folds", 1),
        ("folds", 51),
        ("seed", -1),
        ("seed", 2**32),
        ("jobs", 0),
        ("ensemble", 0),
        ("ensemble", 2.0),
        ("timeout", 0.0),
        ("timeout", float("nan")),
        ("trial_time_limit", float("inf")),
        ("memory_limit", 12),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(
        InvalidParameterError, match=f"The '{name}' parameter of fit must be"
    ) as info:
        FitSettings(**{name: value})
    assert "Try --" in str(info.value)


def test_resuming_may_change_how_long_but_not_what() -> None:
    stored = FitSettings(trials=10, folds=3).to_json()
    FitSettings(trials=40, folds=3, jobs=2, timeout=9.0, ensemble=1).check_resumes(stored)
    with pytest.raises(InvalidParameterError, match=r"'folds'.*must be 3.*Got 4.*--folds 3"):
        FitSettings(trials=10, folds=4).check_resumes(stored)
    with pytest.raises(InvalidParameterError, match="'seed'"):
        FitSettings(folds=3, seed=1).check_resumes(stored)
