"""Other libraries for MAML, each by its own public interface and as its own examples use it.

They are no dependencies: what cannot be imported is left out, and the reason is stated.
"""

import contextlib
import importlib
import io
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from automl_meta.benchmark.engine_settings import EngineSettings
from automl_meta.benchmark.engine_work import BLOCKS, Competitor, MetaGradient, Work
from automl_meta.metalearn import Params

_Task = tuple[Tensor, Tensor, Tensor, Tensor]


def find_peers(settings: EngineSettings) -> tuple[list[Competitor], dict[str, str]]:
    """Import what can be imported.

    Args:
        settings: Of the run.

    Returns:
        The competitors, and for each library that is left out the reason.
    """
    found, missing = [], {}
    for name, make in _PEERS.items():
        if name == "TorchOpt" and settings.order == "first":
            missing[name] = "has no first-order MAML"
            continue
        try:
            _library(name.lower())
        except Exception as error:  # noqa: BLE001 - abandoned libraries break in any way on a new Python
            missing[name] = f"cannot be imported ({type(error).__name__}: {error})"
            continue
        found.append(Competitor(name, "peer", make))
    return found, missing


def _library(name: str) -> Any:
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def _learn2learn(work: Work) -> MetaGradient:
    settings, model = work.settings, _module(work)
    maml = _library("learn2learn").algorithms.MAML(
        model, lr=settings.inner_rate, first_order=settings.order == "first"
    )

    def one_task(task: _Task) -> None:
        support_x, support_y, query_x, query_y = task
        learner = maml.clone()
        for _ in range(settings.steps):
            learner.adapt(functional.cross_entropy(learner(support_x), support_y))
        loss = functional.cross_entropy(learner(query_x), query_y)
        torch.autograd.backward(loss / len(work.episodes))

    return _task_by_task(work, model, one_task)


def _higher(work: Work) -> MetaGradient:
    settings, model, library = work.settings, _module(work), _library("higher")
    optimizer = torch.optim.SGD(model.parameters(), lr=settings.inner_rate)
    second = settings.order == "second"

    def one_task(task: _Task) -> None:
        support_x, support_y, query_x, query_y = task
        with library.innerloop_ctx(
            model, optimizer, copy_initial_weights=False, track_higher_grads=second
        ) as (fast, inner):
            for _ in range(settings.steps):
                inner.step(functional.cross_entropy(fast(support_x), support_y))
            loss = functional.cross_entropy(fast(query_x), query_y) / len(work.episodes)
            if second:
                torch.autograd.backward(loss)
                return
            # Without the graph the fast weights are leaves: their gradient is first-order MAML's.
            grads = torch.autograd.grad(loss, list(fast.parameters()))
            for leaf, grad in zip(model.parameters(), grads, strict=True):
                leaf.grad = grad if leaf.grad is None else leaf.grad + grad

    return _task_by_task(work, model, one_task)


def _torchopt(work: Work) -> MetaGradient:
    settings, model, library = work.settings, _module(work), _library("torchopt")
    optimizer = library.MetaSGD(model, lr=settings.inner_rate)

    def one_task(task: _Task) -> None:
        support_x, support_y, query_x, query_y = task
        weights = library.extract_state_dict(model, by="reference")
        state = library.extract_state_dict(optimizer, by="reference")
        for _ in range(settings.steps):
            optimizer.step(functional.cross_entropy(model(support_x), support_y))
        loss = functional.cross_entropy(model(query_x), query_y)
        library.recover_state_dict(model, weights)
        library.recover_state_dict(optimizer, state)
        torch.autograd.backward(loss / len(work.episodes))

    return _task_by_task(work, model, one_task)


def _task_by_task(work: Work, model: nn.Module, one_task: Callable[[_Task], None]) -> MetaGradient:
    episodes = work.episodes

    def run() -> Params:
        model.zero_grad(set_to_none=True)
        for task in zip(
            episodes.support_x,
            episodes.support_y,
            episodes.query_x,
            episodes.query_y,
            strict=True,
        ):
            one_task(task)
        return {name: leaf.grad for name, leaf in model.named_parameters() if leaf.grad is not None}

    return run


def _module(work: Work) -> nn.Module:
    """Return the network of PyTorch's own layers, with the same names, weights and type."""
    stride = 2 if work.settings.net == "stride" else 1
    layers: list[tuple[str, nn.Module]] = []
    for block in range(1, BLOCKS + 1):
        filters, channels = work.weights[f"conv{block}.weight"].shape[:2]
        layers += [
            (f"conv{block}", nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)),
            (f"norm{block}", nn.BatchNorm2d(filters, track_running_stats=False)),
            (f"relu{block}", nn.ReLU()),
        ]
        if work.settings.net == "max":
            layers.append((f"pool{block}", nn.MaxPool2d(2)))
    if work.settings.net == "stride":
        layers.append(("average", nn.AdaptiveAvgPool2d(1)))
    ways, features = work.weights["head.weight"].shape
    layers += [("flatten", nn.Flatten()), ("head", nn.Linear(features, ways))]
    model = nn.Sequential(OrderedDict(layers)).to(work.device, work.episodes.support_x.dtype)
    model.load_state_dict(work.weights)
    return model


_PEERS: dict[str, Callable[[Work], MetaGradient]] = {
    "learn2learn": _learn2learn,
    "higher": _higher,
    "TorchOpt": _torchopt,
}
