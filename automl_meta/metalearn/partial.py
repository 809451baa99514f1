"""The inner loop of a part of a network, the rest kept as it is."""

from collections.abc import Mapping

import torch
from torch import Tensor

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.inner import descend
from automl_meta.metalearn.params import Params, TaskLoss, fixing


def adapt_part(
    moving: Mapping[str, Tensor],
    fixed: Mapping[str, Tensor],
    *,
    rate: float,
    support_loss: TaskLoss,
    n_tasks: int,
    steps: int,
    create_graph: bool,
) -> Params:
    """Descend on some parameters of every task.

    A support loss that is ``Fixable`` computes what the fixed ones alone decide once, not at every step.

    Args:
        moving: What adapts, leaves [T, ...].
        fixed: The rest, leaves [T, ...].
        rate: alpha > 0.
        support_loss: Task-batched parameters to losses [T].
        n_tasks: T.
        steps: Inner steps, >= 0.
        create_graph: Keep the graph, in that of both.

    Returns:
        Both together, leaves [T, ...]; detached without ``create_graph``.

    Example:
        >>> w, b = torch.tensor([1.0]), torch.tensor([2.0])
        >>> product = lambda params: params["w"] * params["b"]
        >>> adapt_part({"w": w}, {"b": b}, rate=0.5, support_loss=product, n_tasks=1, steps=1, create_graph=False)
        {'w': tensor([0.]), 'b': tensor([2.])}
    """
    if not create_graph:
        fixed = {name: leaf.detach() for name, leaf in fixed.items()}
    with torch.set_grad_enabled(create_graph):
        loss = fixing(support_loss, dict(fixed))
    moved = descend(dict(moving), rate, loss, n_tasks, steps, create_graph=create_graph)
    return {**moved, **fixed}


def divided(
    params: Mapping[str, Tensor], names: str | tuple[str, ...], where: str, parameter: str
) -> tuple[Params, Params]:
    """Divide parameters by name.

    Args:
        params: Leaves of any shape.
        names: Chosen are parameters of this name, or of a name that starts with it and a dot; several names
            as a tuple.
        where: Who asks, for the message.
        parameter: The parameter that holds the names, for the message.

    Returns:
        The rest, and the chosen ones.

    Raises:
        InvalidParameterError: If there is none of the name, or nothing else.

    Example:
        >>> divided({"a.b": torch.ones(1), "b.c": torch.zeros(1)}, "b", "ANIL", "head")
        ({'a.b': tensor([1.])}, {'b.c': tensor([0.])})
    """
    wanted = (names,) if isinstance(names, str) else names
    chosen = {
        name: leaf
        for name, leaf in params.items()
        if any(name == own or name.startswith(own + ".") for own in wanted)
    }
    if not chosen:
        rule, remedy = f"a name among {sorted(params)}", "Name one of the network's layers."
        raise InvalidParameterError.of(parameter, where, rule, names, remedy)
    return {name: leaf for name, leaf in params.items() if name not in chosen}, chosen
