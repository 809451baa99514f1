import json
from collections import OrderedDict

import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.embedded import EmbeddedLearner
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.protonet import NearestPrototype, negative_distances, prototypes
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import cross_entropy


def ProtoNet(embedding, **options):  # noqa: N802 - the method's name
    return EmbeddedLearner(embedding, NearestPrototype(), **options)


def network():
    torch.manual_seed(0)
    layers = OrderedDict(
        conv1=nn.Conv2d(1, 4, 3, stride=2, padding=1, bias=False),
        norm1=BatchNorm(4),
        relu1=nn.ReLU(),
        flatten=nn.Flatten(),
    )
    return Chain(layers).double()


def draw(n_tasks=3, ways=3, shots=2, queries=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(n_tasks, ways, 1, 4, 4, generator=generator, dtype=torch.float64)

    def part(n):
        x = centres.repeat_interleave(n, dim=1)
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        return x + 0.5 * noise, torch.arange(ways).repeat_interleave(n).expand(n_tasks, -1)

    return Episodes(*part(shots), *part(queries), ways)


@pytest.mark.parametrize("transductive", [True, False])
def test_gradient_equals_central_differences(transductive):
    learner = ProtoNet(network(), transductive=transductive)
    episodes, meta = draw(), learner.init(torch.Generator())
    loss, grads = learner.meta_gradients(meta, episodes, 0.0)

    def value(changed):
        outputs = learner.predict(changed, episodes)
        return cross_entropy(outputs, episodes.query_y).mean().item()

    assert loss.item() == pytest.approx(value(meta), rel=1e-12)
    for name, leaf in meta.items():
        direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(1)).to(leaf)
        up, down = (value(meta | {name: leaf + s * 1e-6 * direction}) for s in (1, -1))
        slope = (grads[name] * direction).sum().item()
        assert slope == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-8), name


def test_logits_are_distances_to_the_means_of_the_classes():
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    query = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([[0, 1, 1, 0, 1], [1, 0, 0, 0, 1]])  # unequal numbers, any order
    centres = prototypes(support, labels, 2)
    for t in range(2):
        for n in range(2):
            torch.testing.assert_close(centres[t, n], support[t, labels[t] == n].mean(dim=0))
    torch.testing.assert_close(
        negative_distances(query, centres), -(torch.cdist(query, centres) ** 2)
    )


def test_ways_of_training_and_test_may_differ_and_training_helps():
    learner = ProtoNet(network())
    meta = learner.init(torch.Generator())
    unseen = draw(50, ways=5, shots=1, seed=99)

    def loss():
        return cross_entropy(learner.predict(meta, unseen), unseen.query_y).mean().item()

    untrained = loss()
    for step in range(30):
        _, grads = learner.meta_gradients(meta, draw(4, ways=8, shots=1, seed=step), step / 30)
        meta = {name: leaf - 0.05 * grads[name] for name, leaf in meta.items()}
    assert learner.predict(meta, unseen).shape == (50, 10, 5)
    assert loss() < 0.9 * untrained


@pytest.mark.parametrize("transductive", [True, False])
def test_a_query_item_depends_on_the_others_only_if_transductive(transductive):
    learner = ProtoNet(network(), transductive=transductive)
    meta, episodes = learner.init(torch.Generator()), draw()
    query = episodes.query_x.clone()
    query[:, 1:] += 3 * torch.rand(query[:, 1:].shape, generator=torch.Generator().manual_seed(0))
    changed = Episodes(episodes.support_x, episodes.support_y, query, episodes.query_y, 3)
    gap = learner.predict(meta, changed)[:, 0] - learner.predict(meta, episodes)[:, 0]
    assert (gap.abs().max().item() < 1e-12) != transductive
    assert learner.describe()["transductive"] is transductive


def test_no_episode_knows_of_another_and_chunks_do_not_matter():
    episodes = draw(5)
    whole, parts = ProtoNet(network()), ProtoNet(network(), chunk=2)
    meta = whole.init(torch.Generator())
    together = whole.predict(meta, episodes)
    alone = torch.cat([whole.predict(meta, episodes[t : t + 1]) for t in range(5)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(parts.predict(meta, episodes), together)
    loss, grads = whole.meta_gradients(meta, episodes, 0.0)
    same_loss, same = parts.meta_gradients(meta, episodes, 0.0)
    torch.testing.assert_close(same_loss, loss)
    for name, grad in grads.items():
        torch.testing.assert_close(same[name], grad)


def test_renaming_the_classes_renames_the_answers():
    learner, episodes = ProtoNet(network()), draw()
    meta = learner.init(torch.Generator())
    names = torch.tensor([2, 0, 1])
    renamed = Episodes(
        episodes.support_x, names[episodes.support_y], episodes.query_x, episodes.query_y, 3
    )
    before, after = learner.predict(meta, episodes), learner.predict(meta, renamed)
    torch.testing.assert_close(after[..., names], before)


def test_regression_and_dropout_are_refused():
    learner = ProtoNet(network())
    episodes = draw()
    functions = Episodes(
        episodes.support_x, episodes.support_y, episodes.query_x, episodes.query_y, None
    )
    with pytest.raises(InvalidParameterError, match="classification"):
        learner.predict(learner.init(torch.Generator()), functions)
    with pytest.raises(InvalidParameterError, match="dropout"):
        ProtoNet(nn.Sequential(nn.Flatten(), nn.Dropout(0.5)))


def test_description_is_json():
    facts = ProtoNet(network()).describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["parameters"] == 4 * 9 + 4 + 4
