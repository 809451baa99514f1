"""MAML++: MAML with learned rates and normalisation for every step, and a gentler start.

What is learned for each of the S inner steps has a leading axis of that size in the meta-parameters.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.inner import (
    check_losses,
    check_rate,
    check_steps,
    gradients,
    leaves,
    trajectory,
)
from automl_meta.metalearn.meta_sgd import unstack
from automl_meta.metalearn.params import (
    MetaParams,
    Params,
    StepLoss,
    TaskLoss,
    copies,
    expand,
    fixing,
    join_meta,
    loss_at,
    split_meta,
)

#: The least weight of an early step while the losses of all steps count, times S; the authors' value.
_LEAST = 0.03


@dataclass(frozen=True)
class MAMLPlusPlus:
    """MAML++.

    Four changes to MAML, each for every inner step s of S:

    - one learned rate per tensor and step (section 4, "LSLR");
    - weights and biases of normalisation ("BNWB") of each step's own. They are not adapted, as in the
      authors' code. Statistics are those of the current batch, as there too: the paper's running statistics
      of each step ("BNRS") are accumulated by that code but never used to normalise;
    - the query losses after all steps count at first, with weights that move to the last step's ("MSL");
    - the first part of the training may take no second derivatives ("DA").

    The meta-parameters hold ``weights.NAME`` of shape [S, ...] for normalisation, [...] for all others, and
    ``rates.NAME`` of shape [S] for the latter. Step s and the query after it use slice s; steps beyond S use
    the last one. The cosine decay of the outer rate is the training's.

    Attributes:
        initial_rate: What every rate starts from, > 0.
        steps: S >= 1.
        multi_step_until: Share of the training, in [0, 1], in which all steps' query losses count.
        first_order_until: Share of the training, in [0, 1], without second derivatives; the paper has a third
            where it uses this at all.
        recompute: See ``MAML``.
        norm: Parameters whose names contain this are those of normalisation.
        progress: Where in the training, in [0, 1]; ``at`` sets it.

    Reference:
        Antoniou, Edwards and Storkey (2019), How to train your MAML. arXiv:1810.09502

    Example:
        >>> algorithm = MAMLPlusPlus(initial_rate=0.1, steps=2)
        >>> meta = algorithm.init({"norm.weight": torch.ones(1), "head": torch.zeros(3)})
        >>> {name: tuple(leaf.shape) for name, leaf in meta.items()}
        {'weights.norm.weight': (2, 1), 'weights.head': (3,), 'rates.head': (2,)}
    """

    initial_rate: float = 0.1
    steps: int = 5
    multi_step_until: float = 0.1
    first_order_until: float = 0.0
    recompute: bool = False
    norm: str = "norm"
    progress: float = 1.0

    def __post_init__(self) -> None:
        check_rate(self.initial_rate, "initial_rate", "MAMLPlusPlus")
        check_steps(self.steps, "MAMLPlusPlus")
        for name in ("multi_step_until", "first_order_until", "progress"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                rule = "a share of the training, in [0, 1]"
                raise InvalidParameterError.of(name, "MAMLPlusPlus", rule, value, "Try 0.1.")

    def at(self, progress: float) -> "MAMLPlusPlus":
        """See ``Scheduled.at``."""
        return replace(self, progress=progress)

    def init(self, params: Mapping[str, Tensor]) -> MetaParams:
        """See ``Algorithm.init``; every step starts alike."""
        adapted, norms = self._parts(copies(params))
        stacked = {
            name: leaf.expand(self.steps, *leaf.shape).clone() for name, leaf in norms.items()
        }
        rates = {
            name: leaf.new_full((self.steps,), self.initial_rate) for name, leaf in adapted.items()
        }
        both = adapted | stacked
        return join_meta({name: both[name] for name in params}, rates)

    def adapt(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        n_tasks: int,
        *,
        create_graph: bool = False,
        steps: int | None = None,
    ) -> Params:
        """See ``Algorithm.adapt``; normalisation is that of the last step, or of the first for no step."""
        n_steps = check_steps(self.steps if steps is None else steps, "adapt", least=0)
        *_, last = self._path(
            meta, support_loss, n_tasks, n_steps, create_graph=create_graph, first_order=False
        )
        return last

    def meta_gradients(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        query_loss: TaskLoss,
        n_tasks: int,
    ) -> tuple[Tensor, MetaParams]:
        """See ``Algorithm.meta_gradients``; the loss returned is that of the last step."""
        variables = leaves(meta)
        first_order = self.progress < self.first_order_until
        with torch.enable_grad():
            path = self._path(
                variables,
                support_loss,
                n_tasks,
                self.steps,
                create_graph=True,
                first_order=first_order,
            )
            next(path)  # the start, before any step
            total = last = torch.zeros(())
            for params, weight in zip(path, self.loss_weights(), strict=True):
                if weight > 0:
                    last = check_losses(query_loss(params), n_tasks, "query_loss").mean()
                    total = weight * last + total
            grads = gradients(total, variables)
        return last.detach(), grads

    def loss_weights(self) -> tuple[float, ...]:
        """Return how much the query loss after each step counts; S numbers that sum to 1."""
        n = self.steps
        if n == 1 or self.progress >= self.multi_step_until:
            return (*(0.0,) * (n - 1), 1.0)
        early = max(1 - self.progress / self.multi_step_until, _LEAST) / n
        return (*(early,) * (n - 1), 1 - (n - 1) * early)

    def _path(
        self,
        meta: Mapping[str, Tensor],
        support_loss: TaskLoss,
        n_tasks: int,
        steps: int,
        *,
        create_graph: bool,
        first_order: bool,
    ) -> Iterator[Params]:
        """Yield all parameters before the first step and after each one."""
        given = meta if create_graph else {name: leaf.detach() for name, leaf in meta.items()}
        weights, rates = self._split(given)
        start, norms = self._parts(weights)
        own = [expand(norms_of_step, n_tasks) for norms_of_step in unstack(norms, self.steps)]

        def norms_at(step: int) -> Params:
            return own[min(step, self.steps - 1)]

        loss = StepLoss(lambda step: fixing(loss_at(support_loss, step), norms_at(step)))
        start = expand(start, n_tasks)
        yield start | norms_at(0)
        moves = trajectory(
            start,
            unstack(rates, self.steps),
            loss,
            n_tasks,
            steps,
            create_graph=create_graph,
            first_order=first_order,
            recompute=self.recompute,
        )
        for step, params in enumerate(moves):
            yield params | norms_at(step)

    def _parts(self, params: Params) -> tuple[Params, Params]:
        norms = {name: leaf for name, leaf in params.items() if self.norm in name}
        return {name: leaf for name, leaf in params.items() if name not in norms}, norms

    def _split(self, meta: Mapping[str, Tensor]) -> tuple[Params, Params]:
        weights, rates = split_meta(meta)
        adapted, norms = self._parts(weights)
        stacked = [*rates.values(), *norms.values()]
        fits = all(leaf.shape[:1] == (self.steps,) for leaf in stacked)
        if set(rates) != set(adapted) or not fits:
            raise InvalidParameterError.of(
                "meta",
                "MAMLPlusPlus",
                f"rates and normalisation for each of {self.steps} steps",
                {name: tuple(leaf.shape) for name, leaf in meta.items()},
                "Make it with MAMLPlusPlus.init of the same settings.",
            )
        return weights, rates
