"""Search spaces: named Optuna distributions with conditions, and their encoding as vectors."""

from automl_meta.spaces.encoding import Encoder
from automl_meta.spaces.region import Region
from automl_meta.spaces.space import Condition, SearchSpace

__all__ = ["Condition", "Encoder", "Region", "SearchSpace"]
