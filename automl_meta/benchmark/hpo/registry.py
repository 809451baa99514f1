"""The methods by the names that the command line and reports use."""

from collections.abc import Mapping

from optuna.samplers import CmaEsSampler, GPSampler, RandomSampler, TPESampler

from automl_meta.benchmark.hpo.methods import AutoMLMeta, Cold, Method
from automl_meta.benchmark.hpo.peers.fsbo import Fsbo
from automl_meta.benchmark.hpo.peers.nearest import NearestTask
from automl_meta.benchmark.hpo.peers.portfolio import PortfolioThen
from automl_meta.benchmark.hpo.peers.rgpe import Rgpe
from automl_meta.benchmark.hpo.peers.syne_tune import SyneTune


def methods() -> Mapping[str, Method]:
    """Return every method by the name that ``--methods`` takes.

    Example:
        >>> methods()["tpe"].name
        'TPE'
    """
    return {
        "automl-meta": AutoMLMeta(),
        "random": Cold("random", lambda seed: RandomSampler(seed=seed)),
        "tpe": Cold("TPE", lambda seed: TPESampler(seed=seed)),
        "tpe-univariate": Cold(
            "TPE univariate", lambda seed: TPESampler(seed=seed, multivariate=False)
        ),
        "gp": Cold("GPSampler", lambda seed: GPSampler(seed=seed), slow=True, flat=True),
        # Categories it draws at random, as it is made to, and says so each time.
        "cma-es": Cold(
            "CMA-ES",
            lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
            flat=True,
        ),
        "portfolio": PortfolioThen("portfolio"),
        "portfolio+tpe": PortfolioThen("portfolio + TPE", lambda seed: TPESampler(seed=seed)),
        "portfolio+gp": PortfolioThen(
            "portfolio + GPSampler", lambda seed: GPSampler(seed=seed), slow=True
        ),
        "nearest": NearestTask(),
        "rgpe": Rgpe(),
        "fsbo": Fsbo(),
        "zero-shot": SyneTune("Syne Tune zero-shot", "zero-shot"),
        "bounding-box": SyneTune("Syne Tune bounding box", "bounding-box"),
        "quantile": SyneTune("Syne Tune quantiles", "quantile"),
    }
