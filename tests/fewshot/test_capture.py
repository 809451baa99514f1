"""A captured gradient is the gradient; where there is nothing to capture with, it is computed as before."""

import pytest
import torch

from automl_meta.fewshot.capture import Captured
from automl_meta.fewshot.embedded import EmbeddedLearner
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.learners import GradientLearner
from automl_meta.fewshot.matching import Matching, MatchingSettings
from automl_meta.fewshot.networks import conv4, conv4_features
from automl_meta.fewshot.protonet import NearestPrototype
from automl_meta.fewshot.snail import Snail, SnailSettings
from automl_meta.metalearn import MAML, MAMLPlusPlus, Reptile
from automl_meta.metalearn.losses import cross_entropy

every_kind = pytest.mark.parametrize("name", ["maml", "matching", "snail"])


def draw(seed, device, n_tasks=4, ways=3):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(ways).expand(n_tasks, -1)

    def images():
        return torch.rand(n_tasks, ways, 1, 12, 12, generator=generator)

    return Episodes(images(), y, images(), y, ways).to(device)


def make_learner(name):
    generator = torch.Generator().manual_seed(0)
    if name == "maml":
        network = conv4(3, filters=8, image_size=12, generator=generator)
        return GradientLearner(MAML(0.4, 2), network, loss=cross_entropy)
    embedding = conv4_features(filters=8, image_size=12, pooling="stride", generator=generator)
    if name == "matching":
        head = Matching(8, MatchingSettings(), generator=generator)
    else:
        head = Snail(8, 3, 3, SnailSettings(filters=4), generator=generator)
    return EmbeddedLearner(embedding, head)


def moved(meta, amount):
    return {name: leaf + amount for name, leaf in meta.items()}


def check_same_as_without(device, sizes=(4, 4, 4, 2), name="maml"):
    """Compare along a few steps, each with its own weights and episodes."""
    learner = make_learner(name)
    meta = {name: leaf.to(device) for name, leaf in learner.init(torch.Generator()).items()}
    calls = []

    def gradient(meta, episodes):
        calls.append(len(episodes))
        return learner.meta_gradients(meta, episodes, 0.0)

    captured = Captured(gradient)
    earlier = []
    for seed, n_tasks in enumerate(sizes):
        current, episodes = moved(meta, 0.01 * seed), draw(seed, device, n_tasks)
        loss, grads = captured(current, episodes)
        expected_loss, expected = learner.meta_gradients(current, episodes, 0.0)
        torch.testing.assert_close(loss, expected_loss)
        torch.testing.assert_close(grads, expected, rtol=1e-3, atol=1e-5)
        earlier.append((loss, loss.item()))
    # What was returned is not overwritten by later steps.
    assert all(loss.item() == value for loss, value in earlier)
    return captured, calls


@every_kind
def test_a_processor_computes_as_it_did(name):
    captured, calls = check_same_as_without("cpu", name=name)
    assert not captured.is_captured
    assert calls == [4, 4, 4, 2]


@pytest.mark.gpu
@every_kind
def test_replays_equal_the_gradient_also_after_another_size_of_meta_batch(name):
    captured, calls = check_same_as_without("cuda", (4, 4, 2, 4), name)
    assert captured.is_captured
    # Three runs to warm up and the capture; then only the other size is computed in Python.
    assert calls == [4, 4, 4, 4, 2]


@pytest.mark.gpu
def test_what_cannot_be_captured_is_computed_and_said(caplog):
    calls = []

    def looks_at_a_value(meta, episodes):
        calls.append(episodes.query_x.sum().item())  # waits for the GPU, which a capture forbids
        return episodes.query_x.sum(), dict(meta)

    captured = Captured(looks_at_a_value)
    for _ in range(2):
        loss, _ = captured({"w": torch.ones(1, device="cuda")}, draw(0, "cuda"))
    assert loss.item() == pytest.approx(draw(0, "cpu").query_x.sum().item(), rel=1e-5)
    assert "no CUDA graph" in caplog.text


def test_only_gradients_that_stay_the_same_are_steady():
    network = conv4(3, filters=4, generator=torch.Generator())
    embedding = conv4_features(filters=4, generator=torch.Generator())

    def learner(algorithm, **options):
        return GradientLearner(algorithm, network, loss=cross_entropy, **options)

    assert learner(MAML(0.4)).is_steady
    assert EmbeddedLearner(embedding, NearestPrototype()).is_steady
    assert not learner(
        MAMLPlusPlus(0.1)
    ).is_steady  # its loss changes in the course of the training
    assert not learner(Reptile(0.1), inner_batch=2).is_steady  # draws minibatches for each step
