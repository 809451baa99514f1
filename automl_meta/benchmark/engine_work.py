"""The work that every competitor does: the same weights, the same episodes, the gradient of MAML."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from automl_meta.benchmark.engine_settings import EngineSettings
from automl_meta.fewshot.capture import Captured
from automl_meta.fewshot.episodes import Episodes, EpisodeSampler
from automl_meta.fewshot.learners import GradientLearner
from automl_meta.fewshot.networks import conv4
from automl_meta.fewshot.omniglot import load_omniglot, split_characters
from automl_meta.metalearn import FOMAML, MAML, Params, join_meta, module_params
from automl_meta.metalearn.losses import cross_entropy

#: Computes the meta-gradient once: parameter name to gradient.
MetaGradient: TypeAlias = Callable[[], Params]

PLAIN = "plain loop"
#: Added to the name of an execution.
CAPTURED = ", CUDA graph"
IMAGE_SIZE = 28
BLOCKS = 4
#: Tasks at once under vmap on a processor: all of them take 8.8 GB for the network with max-pooling.
_VECTORIZED_CHUNK = 4


@dataclass(frozen=True, eq=False)
class Work:
    """Weights and episodes of one meta-iteration.

    Attributes:
        settings: Of the run.
        weights: Initial weights, named as ``fewshot.networks.conv4`` names them.
        episodes: T tasks.
    """

    settings: EngineSettings
    weights: Params
    episodes: Episodes

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.episodes.support_x.device

    def small(self, n_tasks: int) -> "Work":
        """Return the work on the first tasks only."""
        return replace(self, episodes=self.episodes[:n_tasks])

    def double(self) -> "Work":
        """Return the same work in float64."""
        episodes = replace(
            self.episodes,
            support_x=self.episodes.support_x.double(),
            query_x=self.episodes.query_x.double(),
        )
        weights = {name: leaf.double() for name, leaf in self.weights.items()}
        return replace(self, weights=weights, episodes=episodes)


@dataclass(frozen=True)
class Competitor:
    """One way to compute the meta-gradient.

    Attributes:
        name: As tables show it.
        kind: Ours, the plain loop, or another library.
        make: Work to the function that is timed; what can be prepared once is done here.
        chunk: Tasks at once; None for all.
    """

    name: str
    kind: Literal["ours", "plain", "peer"]
    make: Callable[[Work], MetaGradient]
    chunk: int | None = 1


def make_work(settings: EngineSettings, device: torch.device) -> Work:
    """Draw weights and episodes from the seed.

    Args:
        settings: Of the run.
        device: Where everything lies.

    Raises:
        StoreError: If there is no Omniglot.
        InvalidParameterError: If its classes have too few images.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    network = _network(settings)
    weights = {name: leaf.to(device) for name, leaf in module_params(network).items()}
    if settings.data == "omniglot":
        train = split_characters(load_omniglot(settings.data_folder)).train.with_rotations()
        sampler = EpisodeSampler(train, settings.ways, settings.shots, settings.queries)
        return Work(settings, weights, sampler.sample(settings.tasks, generator).to(device))
    return Work(settings, weights, _noise(settings, generator).to(device))


def ours(execution: str, chunk: int | None, *, capture: bool = False) -> Competitor:
    """Return one of our executions.

    Args:
        execution: Name of an execution.
        chunk: Tasks at once; None for all.
        capture: Replay it from a CUDA graph, as training does.
    """

    def make(work: Work) -> MetaGradient:
        settings = work.settings
        algorithm = (MAML if settings.order == "second" else FOMAML)(
            settings.inner_rate, settings.steps
        )
        known: Any = execution
        learner = GradientLearner(
            algorithm, _network(settings), loss=cross_entropy, execution=known, chunk=chunk
        )
        meta = join_meta(work.weights)

        def gradient(meta: Mapping[str, Tensor], episodes: Episodes) -> tuple[Tensor, Params]:
            return learner.meta_gradients(meta, episodes, 0.0)

        captured = Captured(gradient)
        step = captured if capture else gradient

        def run() -> Params:
            gradients = step(meta, work.episodes)[1]
            if capture and not captured.is_captured:
                raise RuntimeError("there is no CUDA graph")
            return {name.removeprefix("weights."): leaf for name, leaf in gradients.items()}

        return run

    return Competitor(execution + CAPTURED * capture, "ours", make, chunk)


def default_chunk(execution: str, device: torch.device) -> int | None:
    """Return how many tasks an execution computes at once where nothing is measured.

    Args:
        execution: ``"vectorized"`` or ``"looped"``.
        device: Where it computes.
    """
    if (
        execution == "looped"
    ):  # a task at a time, like the plain loop, so that no graph waits for others
        return 1
    return _VECTORIZED_CHUNK if device.type == "cpu" else None


def plain_loop() -> Competitor:
    """Return MAML as a researcher writes it: task by task, with PyTorch's own functions and autograd."""
    return Competitor(PLAIN, "plain", _plain)


def _plain(work: Work) -> MetaGradient:
    settings, episodes = work.settings, work.episodes
    second = settings.order == "second"
    start = {name: leaf.clone().requires_grad_() for name, leaf in work.weights.items()}

    def loss(params: Params, x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(_conv4(params, x, settings.net), y)

    def one_task(task: int) -> tuple[Tensor, ...]:
        params = start
        for _ in range(settings.steps):
            support = loss(params, episodes.support_x[task], episodes.support_y[task])
            grads = torch.autograd.grad(support, list(params.values()), create_graph=second)
            params = {
                name: leaf - settings.inner_rate * grad
                for (name, leaf), grad in zip(params.items(), grads, strict=True)
            }
        query = loss(params, episodes.query_x[task], episodes.query_y[task])
        return torch.autograd.grad(query / len(episodes), list(start.values()))

    def run() -> Params:
        total = {name: torch.zeros_like(leaf) for name, leaf in start.items()}
        for task in range(len(episodes)):
            for leaf, grad in zip(total.values(), one_task(task), strict=True):
                leaf.add_(grad)
        return total

    return run


def _conv4(params: Params, x: Tensor, net: str) -> Tensor:
    stride = 2 if net == "stride" else 1
    for block in range(1, BLOCKS + 1):
        x = functional.conv2d(x, params[f"conv{block}.weight"], stride=stride, padding=1)
        weight, bias = params[f"norm{block}.weight"], params[f"norm{block}.bias"]
        x = functional.relu(functional.batch_norm(x, None, None, weight, bias, training=True))
        if net == "max":
            x = functional.max_pool2d(x, 2)
    x = x.mean((2, 3)) if net == "stride" else x.flatten(1)
    return functional.linear(x, params["head.weight"], params["head.bias"])


def _network(settings: EngineSettings) -> torch.nn.Module:
    pooling: Any = settings.net
    generator = torch.Generator().manual_seed(settings.seed)
    return conv4(settings.ways, filters=settings.filters, pooling=pooling, generator=generator)


def _noise(settings: EngineSettings, generator: torch.Generator) -> Episodes:
    labels = torch.arange(settings.ways)

    def part(per_class: int) -> tuple[Tensor, Tensor]:
        shape = (settings.tasks, settings.ways * per_class, 1, IMAGE_SIZE, IMAGE_SIZE)
        y = labels.repeat_interleave(per_class).repeat(settings.tasks, 1)
        return torch.rand(shape, generator=generator), y

    return Episodes(*part(settings.shots), *part(settings.queries), settings.ways)
