"""How a network is run on all episodes at once, and which networks may be."""

from typing import Literal

from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.fold import foldable
from automl_meta.metalearn.forward import Forward, folded, looped, vectorized

Execution = Literal["auto", "folded", "vectorized", "looped"]


def choose_execution(network: nn.Module, execution: Execution) -> tuple[Execution, Forward]:
    """Choose how a network is run on all tasks of a batch.

    Args:
        network: The module.
        execution: A name, or ``"auto"`` for the first of folded, vectorised and looped that is right.

    Returns:
        The name and the forward function.

    Raises:
        InvalidParameterError: If there is no such execution or the network does not allow it.

    Example:
        >>> choose_execution(nn.Linear(2, 1), "looped")[0]
        'looped'
    """
    if execution == "auto":
        if foldable(network):
            return "folded", folded(network)
        try:
            return "vectorized", vectorized(network)
        except (
            InvalidParameterError
        ):  # affine batch norm of torch: wrong under vmap, right in a loop
            return "looped", looped(network)
    if execution == "folded":
        return execution, folded(network)
    if execution == "vectorized":
        return execution, vectorized(network)
    if execution == "looped":
        return execution, looped(network)
    raise InvalidParameterError.of(
        "execution",
        "GradientLearner",
        "'auto', 'folded', 'vectorized' or 'looped'",
        execution,
        "Use 'auto'.",
    )


def check_network(network: nn.Module, where: str) -> None:
    """Refuse a network whose output depends on more than parameters and inputs.

    Dropout draws from the global generator, so that no run could be repeated or resumed exactly; running
    statistics would leak from task to task, and the module is never written to.

    Args:
        network: The module.
        where: Who asks, for the message.

    Raises:
        InvalidParameterError: If it has active dropout or running statistics.

    Example:
        >>> check_network(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "fit")
    """
    for name, child in network.named_modules():
        dropout = isinstance(child, nn.modules.dropout._DropoutNd)  # noqa: SLF001
        if dropout and child.training and child.p > 0:
            rule, remedy = "free of active dropout", "Remove it, or call network.eval()."
        elif getattr(child, "track_running_stats", False):
            rule, remedy = "free of running statistics", "Use track_running_stats=False."
        else:
            continue
        received = f"{type(child).__name__} at '{name}'"
        raise InvalidParameterError.of("network", where, rule, received, remedy)
