"""Files appear whole or not at all, and results of different settings never mix."""

import json
from pathlib import Path

import pytest

from automl_meta.exceptions import StoreError
from automl_meta.metadata.files import same_settings, write_whole


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_whole(path, "old")
    real = Path.write_text

    def break_off(self, text, **options):
        real(self, text[:2], **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", break_off)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new text")
    assert path.read_text(encoding="utf-8") == "old"


def test_settings_bind_once_there_are_results(tmp_path):
    path = tmp_path / "new" / "settings.json"
    same_settings(path, {"folds": 3}, has_results=False)
    same_settings(path, {"folds": 5, "seeds": (0, 1)}, has_results=False)
    before = path.read_text(encoding="utf-8")
    same_settings(path, {"folds": 5, "seeds": (0, 1)}, has_results=True)
    with pytest.raises(StoreError, match=r"folds 5, now 3; extra None, now 1\. .*--output"):
        same_settings(path, {"folds": 3, "seeds": (0, 1), "extra": 1}, has_results=True)
    with pytest.raises(StoreError, match=r"seeds \[0, 1\], now None"):
        same_settings(path, {"folds": 5}, has_results=True)
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("text", ["{", "[1]", "null"])
def test_results_without_readable_settings_are_refused(text, tmp_path):
    path = tmp_path / "settings.json"
    with pytest.raises(StoreError, match=r"no settings\.json.*Name another --output"):
        same_settings(path, {"folds": 3}, has_results=True)
    path.write_text(text)
    with pytest.raises(StoreError, match="Cannot read the settings"):
        same_settings(path, {"folds": 3}, has_results=True)
    same_settings(path, {"folds": 3}, has_results=False)
    assert json.loads(path.read_text()) == {"folds": 3}
