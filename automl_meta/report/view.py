"""From a ``result.json`` document to what the page shows: words, rounded numbers, table rows."""

from collections.abc import Mapping
from typing import Any

from automl_meta._typing import JSON
from automl_meta._words import counted
from automl_meta.exceptions import StoreError
from automl_meta.report.ensemble import ensemble_view, used_ensemble
from automl_meta.report.text import duration, number, setting, signed

SCHEMA = "automl-meta/result/1"
_STOPPED = {
    "trials": "all trials were run",
    "timeout": "the timeout was reached",
    "interrupt": "interrupted by the user",
}
#: Below this many held-out rows the page warns that differences in the test score are noise.
_FEW_TEST_ROWS = 1000


def view(result: JSON) -> dict[str, Any]:
    """Turn a result into the values that the templates print.

    Args:
        result: A document of schema ``automl-meta/result/1``.

    Returns:
        A mapping of plain strings, lists and mappings; nothing in it is escaped yet.

    Raises:
        StoreError: If the schema is another one or a field is missing.
    """
    if result.get("schema") != SCHEMA:
        msg = (
            f"The report needs a result of schema {SCHEMA!r}. Got {result.get('schema')!r} instead. "
            "Write it again with this version: automl-meta fit."
        )
        raise StoreError(msg)
    try:
        return {
            "title": result["task"]["title"],
            "subtitle": _subtitle(result["task"]),
            "verdict": _verdict(result),
            "caution": _caution(result),
            "cards": _cards(result),
            "metric": result["task"]["metric"],
            "best": [
                (k, setting(v)) for k, v in (result["search"]["best_configuration"] or {}).items()
            ],
            "best_trial": result["search"]["best_trial"],
            "ensemble": ensemble_view(result),
            "scores": _score_rows(result),
            "prior": _prior(result["prior"]),
            "trials": [_trial(t, result["search"]["best_trial"]) for t in result["trials"]],
            "stopped": _STOPPED.get(result["search"]["stopped_by"], result["search"]["stopped_by"]),
            "task": _task_rows(result["task"]),
            "notes": list(result["task"]["notes"]),
            "settings": _settings(result),
            "importances": sorted(
                ((k, f"{v:.0%}") for k, v in result["importances"].items()),
                key=lambda row: -result["importances"][row[0]],
            ),
            "versions": [(k, str(v)) for k, v in result["versions"].items()],
            "machine": _machine(result["machine"]),
            "command": result["command"],
            "version": result["automl_meta_version"],
            "started": _when(result["started"]),
        }
    except KeyError as error:
        msg = f"The result lacks the field {error}. Write it again with this version: automl-meta fit."
        raise StoreError(msg) from error


def _when(stamp: str) -> str:
    return stamp.replace("T", " ")[:16]


def _subtitle(task: Mapping[str, Any]) -> str:
    kind = {
        "binary": "binary classification",
        "multiclass": f"classification, {len(task['classes'])} classes",
        "regression": "regression",
    }[task["kind"]]
    return f"{task['name']} · {kind} · {task['n_rows']:,} rows \N{MULTIPLICATION SIGN} {task['n_columns']:,} columns · target {task['target']}"


def _gain(result: JSON) -> float | None:
    test = result["test"]
    if not test or test["score"] is None or not test.get("best_default"):
        return None
    other = test["best_default"]["test_score"]
    return None if other is None else float(test["score"]) - float(other)


def _verdict(result: JSON) -> str:
    test = result["test"]
    if result["search"]["best_trial"] is None:
        return "The search ended without a usable trial: no model was fitted. The reasons are in the table of trials."
    if not test or test["score"] is None:
        why = (test or {}).get("reason") or "The run ended before its model was fitted and scored."
        return f"There is no held-out score. {why}"
    ensemble = used_ensemble(result)
    subject = (
        f"The average of {len(ensemble['members'])} trials" if ensemble else "The best model found"
    )
    head = f"{subject} scores {number(test['score'])} ({test['metric']}) on {test['n_rows']:,} held-out rows that the search never saw"
    gain = _gain(result)
    if gain is None:
        return head + "."
    name = test["best_default"]["family"]
    if gain == 0:
        return f"{head}, exactly as the best family default ({name})."
    side = "above" if gain > 0 else "below"
    return f"{head}, {number(abs(gain))} {side} the best family default ({name})."


def _caution(result: JSON) -> str:
    """Say what weakens the verdict: few held-out rows, or a default that cross-validates better."""
    test, best = result["test"], (used_ensemble(result) or {}).get("score")
    if best is None:
        best = result["search"]["best_score"]
    if not test or test["score"] is None:
        return ""
    parts = []
    default = test.get("best_default")
    if default and default["score"] > best:
        parts.append(
            f"In cross-validation the default of {default['family']} ({number(default['score'])}) is "
            f"better than anything that the search tried ({number(best)}): give it more trials."
        )
    if test["n_rows"] < _FEW_TEST_ROWS:
        parts.append(
            f"With {test['n_rows']:,} held-out rows, small differences in the test score are chance."
        )
    return " ".join(parts)


def _cards(result: JSON) -> list[dict[str, str]]:
    search, test = result["search"], result["test"]
    counts = search["counts"]
    total = sum(counts.values())
    odd = [f"{counts[k]} {k}" for k in ("pruned", "failed") if counts[k]]
    cards = []
    if test and test["score"] is not None:
        gain = _gain(result)
        note = f"{signed(gain)} against the best default" if gain is not None else test["metric"]
        cards.append({"label": "held-out test score", "value": number(test["score"]), "note": note})
    ensemble = used_ensemble(result)
    if ensemble:
        cards.append(
            {
                "label": "cross-validation score",
                "value": number(ensemble["score"]),
                "note": f"of the average of {len(ensemble['members'])} trials, which were chosen by it",
            }
        )
    if search["best_score"] is not None:
        cards.append(
            {
                "label": "best cross-validation score",
                "value": number(search["best_score"]),
                "note": f"± {number(search['best_std'])} over folds, trial {search['best_trial']}",
            }
        )
    cards.append(
        {"label": "trials", "value": str(total), "note": ", ".join(odd) or "all completed"}
    )
    cards.append(
        {
            "label": "whole run",
            "value": duration(result["seconds"]),
            "note": _STOPPED.get(search["stopped_by"], ""),
        }
    )
    return cards


def _score_rows(result: JSON) -> list[dict[str, str | bool]]:
    """Rows of the held-out comparison: the search first, then the defaults by cross-validation."""
    rows: list[dict[str, str | bool]] = []
    test, search = result["test"], result["search"]
    chosen = (test or {}).get("best_default") or {}
    ensemble, score = used_ensemble(result), (test or {}).get("score")
    if ensemble:
        rows.append(
            _ours(
                "this search",
                ensemble["score"],
                score,
                f"average of {len(ensemble['members'])} trials",
            )
        )
        alone = (test.get("single_best") if test else None) or {}
        note = f"trial {search['best_trial']} alone"
        rows.append(_ours("its best trial", search["best_score"], alone.get("score"), note))
    elif search["best_trial"] is not None:
        rows.append(_ours("this search", search["best_score"], score, ""))
    ranked = sorted(
        result["defaults"], key=lambda d: float("inf") if d["score"] is None else -d["score"]
    )
    rows += [
        {
            "name": default["family"],
            "note": "best default" if default["family"] == chosen.get("family") else "",
            "cv": number(default["score"]),
            "test": number(default["test_score"]),
            "ours": False,
        }
        for default in ranked
    ]
    return rows


def _ours(name: str, cv: float, test: float | None, note: str) -> dict[str, str | bool]:
    return {"name": name, "note": note, "cv": number(cv), "test": number(test), "ours": True}


def _prior(prior: Mapping[str, Any]) -> dict[str, Any]:
    facts = []
    if prior["used"]:
        facts = [("meta-learner", str(prior["name"])), ("model", setting(prior["model"]))]
        facts.append(("trained on", f"{prior['n_tasks']:,} tasks"))
        if prior.get("metric"):
            facts.append(("learned for", str(prior["metric"])))
    return {
        "used": prior["used"],
        "reason": prior["reason"],
        "facts": facts,
        "note": prior.get("metric_note") or "",
    }


def _trial(trial: Mapping[str, Any], best: int | None) -> dict[str, Any]:
    folds = [number(score) for score in trial["fold_scores"]]
    return {
        "number": trial["number"],
        "state": trial["state"],
        "origin": trial["origin"],
        "family": trial["family"],
        "score": number(trial["score"]),
        "folds": ", ".join(folds),
        "seconds": duration(trial["seconds"]),
        "reason": trial["reason"] or "",
        "configuration": _own(trial["configuration"], trial["family"]),
        "best": trial["number"] == best,
    }


def _own(configuration: Mapping[str, Any], family: str) -> list[tuple[str, str]]:
    """Drop the family's prefix from the names where the row already names the family."""
    return [(k.removeprefix(f"{family}."), setting(v)) for k, v in configuration.items()]


def _task_rows(task: Mapping[str, Any]) -> list[tuple[str, str]]:
    split = task["split"]
    rows = [
        ("reference", task["name"]),
        ("target", task["target"]),
        ("metric", f"{task['metric']}, greater is better ({task['metric_source']})"),
        (
            "outer split",
            f"{split['source']}: {split['n_train']:,} training rows, {split['n_test']:,} held-out rows",
        ),
    ]
    if task["classes"]:
        shown = ", ".join(task["classes"][:12]) + (", …" if len(task["classes"]) > 12 else "")
        rows.append(("classes", f"{len(task['classes'])}: {shown}"))
    return rows + [(f"source: {k}", str(v)) for k, v in task["provenance"].items()]


def _settings(result: JSON) -> list[tuple[str, str]]:
    rows = []
    for name, value in result["settings"].items():
        shown = setting(value)
        if value is not None and name in {"timeout", "trial_time_limit"}:
            shown = duration(float(value))
        elif value is not None and name == "memory_limit":
            shown = f"{value} MiB"
        rows.append((name.replace("_", " "), shown))
    return rows


def _machine(machine: Mapping[str, Any]) -> str:
    return f"{machine['cpu']}, {counted(machine['cores'], 'core')}, {machine['memory_gib']:.0f} GiB"
