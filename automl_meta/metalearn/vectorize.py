"""A loss written for one task on an ``nn.Module``, turned into a task-batched loss."""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.params import Params, TaskLoss

#: ``(forward, *data of one task) -> scalar``, where ``forward`` is the module with the task's parameters.
PerTaskLoss: TypeAlias = Callable[..., Tensor]


def vectorize(
    module: nn.Module, per_task_loss: PerTaskLoss, *data: Tensor, chunk_size: int | None = None
) -> TaskLoss:
    """Turn a per-task loss on a module into a task-batched one through ``torch.func.vmap``.

    Args:
        module: The network; only its code is used, its own parameters are replaced in every call.
        per_task_loss: ``per_task_loss(forward, *data_of_one_task)`` returns a scalar; ``forward`` takes
            the module's inputs.
        *data: Tensors of shape [T, ...], sliced along the task axis.
        chunk_size: Tasks computed at once; None for all. Smaller needs less memory.

    Returns:
        A loss over task-batched parameters, shape [T].

    Raises:
        InvalidParameterError: If the module holds batch normalisation that is affine (its second-order
            gradients under ``vmap`` are silently wrong) or that tracks running statistics, or if the
            tensors in ``data`` differ in their number of tasks.

    Example:
        >>> import torch
        >>> loss = vectorize(
        ...     nn.Linear(1, 1), lambda forward, x, y: (forward(x) - y).square().mean(),
        ...     torch.ones(3, 5, 1), torch.zeros(3, 5, 1),
        ... )
        >>> loss({"weight": torch.ones(3, 1, 1), "bias": torch.zeros(3, 1)})
        tensor([1., 1., 1.])
    """
    refuse_batch_norm(module)
    sizes = [item.shape[0] if item.ndim else 0 for item in data]
    if not sizes or len(set(sizes)) > 1 or sizes[0] == 0:
        raise InvalidParameterError.of(
            "data",
            "vectorize",
            "one or more tensors with the same leading number of tasks",
            [tuple(item.shape) for item in data],
            "Stack the tasks along dimension 0.",
        )

    def one_task(params: Params, *task_data: Tensor) -> Tensor:
        def forward(*inputs: Tensor) -> Tensor:
            output: Tensor = functional_call(module, params, inputs)
            return output

        return per_task_loss(forward, *task_data)

    def all_tasks(params: Params) -> Tensor:
        losses: Tensor = vmap(one_task, chunk_size=chunk_size)(params, *data)
        return losses

    return all_tasks


def refuse_batch_norm(module: nn.Module) -> None:
    """Refuse a module whose second-order gradients under ``vmap`` would be silently wrong.

    Args:
        module: Any module.

    Raises:
        InvalidParameterError: If it holds batch normalisation of ``torch.nn`` that is affine or tracks
            running statistics.

    Example:
        >>> refuse_batch_norm(nn.BatchNorm2d(3, affine=False, track_running_stats=False))
    """
    for name, child in module.named_modules():
        if isinstance(child, _BatchNorm) and (child.affine or child.track_running_stats):
            raise InvalidParameterError.of(
                "module",
                "vectorize",
                "free of batch normalisation with affine parameters or running statistics "
                "(second-order gradients through vmap would be silently wrong)",
                f"{type(child).__name__} at '{name}'",
                "Use affine=False, track_running_stats=False, or GroupNorm or LayerNorm.",
            )
