"""The screen after ``fit``, ``fewshot`` and ``metarl``: what was found, how good it is, where it lies."""

from pathlib import Path
from typing import Any

from automl_meta._typing import JSON
from automl_meta.cli.screen import bold, columns, dim
from automl_meta.report.ensemble import used_ensemble
from automl_meta.report.fewshot_view import view as fewshot_view
from automl_meta.report.metarl_view import view as metarl_view
from automl_meta.report.text import duration, number, setting
from automl_meta.report.view import view


def fit_summary(document: JSON, path: Path) -> str:
    """Return the summary of a run.

    Args:
        document: A ``result.json`` with a best trial.
        path: Folder of the run.

    Returns:
        Lines of text for a terminal.
    """
    shown = view(document)
    rows = [[dim(label), value] for label, value in _facts(document)]
    places = [[dim("report"), str(path / "report.html")]]
    if (path / "model.skops").is_file():  # not after Ctrl-C during the refit
        places += [
            [dim("model"), str(path / "model.skops")],
            [dim("predict"), f"automl-meta predict --model {path} --input new.csv"],
        ]
    parts = [bold(shown["title"]), shown["subtitle"], "", columns(rows), ""]
    parts += [shown["caution"], ""] if shown["caution"] else []
    return "\n".join([*parts, columns(places)])


def fewshot_summary(document: JSON, path: Path) -> str:
    """Return the summary of a few-shot run.

    Args:
        document: Its ``result.json``.
        path: Folder of the run.

    Returns:
        Lines of text for a terminal.
    """
    shown, training = fewshot_view(document), document["training"]
    rows = [
        [dim(f"test, {row['shots']} shots, {row['steps']} steps"), bold(row["score"])]
        for row in shown["tests"]
    ]
    rows += [
        [dim(card["label"]), f"{card['value']}  {card['note']}"]
        for card in shown["cards"]
        if not card["label"].startswith("test")
    ]
    rows.append([dim("report"), str(path / "report.html")])
    ended = (
        ["", "Ended by Ctrl-C; --resume goes on."] if training["stopped_by"] == "interrupt" else []
    )
    return "\n".join([bold(shown["title"]), shown["subtitle"], "", columns(rows), *ended])


def metarl_summary(document: JSON, path: Path) -> str:
    """Return the summary of a meta-reinforcement-learning run.

    Args:
        document: Its ``result.json``.
        path: Folder of the run.

    Returns:
        Lines of text for a terminal.
    """
    shown, training = metarl_view(document), document["training"]
    rows = [
        [row["name"], bold(row["score"]), row["ahead"], row["published"]]
        for row in shown["methods"]
    ]
    header = ["method", "total reward", "learned ahead by", "published"]
    if shown["adaptation"]:
        steps = range(len(shown["adaptation"][0]["cells"]))
        header = ["mean return after", *(f"{k} steps" for k in steps), "inner rate"]
        rows = [[row["name"], *row["cells"], row["rate"]] for row in shown["adaptation"]]
    facts = [
        [dim(card["label"]), f"{card['value']}  {card['note']}"] for card in shown["cards"][1:]
    ]
    facts.append([dim("report"), str(path / "report.html")])
    parts = [bold(shown["title"]), shown["subtitle"], ""]
    parts += [columns(rows, header=header), "", columns(facts)]
    if training["stopped_by"] == "interrupt":
        parts += ["", "Ended by Ctrl-C; --resume goes on."]
    return "\n".join(parts)


def _facts(document: JSON) -> list[tuple[str, str]]:
    test, search = document["test"] or {}, document["search"]
    if test.get("score") is None:
        held_out = test.get("reason") or "none: the run ended before its model was scored"
    else:
        held_out = (
            bold(number(test["score"])) + f"  on {test['n_rows']:,} rows the search never saw"
        )
    facts = [(f"held-out {document['task']['metric']}", held_out)]
    default = test.get("best_default")
    if default:
        facts.append(
            ("best default there", f"{number(default['test_score'])}  {default['family']}")
        )
    ensemble = used_ensemble(document)
    if ensemble:
        alone = (test.get("single_best") or {}).get("score")
        facts.append(("best trial alone there", number(alone)))
        shares = ", ".join(f"trial {m['trial']} {m['weight']:.0%}" for m in ensemble["members"][:5])
        more = ", …" if len(ensemble["members"]) > 5 else ""
        chosen = f"{number(ensemble['score'])}  of the average, chosen by it"
        facts += [("model", f"average: {shares}{more}"), ("cross-validation", chosen)]
    facts += [
        (
            "best trial" if ensemble else "cross-validation",
            f"{number(search['best_score'])} ± {number(search['best_std'])}  trial {search['best_trial']}",
        ),
        ("best configuration", _configuration(search["best_configuration"])),
        ("trials", _trials(document)),
        ("prior", document["prior"]["reason"]),
    ]
    return facts


def _configuration(configuration: dict[str, Any]) -> str:
    family = configuration.get("family")
    own = {
        name.removeprefix(f"{family}."): value
        for name, value in configuration.items()
        if name != "family"
    }
    text = ", ".join(f"{name} {setting(value)}" for name, value in own.items())
    return f"{family}: {text}" if family else text


def _trials(document: JSON) -> str:
    search = document["search"]
    counts = search["counts"]
    odd = [f"{counts[k]} {k}" for k in ("pruned", "failed") if counts[k]]
    ended = {"timeout": ", ended by the timeout", "interrupt": ", ended by Ctrl-C"}
    note = f" ({', '.join(odd)})" if odd else ""
    return f"{sum(counts.values())}{note}{ended.get(search['stopped_by'], '')}, whole run {duration(document['seconds'])}"
