"""Reptile: no derivative of the adaptation at all, only where it leads.

The symbols are those of ``automl_meta.metalearn.algorithms``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.inner import (
    check_losses,
    check_rate,
    check_steps,
    descend,
    support_gradients,
)
from automl_meta.metalearn.params import (
    MetaParams,
    Params,
    TaskLoss,
    copies,
    expand,
    join_meta,
    loss_at,
    only_weights,
)

_MOMENTS, _SEEN = "moments.", "seen"
#: Keeps Adam's quotient finite where a gradient is zero; the value of Adam's paper.
_EPSILON = 1e-8


class _State(NamedTuple):
    """Weights [T, ...], and what Adam knows of their gradients.

    ``moments`` holds decayed sums of squared gradients, [T, ...]; ``seen``, a scalar, is the same sum of
    ones, so that their quotient is an unbiased mean however the two were averaged over tasks and steps.
    """

    weights: Params
    moments: Params
    seen: Tensor


@dataclass(frozen=True)
class Reptile:
    """Reptile: move the initial weights toward the weights adapted to each task.

    The outer gradient is ``theta - mean_t phi_t`` (the paper's ``phi - W`` for a batch, handed to the outer
    optimiser as a gradient; plain descent is meant). The query loss only reports: no derivative of it is
    taken.

    With ``beta2`` the inner loop is Adam with ``beta1 = 0``, the paper's choice. Its second moments are carried
    on to later tasks, as in the authors' code: started afresh on every task, Adam's first steps would be signs
    of the gradient, the same length for every weight. They are meta-parameters, ``moments.NAME``, beside the
    scalar ``seen`` that corrects their bias. Unlike there, all tasks of a batch start from the same moments, and
    the outer step moves them as it moves the weights, by a rate that falls to zero. Only a plain step keeps
    them positive: the outer optimiser must be gradient descent without momentum and decay, rate at most 1.

    Attributes:
        rate: Inner learning rate > 0.
        steps: Inner steps, >= 1. With one step of plain descent this is joint training.
        beta2: None for plain gradient descent, else the second-moment decay in (0, 1) of an inner Adam.

    Reference:
        Nichol, Achiam and Schulman (2018), On First-Order Meta-Learning Algorithms, algorithm 2.
        arXiv:1803.02999

    Example:
        >>> meta = Reptile(rate=0.25).init({"w": torch.tensor(2.0)})
        >>> square = lambda params: params["w"].square()
        >>> Reptile(rate=0.25, steps=2).meta_gradients(meta, square, square, n_tasks=1)
        (tensor(0.2500), {'weights.w': tensor(1.5000)})
    """

    rate: float
    steps: int = 5
    beta2: float | None = None

    def __post_init__(self) -> None:
        check_rate(self.rate, "rate", "Reptile")
        check_steps(self.steps, "Reptile")
        if self.beta2 is not None and not 0 < self.beta2 < 1:
            raise InvalidParameterError.of(
                "beta2",
                "Reptile",
                "None or a number in (0, 1)",
                self.beta2,
                "Adam's usual is 0.999.",
            )

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """See ``Algorithm.init``; with ``beta2`` also ``moments.NAME`` and ``seen``, all zero."""
        meta = join_meta(copies(params))
        if self.beta2 is None:
            return meta
        moments = {_MOMENTS + name: torch.zeros_like(leaf) for name, leaf in params.items()}
        return meta | moments | {_SEEN: next(iter(params.values())).new_zeros(())}

    def adapt(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        n_tasks: int,
        *,
        create_graph: bool = False,
        steps: int | None = None,
    ) -> Params:
        """See ``Algorithm.adapt``. ``create_graph`` is refused with ``beta2``."""
        n_steps = check_steps(self.steps if steps is None else steps, "adapt", least=0)
        if self.beta2 is None:
            weights = expand(only_weights(meta), n_tasks)
            return descend(
                weights, self.rate, support_loss, n_tasks, n_steps, create_graph=create_graph
            )
        if create_graph:
            # The root's derivative is infinite where a gradient is zero: the graph would yield NaN.
            raise InvalidParameterError.of(
                "create_graph", "Reptile.adapt", "False with beta2", create_graph, "Use beta2=None."
            )
        return self._adam(self.beta2, meta, support_loss, n_tasks, n_steps).weights

    def meta_gradients(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        query_loss: TaskLoss,
        n_tasks: int,
    ) -> tuple[Tensor, MetaParams]:
        """See ``Algorithm.meta_gradients``."""
        remembered: Params = {}
        if self.beta2 is None:
            adapted = self.adapt(meta, support_loss, n_tasks)
        else:
            adapted, moments, seen = self._adam(self.beta2, meta, support_loss, n_tasks, self.steps)
            remembered = {_MOMENTS + name: leaf.mean(dim=0) for name, leaf in moments.items()}
            remembered[_SEEN] = seen
        ends = join_meta({name: leaf.mean(dim=0) for name, leaf in adapted.items()}) | remembered
        with torch.no_grad():
            loss = check_losses(query_loss(adapted), n_tasks, "query_loss").mean()
            return loss, {name: leaf.detach() - ends[name] for name, leaf in meta.items()}

    def _adam(
        self,
        beta2: float,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        n_tasks: int,
        steps: int,
    ) -> _State:
        """Run ``steps`` steps of Adam without first moment on every task."""
        weights, moments, seen = _starts(meta, n_tasks)
        for step in range(steps):
            _, grads = support_gradients(loss_at(support_loss, step), weights, n_tasks)
            seen = beta2 * seen + (1 - beta2)
            moments = {
                name: torch.addcmul(beta2 * moments[name], grad, grad, value=1 - beta2)
                for name, grad in grads.items()
            }
            weights = {
                name: torch.addcdiv(leaf, grads[name], _root(moments[name], seen), value=-self.rate)
                for name, leaf in weights.items()
            }
        return _State(weights, moments, seen)


def _root(moment: Tensor, seen: Tensor) -> Tensor:
    return (moment / seen).sqrt_().add_(_EPSILON)


def _starts(meta: Mapping[str, Tensor], n_tasks: int) -> _State:
    """Take meta-parameters apart and give every task its view, detached."""
    detached = {name: leaf.detach() for name, leaf in meta.items()}
    seen = detached.pop(_SEEN, None)
    moments = {
        name.removeprefix(_MOMENTS): detached.pop(name)
        for name in meta
        if name.startswith(_MOMENTS)
    }
    weights = only_weights(detached)
    if seen is None or moments.keys() != weights.keys():
        raise InvalidParameterError.of(
            "meta",
            "Reptile with beta2",
            "a mapping of weights, their second moments and 'seen'",
            sorted(meta),
            "Make it with this algorithm's init.",
        )
    return _State(expand(weights, n_tasks), expand(moments, n_tasks), seen)
