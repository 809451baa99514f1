import pytest

from automl_meta.cli.values import duration, whole
from automl_meta.exceptions import InvalidParameterError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("90s", 90),
        ("1h", 3600),
        ("1h30m", 5400),
        ("45", 45),
        ("1.5m", 90),
        (" 2H ", 7200),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text, "timeout") == seconds


@pytest.mark.parametrize(
    "text",
    ["", "0", "0s", "-5m", "ten", "10 minutes", "5d", "m", "1m1h", "nan", "inf", "1e9h", "9" * 12],
)
def test_bad_durations_name_the_remedy(text: str) -> None:
    with pytest.raises(
        InvalidParameterError, match=r"'timeout' parameter of fit.*Try --timeout 10m"
    ):
        duration(text, "timeout")


@pytest.mark.parametrize("text", ["ten", "", "1.5", "0", "-3", "1e3", "-" + "9" * 30])
def test_bad_integers_are_refused_in_the_one_error_form(text: str) -> None:
    with pytest.raises(InvalidParameterError) as info:
        whole(text, "trials", low=1)
    assert str(info.value) == (
        f"The 'trials' parameter of fit must be an int >= 1. Got {text!r} instead. Try --trials 10."
    )


def test_an_integer_without_end_is_refused_for_its_length() -> None:
    with pytest.raises(InvalidParameterError, match=r"an int >= 1 of at most 18 digits. Got '999"):
        whole("9" * 30, "trials", low=1)
