r"""What a task's meta-features say of its responses, before any trial.

Notation: T past tasks, F meta-features, h response features, K warps.

Past tasks have weights :math:`w_t` over the shared response features. A new task's expected weights are those of a
kernel ridge regression on the meta-features f,

.. math:: m(f) = m + (W - m)^T \left[(1 - \rho) K + \rho I\right]^{-1} (1 - \rho)\, k(f),

with K a Gaussian kernel. Its width and :math:`\rho`, the share of a task that meta-features do not explain, are
those that predict left-out tasks' responses best; where nothing beats the mean, :math:`\rho = 1` and the mean stays.

Reference: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, equation 5.12, for the left-out
errors in closed form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.distance import cdist

from automl_meta._typing import FloatArray
from automl_meta.prior.responses import Responses

#: Widths of the kernel, in median squared distances between past tasks, and shares that stay unexplained.
_WIDTHS = (0.15, 0.3, 0.6, 1.0, 2.0, 4.0)
_UNEXPLAINED = (0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 0.95, 1.0)
#: Standard deviations beyond which a meta-feature is no further from the others.
_FAR = 3.0
#: With fewer past tasks than this nothing is learned from their meta-features.
_LEAST_TASKS = 8


@dataclass(frozen=True, eq=False)
class Conditioner:
    """The regression from meta-features to expected weights.

    Attributes:
        names: F names.
        centre: Mean of each meta-feature over the past tasks, shape [F].
        spread: Their standard deviations, > 0, shape [F].
        tasks: Standardised meta-features of the past tasks, shape [T, F].
        widths: Warp to its kernel's width, a squared distance, > 0.
        duals: Warp to what each task's kernel value is multiplied by, shape [T, h].
    """

    names: tuple[str, ...]
    centre: FloatArray
    spread: FloatArray
    tasks: FloatArray
    widths: Mapping[str, float]
    duals: Mapping[str, FloatArray]

    def conditioned(self, responses: Responses, features: Mapping[str, float]) -> Responses:
        """Return the responses with the mean that a task's meta-features let expect.

        Args:
            responses: What the conditioner was learned with.
            features: Meta-features of the new task by name; one that is missing counts as average, unknown ones
                are ignored.
        """
        given = np.array([features.get(name, np.nan) for name in self.names], dtype=np.float64)
        if not np.isfinite(given).any():
            return responses
        new = standardised(given, self.centre, self.spread)
        distance = np.mean((self.tasks - new) ** 2, axis=1)
        warps = {
            name: replace(
                warp, mean=warp.mean + _kernel(distance, self.widths[name]) @ self.duals[name]
            )
            for name, warp in responses.warps.items()
        }
        return replace(responses, warps=warps)


def learn_conditioner(
    features: Sequence[Mapping[str, float]],
    responses: Responses,
    weights: Mapping[str, FloatArray],
    x: Sequence[FloatArray],
) -> Conditioner | None:
    """Learn what meta-features say.

    Args:
        features: Meta-features of each past task by name; tasks may lack some.
        responses: From ``learn_responses``.
        weights: From there too: warp to the past tasks' weights, shape [T, h].
        x: Encodings of each task, for the directions of the weights that matter.

    Returns:
        The conditioner; None where tasks are few, have no meta-features that differ, or these predict nothing.
    """
    names = sorted({name for of_task in features for name in of_task})
    raw = np.array([[f.get(name, np.nan) for name in names] for f in features], dtype=np.float64)
    raw = raw.reshape(len(features), len(names))
    raw[~np.isfinite(raw)] = np.nan
    told = [i for i in range(len(names)) if differs(raw[:, i])]
    if len(features) < _LEAST_TASKS or not told:
        return None
    raw = raw[:, told]
    centre, spread = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
    tasks = standardised(raw, centre, spread)
    phi = responses.features(np.concatenate(list(x)))
    gram = phi.T @ phi / len(phi)
    distance = cdist(tasks, tasks, "sqeuclidean") / len(told)
    widths, duals = {}, {}
    for name, warp in responses.warps.items():
        widths[name], duals[name] = _fit(distance, weights[name] - warp.mean, gram)
    if not any(np.any(of_warp) for of_warp in duals.values()):
        return None
    return Conditioner(tuple(names[i] for i in told), centre, spread, tasks, widths, duals)


def _fit(
    distance: FloatArray, deviations: FloatArray, gram: FloatArray
) -> tuple[float, FloatArray]:
    """Return the width and the duals, [T, h], that predict left-out tasks best.

    Args:
        distance: Mean squared distances between the tasks' meta-features, shape [T, T].
        deviations: Of the tasks' weights from their mean, shape [T, h].
        gram: Mean outer product of the response features, shape [h, h]: errors count as they show in responses.
    """
    median = max(float(np.median(distance)), 1e-9)
    best: tuple[float, float, FloatArray] | None = None
    for width in _WIDTHS:
        kernel = _kernel(distance, width * median)
        for rho in _UNEXPLAINED:
            inverse = np.linalg.inv((1.0 - rho) * kernel + rho * np.eye(len(kernel)))
            solved = inverse @ deviations
            left_out = solved / np.diag(inverse)[:, None]
            error = float(np.sum((left_out @ gram) * left_out))
            if best is None or error < best[0]:
                best = (error, width * median, (1.0 - rho) * solved)
    assert best is not None
    return best[1], best[2]


def _kernel(distance: FloatArray, width: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * distance / width), dtype=np.float64)


def standardised(raw: FloatArray, centre: FloatArray, spread: FloatArray) -> FloatArray:
    """Return meta-features in standard deviations, missing ones average, none extreme.

    Args:
        raw: Shape [..., F]; NaN where a task lacks one.
        centre: Their means, shape [F].
        spread: Their standard deviations, > 0, shape [F].

    Example:
        >>> standardised(np.array([3.0, np.nan, 99.0]), np.ones(3), np.ones(3)).tolist()
        [2.0, 0.0, 3.0]
    """
    return np.clip(np.nan_to_num((raw - centre) / spread), -_FAR, _FAR)


def differs(values: FloatArray) -> bool:
    """Tell whether a meta-feature tells tasks apart.

    Args:
        values: One a past task, shape [T]; what is not finite is not known.
    """
    known = values[np.isfinite(values)]
    return len(known) > 0 and float(known.std()) > 1e-9
