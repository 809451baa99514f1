"""What a run was made on: the processor and the versions. Imports nothing heavy."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from automl_meta._typing import JSON


def machine_record() -> JSON:
    """Return what the run was made on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": _cpu_name(), "cores": cores or 1}


def versions_record(*packages: str) -> dict[str, str]:
    """Return the versions that decide a result.

    Args:
        *packages: Names of packages; those that are not installed are left out.

    Example:
        >>> sorted(versions_record("numpy", "no-such-package"))
        ['numpy', 'python']
    """
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.processor() or platform.machine() or "unknown"
