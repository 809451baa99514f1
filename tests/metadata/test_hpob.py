import json

import pytest

from automl_meta.exceptions import StoreError
from automl_meta.metadata.hpob import read_hpob


@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        ([[0.1, 1.0], [0.2, 3.5]], r"3\.5 for 'x1' in configuration 1"),
        ([[0.1, 1.0, 9.0], [0.2, 0.5, 9.0]], r"the shape \(2, 3\)"),
    ],
)
def test_a_configuration_outside_the_unit_cube_is_named(tmp_path, bad, shown):
    path = tmp_path / "meta.json"
    good = [[0.1, 1.0], [0.2, 0.0]]
    tables = {name: {"X": x, "y": [[0.5], [0.6]]} for name, x in (("10", good), ("31", bad))}
    path.write_text(json.dumps({"5971": tables}))
    with pytest.raises(StoreError, match=f"task 31 has {shown}"):
        read_hpob(path, "5971")
