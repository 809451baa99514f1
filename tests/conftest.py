"""Fixtures shared by all test folders."""

import importlib.util
import signal
import sys
from pathlib import Path

import pytest

_SERVER = Path(__file__).parent / "support" / "openml_server.py"


def _support(path):
    spec = importlib.util.spec_from_file_location(f"tests_support_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def openml_server():
    """A running loopback server without tasks; ``add`` and ``add_real`` give it some."""
    server = _support(_SERVER).OpenMLServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _answers_to_ctrl_c():
    """Give SIGINT its usual handler: a shell's background job starts with the signal ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
