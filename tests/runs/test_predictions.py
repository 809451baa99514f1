"""Kept predictions: compact, whole or absent, opened without pickle."""

from pathlib import Path

import numpy as np
import pytest

from automl_meta.runs.predictions import PredictionStore

PROBABILITIES = [np.array([[0.25, 0.75], [1.0, 0.0]]), np.array([[0.1, 0.9]])]


def test_probabilities_come_back_as_written(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path, 2, 3)
    store.save(4, PROBABILITIES)
    loaded = store.load(4)
    assert loaded is not None
    np.testing.assert_allclose(loaded, np.concatenate(PROBABILITIES), atol=1e-7)
    np.testing.assert_allclose(loaded.sum(axis=1), 1.0, rtol=1e-12)
    assert [p.name for p in (tmp_path / "predictions").iterdir()] == ["trial-00004.npz"]


def test_values_keep_their_precision(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path, 0, 2)
    values = np.array([[1.7e9 + 0.123456], [-3.0]])
    store.save(0, [values[:1], values[1:]])
    loaded = store.load(0)
    assert loaded is not None
    np.testing.assert_array_equal(loaded, values)


def test_nothing_is_written_for_a_trial_without_predictions(tmp_path: Path) -> None:
    PredictionStore(tmp_path, 2, 3).save(0, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage", ["gone", "empty", "half", "text", "pickle", "shape", "nan", "name"]
)
def test_what_is_lost_or_damaged_is_no_candidate(damage: str, tmp_path: Path) -> None:
    store = PredictionStore(tmp_path, 2, 3)
    store.save(0, PROBABILITIES)
    path = tmp_path / "predictions" / "trial-00000.npz"
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage in {"empty", "half", "text"}:
        path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "text": b"no"}[damage])
    else:
        values = {
            "pickle": {"predictions": np.array([[{}]] * 3, dtype=object)},
            "shape": {"predictions": np.ones((2, 2))},
            "nan": {"predictions": np.full((3, 2), np.nan)},
            "name": {"other": np.ones((3, 2))},
        }[damage]
        np.savez(path, **values)
    assert store.load(0) is None


def test_a_disk_that_refuses_costs_the_candidate_only(tmp_path: Path) -> None:
    (tmp_path / "predictions").write_text("a file where the folder should be")
    store = PredictionStore(tmp_path, 2, 3)
    store.save(0, PROBABILITIES)
    assert store.load(0) is None
