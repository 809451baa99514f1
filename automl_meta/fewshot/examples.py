"""A few test episodes with what a trained learner made of them, for a report to show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from automl_meta.exceptions import StoreError
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.learners import Learner

EXAMPLES = "examples.safetensors"
_FIELDS = ("support_x", "support_y", "query_x", "query_y", "outputs", "steps")


@dataclass(frozen=True)
class Examples:
    """Episodes and predictions, on the CPU.

    Attributes:
        episodes: T episodes.
        outputs: Predictions for the query after each number of inner steps, shape [S, T, B, N].
        steps: Those numbers, length S; -1 for a method without inner steps.
    """

    episodes: Episodes
    outputs: Tensor
    steps: tuple[int, ...]


def make_examples(
    learner: Learner,
    meta: Mapping[str, Tensor],
    episodes: Episodes,
    steps: Sequence[int | None],
) -> Examples:
    """Let a learner predict some episodes.

    Args:
        learner: The method.
        meta: Its meta-parameters.
        episodes: T episodes.
        steps: Numbers of inner steps; None for a method that has none.
    """
    outputs = torch.stack([learner.predict(meta, episodes, steps=n) for n in steps])
    counts = tuple(-1 if n is None else n for n in steps)
    return Examples(episodes.to("cpu"), outputs.float().cpu(), counts)


def save_examples(examples: Examples, folder: Path) -> None:
    """Write examples to a folder; images are rounded to bytes.

    Args:
        examples: What to write.
        folder: An existing folder.
    """
    some = examples.episodes
    tensors = {
        "support_x": _packed(some.support_x, some),
        "support_y": some.support_y,
        "query_x": _packed(some.query_x, some),
        "query_y": some.query_y,
        "outputs": examples.outputs,
        "steps": torch.tensor(examples.steps),
    }
    payload = save({name: leaf.contiguous() for name, leaf in tensors.items()})
    (folder / EXAMPLES).write_bytes(payload)


def load_examples(folder: Path) -> Examples | None:
    """Read what ``save_examples`` wrote.

    Args:
        folder: Of a run.

    Returns:
        The examples, or None where there are none.

    Raises:
        StoreError: If the file is damaged.
    """
    path = folder / EXAMPLES
    if not path.is_file():
        return None
    try:
        found = load_file(path)
        support_x, support_y, query_x, query_y, outputs, steps = (found[name] for name in _FIELDS)
    except (SafetensorError, KeyError) as error:
        msg = f"{path} is damaged ({error}). Delete it and run automl-meta fewshot again."
        raise StoreError(msg) from error
    ways = outputs.shape[-1] if support_x.dtype == torch.uint8 else None
    episodes = Episodes(_unpacked(support_x), support_y, _unpacked(query_x), query_y, ways)
    return Examples(episodes, outputs, tuple(steps.tolist()))


def _packed(x: Tensor, episodes: Episodes) -> Tensor:
    return x if episodes.ways is None else (x * 255).round().to(torch.uint8)


def _unpacked(x: Tensor) -> Tensor:
    return x.float() / 255 if x.dtype == torch.uint8 else x
