"""Comparison of methods over tasks: regret, ranks, wins, intervals and tests on plain tables."""

from automl_meta.statistics.comparison import (
    Interval,
    WinsTiesLosses,
    bootstrap_interval,
    mean_ranks,
    wilcoxon,
    wins_ties_losses,
)
from automl_meta.statistics.intervals import half_interval
from automl_meta.statistics.regret import incumbent, normalised_regret

__all__ = [
    "Interval",
    "WinsTiesLosses",
    "bootstrap_interval",
    "half_interval",
    "incumbent",
    "mean_ranks",
    "normalised_regret",
    "wilcoxon",
    "wins_ties_losses",
]
