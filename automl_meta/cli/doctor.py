"""``automl-meta doctor``: is everything here that is needed?"""

import sys
from typing import Annotated

import typer

from automl_meta.cli.screen import bold, columns, dim, print_json

_PACKAGES = (
    "torch",
    "optuna",
    "scikit-learn",
    "openml",
    "numpy",
    "pandas",
    "skops",
    "lightgbm",
    "xgboost",
    "catboost",
    "optuna-dashboard",
    "gymnasium",
)
_PROBE_SECONDS = 4.0


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor")(doctor)


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not probe the network.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check what is installed and what can be reached."""
    report = {
        "versions": _versions(),
        "machine": _machine(),
        "meta-learners": _learners(),
        "openml": _openml(offline=offline),
    }
    if as_json:
        print_json(report)
        return
    for title, facts in report.items():
        print(bold(title))
        print(columns([[f"  {dim(name)}", value] for name, value in facts.items()]))
        print()


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    from automl_meta import __version__

    found = {"automl-meta": __version__, "python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed (optional)"
    return found


def _machine() -> dict[str, str]:
    import torch

    from automl_meta._words import counted
    from automl_meta.runs.result import machine_record

    machine = machine_record()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "cpu": f"{machine['cpu']}, {counted(machine['cores'], 'usable core')}",
        "memory": f"{machine['memory_gib']} GiB",
        "gpu": ", ".join(gpus) or "none (not needed for fit)",
    }


def _learners() -> dict[str, str]:
    from automl_meta._resources import shipped_learners_folder

    folder = shipped_learners_folder()
    names = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    return {"shipped": ", ".join(names) or "none: fit uses Optuna's TPE", "folder": str(folder)}


def _openml(*, offline: bool) -> dict[str, str]:
    from automl_meta.tasks.openml_client import source

    where = source()
    tasks = where.folder / "tasks"
    cached = sum(1 for p in tasks.iterdir() if p.is_dir()) if tasks.is_dir() else 0
    network = "not probed (--offline)" if offline else _probe(where.server)
    return {
        "server": where.server,
        "network": network,
        "cache": f"{where.folder}, {cached} tasks",
    }


def _probe(url: str) -> str:
    import time

    import requests

    started = time.perf_counter()
    try:
        answer = requests.get(
            f"{url.rstrip('/')}/data/qualities/list", timeout=_PROBE_SECONDS, stream=True
        )
    except requests.RequestException as error:
        kind = type(error).__name__
        return f"not reachable ({kind}); use --offline with cached and bundled tasks"
    took = (time.perf_counter() - started) * 1000
    state = "ok" if answer.ok else f"answers with HTTP {answer.status_code}"
    answer.close()
    return f"{state}, {took:.0f} ms"
