"""The documentation: its links lead somewhere, its commands and its Python exist."""

import ast
import itertools
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from automl_meta.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_and_their_options_exist(page: Path) -> None:
    for line in "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["automl-meta"]:
            # A command may have commands of its own: all words before the first option name it.
            command = list(itertools.takewhile(str.isalpha, words[1:]))
            shown = CliRunner().invoke(app, [*command, "--help"])
            assert shown.exit_code == 0, line
            for word in words[2:]:
                if word.startswith("--"):
                    assert word in shown.output, f"{word} in {line}"
        elif words[:1] == ["make"]:
            targets = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{re.escape(words[1])}:", targets, re.MULTILINE), line


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_blocks_parse(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(ROOT / "README.md", "python"):
        exec(compile(block, "README.md", "exec"), {})
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "report.html").is_file()
