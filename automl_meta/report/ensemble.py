"""What a report shows of the members that a model averages."""

from typing import Any

from automl_meta._typing import JSON
from automl_meta.report.text import number


def used_ensemble(result: JSON) -> JSON | None:
    """Return the ``ensemble`` of a result, or None where the model is a single trial.

    Args:
        result: A document of schema ``automl-meta/result/1``; one written before there were ensembles
            has none.
    """
    ensemble: JSON | None = result.get("ensemble")
    return ensemble if ensemble and ensemble["used"] else None


def ensemble_view(result: JSON) -> dict[str, Any]:
    """Return the rows of the table of members, and the sentences around it.

    Args:
        result: A document of schema ``automl-meta/result/1``.

    Returns:
        ``reason``, ``dropped`` (sentences) and ``members`` (trial, family, weight, cross-validation score);
        ``members`` is empty where the model is a single trial.
    """
    ensemble = result.get("ensemble") or {}
    scores = {trial["number"]: trial["score"] for trial in result["trials"]}
    members = ensemble.get("members", []) if ensemble.get("used") else []
    return {
        "reason": ensemble.get("reason", ""),
        "dropped": [
            f"Trial {record['trial']} was left out: its refit failed ({record['reason']})."
            for record in ensemble.get("dropped", [])
        ],
        "members": [
            {
                "trial": member["trial"],
                "family": member["family"],
                "weight": f"{member['weight']:.0%}",
                "score": number(scores.get(member["trial"])),
            }
            for member in members
        ],
    }
