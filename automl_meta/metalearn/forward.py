"""Three ways to run one network with a different set of weights for every task.

All give the same numbers; they differ in speed and memory. ``looped`` is the reference, ``vectorized`` asks
``torch.func`` and works for most modules, ``folded`` computes all tasks in one kernel a layer.

| name | shape | meaning |
|---|---|---|
| ``params`` | leaves [T, ...] | one set of weights for each of T tasks |
| ``inputs`` | [T, B, ...] | B items of each task |
| outputs | [T, B, ...] | |
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.fold import fold
from automl_meta.metalearn.layers import check_reference
from automl_meta.metalearn.vectorize import refuse_batch_norm


class Forward(Protocol):
    """A network on a batch of tasks."""

    def __call__(self, params: Mapping[str, Tensor], inputs: Tensor, /) -> Tensor:
        """Run it.

        The executions of this module also take ``reference``: R >= 1 for batch-norm statistics of the first
        R items only.

        Args:
            params: Task-batched parameters, leaves [T, ...].
            inputs: [T, B, ...].

        Returns:
            Outputs, shape [T, B, ...].
        """
        ...


def looped(module: nn.Module) -> Forward:
    """Run a module task by task.

    Args:
        module: Any module; only its code is used.

    Returns:
        The forward function of all tasks.

    Example:
        >>> forward = looped(nn.Linear(1, 1, bias=False))
        >>> forward({"weight": torch.tensor([[[1.0]], [[2.0]]])}, torch.ones(2, 1, 1)).flatten()
        tensor([1., 2.])
    """

    def forward(
        params: Mapping[str, Tensor], inputs: Tensor, reference: int | None = None
    ) -> Tensor:
        options = _options(module, reference, "looped")
        return torch.stack(
            [
                functional_call(module, {n: leaf[t] for n, leaf in params.items()}, (x,), options)
                for t, x in enumerate(inputs)
            ]
        )

    return forward


def vectorized(module: nn.Module, chunk_size: int | None = None) -> Forward:
    """Run a module on all tasks through ``torch.func.vmap``.

    Args:
        module: Any module that ``vmap`` supports, without state.
        chunk_size: Tasks computed at once; None for all.

    Returns:
        The forward function of all tasks.

    Raises:
        InvalidParameterError: If the module holds affine or tracking batch normalisation of ``torch.nn``, whose
            second-order gradients would be silently wrong.

    Example:
        >>> forward = vectorized(nn.Linear(1, 1, bias=False))
        >>> forward({"weight": torch.tensor([[[1.0]], [[2.0]]])}, torch.ones(2, 1, 1)).flatten()
        tensor([1., 2.])
    """
    refuse_batch_norm(module)

    def forward(
        params: Mapping[str, Tensor], inputs: Tensor, reference: int | None = None
    ) -> Tensor:
        options = _options(module, reference, "vectorized")

        def one_task(weights: dict[str, Tensor], x: Tensor) -> Tensor:
            output: Tensor = functional_call(module, weights, (x,), options)
            return output

        outputs: Tensor = vmap(one_task, chunk_size=chunk_size)(dict(params), inputs)
        return outputs

    return forward


def folded(module: nn.Module) -> Forward:
    """Run a chain of known layers with all tasks folded into batched matrix products.

    Args:
        module: See ``fold.foldable``.

    Returns:
        The forward function of all tasks.

    Raises:
        InvalidParameterError: If a layer has no folded form.

    Example:
        >>> forward = folded(nn.Sequential(nn.Linear(1, 1, bias=False)))
        >>> forward({"0.weight": torch.tensor([[[1.0]], [[2.0]]])}, torch.ones(2, 1, 1)).flatten()
        tensor([1., 2.])
    """
    run = fold(module)

    def forward(
        params: Mapping[str, Tensor], inputs: Tensor, reference: int | None = None
    ) -> Tensor:
        if reference is not None and reference < 1:
            raise InvalidParameterError.of(
                "reference", "folded", "None or an int >= 1", reference, "Give the support's size."
            )
        return run(params, inputs, reference)

    return forward


def _options(module: nn.Module, reference: int | None, where: str) -> dict[str, Any]:
    check_reference(module, reference, where)
    return {} if reference is None else {"reference": reference}
