import json
import math
from collections import OrderedDict

import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.embedded import EmbeddedLearner
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.matching import (
    AttentionContext,
    BidirectionalContext,
    Matching,
    MatchingSettings,
    attended_labels,
    cosines,
)
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import cross_entropy

PLAIN = MatchingSettings(full_context=False, temperature=1.0)
FULL = MatchingSettings(processing_steps=3, temperature=0.5)
both = pytest.mark.parametrize("settings", [PLAIN, FULL], ids=["plain", "full"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def items(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def head(settings, features=4):
    return Matching(features, settings, generator=seeded()).double()


def learner(settings, **options):
    layers = OrderedDict(
        conv1=nn.Conv2d(1, 2, 3, stride=2, padding=1, bias=False),
        norm1=BatchNorm(2),
        flatten=nn.Flatten(),
    )
    network = Chain(layers).double()
    nn.init.xavier_uniform_(network.conv1.weight, generator=seeded())
    return EmbeddedLearner(network, head(settings, 8), **options)


def draw(n_tasks=3, ways=3, shots=2, queries=2, seed=0):
    generator = seeded(seed)
    centres = torch.randn(n_tasks, ways, 1, 4, 4, generator=generator, dtype=torch.float64)

    def part(n):
        x = centres.repeat_interleave(n, dim=1)
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        return x + 0.5 * noise, torch.arange(ways).repeat_interleave(n).expand(n_tasks, -1)

    return Episodes(*part(shots), *part(queries), ways)


def test_without_context_by_hand():
    support = torch.tensor([[[2.0, 0.0], [0.0, 5.0], [3.0, 3.0]]], dtype=torch.float64)
    query = torch.tensor([[[7.0, 0.0], [-1.0, 1.0]]], dtype=torch.float64)
    labels = torch.tensor([[1, 0, 1]])
    # cosines 1, 0, 1 / sqrt(2) of the first query item and -1 / sqrt(2), 1 / sqrt(2), 0 of the second
    root = 1 / math.sqrt(2)
    for temperature in (1.0, 0.1):
        chosen = MatchingSettings(full_context=False, temperature=temperature)
        for row, scores in enumerate([(1, 0, root), (-root, root, 0)]):
            weights = [math.exp(score / temperature) for score in scores]
            expected = [weights[1] / sum(weights), (weights[0] + weights[2]) / sum(weights)]
            found = head(chosen, 2)(support, labels, query, 2)[0, row].exp().tolist()
            assert found == pytest.approx(expected, rel=1e-12)


def test_context_of_the_support_by_hand():
    context = BidirectionalContext(1, generator=seeded()).double()
    values = [0.4, -1.2, 0.7]
    forward, backward = (
        _outputs(cell, sequence)
        for cell, sequence in ((context.onwards, values), (context.backwards, values[::-1]))
    )
    expected = [a + b + x for a, b, x in zip(forward, backward[::-1], values, strict=True)]
    found = context(torch.tensor(values, dtype=torch.float64).view(1, 3, 1)).flatten().tolist()
    assert found == pytest.approx(expected, rel=1e-12)


def _step(cell, x, back, memory):
    """A step of an LSTM with one unit, on plain numbers."""
    inward, recurrent = cell.input.weight.flatten().tolist(), cell.recurrent.weight.tolist()
    z = [
        w * x + sum(v * b for v, b in zip(vs, back, strict=True))
        for w, vs in zip(inward, recurrent, strict=True)
    ]
    write, keep, show = (1 / (1 + math.exp(-value)) for value in z[:3])
    memory = keep * memory + write * math.tanh(z[3])
    return show * math.tanh(memory), memory


def _outputs(cell, sequence):
    output, memory, outputs = 0.0, 0.0, []
    for x in sequence:
        output, memory = _step(cell, x, [output], memory)
        outputs.append(output)
    return outputs


def test_context_of_a_query_item_by_hand():
    context = AttentionContext(1, 2, generator=seeded()).double()
    x, support = 0.8, [0.5, -1.0, 2.0]
    # Nothing seen yet, so the first reading is the mean.
    output, memory = _step(context.cell, x, [0.0, 0.5], 0.0)
    seen = output + x
    weights = [math.exp(seen * g) for g in support]
    reading = sum(w * g for w, g in zip(weights, support, strict=True)) / sum(weights)
    output, _ = _step(context.cell, x, [seen, reading], memory)
    found = context(
        torch.full((1, 1, 1), x, dtype=torch.float64),
        torch.tensor(support, dtype=torch.float64).view(1, 3, 1),
    )
    assert found.item() == pytest.approx(output + x, rel=1e-12)


def test_probabilities_of_extreme_scores_are_right():
    scores = torch.tensor([[[900.0, -900.0, 0.0]]], dtype=torch.float64, requires_grad=True)
    logits = attended_labels(scores, torch.tensor([[0, 1, 1]]), 2)
    assert logits.flatten().tolist() == pytest.approx([0.0, -900.0])
    logits.sum().backward()
    assert scores.grad.isfinite().all()


def test_a_vector_of_zeros_has_no_direction_and_finite_gradients():
    query = torch.zeros(1, 1, 2, requires_grad=True)
    similar = cosines(query, torch.ones(1, 3, 2))
    assert similar.tolist() == [[[0.0, 0.0, 0.0]]]
    similar.sum().backward()
    assert query.grad.isfinite().all()


@both
def test_outputs_are_log_probabilities(settings):
    logits = head(settings)(items(2, 6, 4), torch.arange(3).repeat(2, 2), items(2, 5, 4, seed=2), 3)
    assert logits.shape == (2, 5, 3)
    torch.testing.assert_close(logits.exp().sum(2), torch.ones(2, 5, dtype=torch.float64))


def test_the_supports_order_matters_with_context_alone():
    labels, support, query = torch.tensor([[0, 2, 1, 1, 0]]), items(1, 5, 4), items(1, 3, 4, seed=2)
    order = torch.tensor([3, 0, 4, 2, 1])
    for settings, invariant in ((PLAIN, True), (FULL, False)):
        made = head(settings)
        before = made(support, labels, query, 3)
        after = made(support[:, order], labels[:, order], query, 3)
        assert ((after - before).abs().max().item() < 1e-12) == invariant


@both
def test_renaming_the_classes_renames_the_answers(settings):
    episodes, names = draw(), torch.tensor([2, 0, 1])
    renamed = Episodes(
        episodes.support_x, names[episodes.support_y], episodes.query_x, episodes.query_y, 3
    )
    made = learner(settings)
    meta = made.init(torch.Generator())
    after = made.predict(meta, renamed)
    torch.testing.assert_close(after[..., names], made.predict(meta, episodes))


@both
@pytest.mark.parametrize("transductive", [True, False])
def test_gradient_equals_central_differences(settings, transductive):
    made, episodes = learner(settings, transductive=transductive), draw()
    meta = made.init(torch.Generator())
    loss, grads = made.meta_gradients(meta, episodes, 0.0)

    def value(changed):
        return cross_entropy(made.predict(changed, episodes), episodes.query_y).mean().item()

    assert loss.item() == pytest.approx(value(meta), rel=1e-12)
    assert any(name.startswith("weights.head.") for name in meta) == settings.full_context
    for name, leaf in meta.items():
        direction = torch.randn(leaf.shape, generator=seeded(1)).to(leaf)
        up, down = (value(meta | {name: leaf + s * 1e-6 * direction}) for s in (1, -1))
        slope = (grads[name] * direction).sum().item()
        assert slope == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-8), name
        assert slope != 0, name


@both
def test_no_episode_and_no_query_item_knows_of_another(settings):
    episodes = draw(5)
    whole, parts = (
        learner(settings, transductive=False),
        learner(settings, transductive=False, chunk=2),
    )
    meta = whole.init(torch.Generator())
    together = whole.predict(meta, episodes)
    alone = torch.cat([whole.predict(meta, episodes[t : t + 1]) for t in range(5)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(parts.predict(meta, episodes), together)
    fewer = Episodes(
        episodes.support_x, episodes.support_y, episodes.query_x[:, :1], episodes.query_y[:, :1], 3
    )
    torch.testing.assert_close(whole.predict(meta, fewer), together[:, :1])


def draw_hidden(n_tasks, ways, seed):
    """The class tells in two numbers of four; the other two are loud and say nothing."""
    generator = seeded(seed)
    angles = torch.arange(ways) / ways + torch.rand(n_tasks, 1, generator=generator)
    centres = torch.stack([torch.cos(2 * math.pi * angles), torch.sin(2 * math.pi * angles)], 2)

    def part(n):
        x = centres.repeat_interleave(n, dim=1)
        noise = torch.randn(*x.shape[:2], 4, generator=generator)
        x = torch.cat([x, torch.zeros_like(x)], 2) + noise * torch.tensor([0.1, 0.1, 2, 2])
        return x.double(), torch.arange(ways).repeat_interleave(n).repeat(n_tasks, 1)

    return Episodes(*part(1), *part(3), ways)


@both
def test_ways_of_training_and_test_may_differ_and_training_learns_what_to_compare(settings):
    network = Chain(nn.Linear(4, 4)).double()
    nn.init.eye_(network[0].weight)
    nn.init.zeros_(network[0].bias)
    made = EmbeddedLearner(network, head(settings))
    leaves = {n: leaf.requires_grad_() for n, leaf in made.init(torch.Generator()).items()}
    unseen = draw_hidden(100, 3, seed=99)

    def accuracy():
        return (made.predict(leaves, unseen).argmax(2) == unseen.query_y).double().mean().item()

    assert accuracy() < 0.6
    optimizer = torch.optim.Adam(leaves.values(), lr=0.03)
    for step in range(40):
        _, grads = made.meta_gradients(leaves, draw_hidden(16, 5, seed=step), step / 40)
        for name, leaf in leaves.items():
            leaf.grad = grads[name]
        optimizer.step()
    assert made.predict(leaves, unseen).shape == (100, 9, 3)
    assert accuracy() > 0.9


def test_description_is_json():
    facts = learner(FULL).describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["learner"] == "Matching Networks"
    assert facts["settings"] == {"full_context": True, "processing_steps": 3, "temperature": 0.5}
    # a convolution and its normalisation; two cells of the support, 4 * 8 * (8 + 8 + 1), and one with 8 more back
    assert facts["parameters"] == 2 * 9 + 4 + 2 * 32 * 17 + 32 * 25
    assert learner(PLAIN).describe()["parameters"] == 2 * 9 + 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"processing_steps": 0}, "'processing_steps' parameter of matching"),
        ({"temperature": 0.0}, "'temperature'"),
        ({"temperature": math.nan}, "'temperature'"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong, message):
    with pytest.raises(InvalidParameterError, match=message):
        MatchingSettings(**wrong)
    with pytest.raises(InvalidParameterError, match="'features'"):
        Matching(0, PLAIN, generator=seeded())
