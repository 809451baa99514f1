import math

import pytest

from automl_meta.report.text import DASH, MINUS, duration, markdown, number, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5000"),
        (-12.5, f"{MINUS}12.5000"),
        (0.0, "0.0000"),
        (None, DASH),
        (math.inf, "inf"),
        (123456.0, "1.235e+05"),
        (0.0000123, "1.23e-05"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


def test_signed_and_duration() -> None:
    assert signed(-0.5) == f"{MINUS}0.5000"
    assert signed(None) == DASH
    assert duration(None) == DASH
    assert duration(59.96) == "60.0 s"
    assert duration(3599.7) == "1 h 0 min"


def test_markdown_keeps_one_line() -> None:
    assert markdown("a\nb|c") == "a b\\|c"
