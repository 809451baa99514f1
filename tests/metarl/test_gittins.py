import pytest

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metarl.gittins import gittins_indices


def test_the_published_table_of_the_discounted_index():
    """Gittins (1979) and Gittins, Glazebrook and Weber (2011), table 8.4: discount 0.9, Beta(a, b) arms."""
    table = gittins_indices(150, 0.9)
    first, second = table[149], table[148]  # of 150 and 149 pulls left: 0.9^149 is nothing
    assert first[0, 0].item() == pytest.approx(0.7029, abs=2e-4)
    assert second[1, 0].item() == pytest.approx(0.8001, abs=2e-4)
    assert second[0, 1].item() == pytest.approx(0.5001, abs=2e-4)


def test_two_pulls_by_hand():
    """With one more pull: p - x + p max(0, p1 - x) = 0, p = 1/2, p1 = 2/3, so x = (1/2 + 1/3) / (3/2)."""
    last, first = gittins_indices(2)
    assert first[0, 0].item() == pytest.approx(5 / 9, abs=1e-4)
    assert last[0, 0].item() == pytest.approx(1 / 2, abs=1e-6)
    assert last[1, 0].item() == pytest.approx(2 / 3, abs=1e-6)


def test_what_is_unknown_and_lasts_is_worth_more():
    table = gittins_indices(20)
    indices = [table[left - 1][0, 0].item() for left in range(1, 21)]
    assert indices == sorted(indices)
    ten_left = table[9]
    assert ten_left[1, 1] > ten_left[4, 4] > 0.5  # both have the mean 1/2
    assert ten_left[2, 0] > ten_left[1, 0] > ten_left[0, 0] > ten_left[0, 1]


@pytest.mark.parametrize(("pulls", "discount"), [(0, 1.0), (501, 1.0), (5, 0.0), (5, 1.1)])
def test_wrong_values_are_refused(pulls, discount):
    with pytest.raises(InvalidParameterError, match="of gittins_indices"):
        gittins_indices(pulls, discount)
