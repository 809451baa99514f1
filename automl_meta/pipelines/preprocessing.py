"""Steps between a raw table and an estimator: imputation, encoding, scaling.

Every transformer survives at prediction time what it did not see in training: unknown categories,
missing values, columns that were complete before.
"""

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
)

from automl_meta.pipelines.family import DataShape

#: Rarer categories than these share one column: a 10,000-category column stays affordable.
MAX_ONE_HOT = 30
#: HistGradientBoosting bins categories like numbers, 255 bins at most, one of them for missing.
MAX_ORDINAL = 250


def tree_preprocessor(shape: DataShape, *, impute: bool = True) -> ColumnTransformer:
    """Return the preprocessing for tree ensembles: medians for missing numbers, ordinal codes.

    Args:
        shape: Columns of the training rows.
        impute: False where the estimator handles NaN itself; then missing and unseen categories
            become NaN too.
    """
    numeric: Any = (
        SimpleImputer(strategy="median", keep_empty_features=True) if impute else "passthrough"
    )
    missing = -1 if impute else np.nan
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=-2 if impute else np.nan,
        encoded_missing_value=missing,
        max_categories=MAX_ORDINAL,
    )
    return ColumnTransformer(
        [
            ("numeric", numeric, shape.names("numeric")),
            ("categorical", codes, shape.names("categorical")),
        ]
    )


def dense_preprocessor(shape: DataShape, scaling: str) -> ColumnTransformer:
    """Return the preprocessing for models that compare magnitudes: one-hot codes, scaled numbers.

    Args:
        shape: Columns and number of the training rows.
        scaling: ``"standard"`` (zero mean, unit variance) or ``"quantile"`` (ranks mapped to a
            normal distribution, which tames heavy tails).
    """
    if scaling == "quantile":
        scaler: Any = QuantileTransformer(
            n_quantiles=min(200, shape.n_rows), output_distribution="normal", random_state=0
        )
    else:
        scaler = StandardScaler()
    numeric = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", scaler),
        ]
    )
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MAX_ONE_HOT,
        drop="if_binary",
        sparse_output=False,
    )
    return ColumnTransformer(
        [
            ("numeric", numeric, shape.names("numeric")),
            ("categorical", one_hot, shape.names("categorical")),
        ],
        sparse_threshold=0.0,
    )
