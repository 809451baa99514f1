"""Families: each one a search space and a scikit-learn pipeline, one file per family."""

from automl_meta.exceptions import InvalidParameterError
from automl_meta.pipelines import (
    catboost,
    hist_gradient_boosting,
    knn,
    lightgbm,
    linear,
    mlp,
    svm,
    xgboost,
)
from automl_meta.pipelines.auto import combine, join, split
from automl_meta.pipelines.average import average
from automl_meta.pipelines.family import Budget, DataShape, Family
from automl_meta.pipelines.forest import EXTRA_TREES, RANDOM_FOREST

__all__ = [
    "AUTO",
    "SKLEARN_FAMILIES",
    "Budget",
    "DataShape",
    "Family",
    "average",
    "combine",
    "families",
    "get_family",
    "join",
    "split",
]

#: The members of ``auto``: it must not change with the extras that happen to be installed.
SKLEARN_FAMILIES: tuple[Family, ...] = (
    hist_gradient_boosting.FAMILY,
    RANDOM_FOREST,
    EXTRA_TREES,
    svm.FAMILY,
    linear.FAMILY,
    knn.FAMILY,
    mlp.FAMILY,
)
AUTO = combine(SKLEARN_FAMILIES)


def families() -> tuple[Family, ...]:
    """Return every family: ``auto``, its seven members, then those of the ``boosting`` extra."""
    return (AUTO, *SKLEARN_FAMILIES, lightgbm.FAMILY, xgboost.FAMILY, catboost.FAMILY)


def get_family(name: str) -> Family:
    """Return a family by its name, ready to use.

    Args:
        name: Such as ``"auto"`` or ``"random_forest"``.

    Raises:
        InvalidParameterError: If there is no such family.
        MissingExtraError: If the package that it needs is not installed.

    Example:
        >>> get_family("knn").default("regression")["n_neighbors"]
        5
    """
    for family in families():
        if family.name == name:
            family.check_installed()
            return family
    known = ", ".join(family.name for family in families())
    raise InvalidParameterError.of("family", "fit", f"one of {known}", name, "Choose one of them.")
