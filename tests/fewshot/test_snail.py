import json

import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.embedded import EmbeddedLearner
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.orders import ShuffledSupport
from automl_meta.fewshot.snail import Snail, SnailSettings
from automl_meta.metalearn.layers import Chain
from automl_meta.metalearn.losses import cross_entropy

SMALL = SnailSettings(embedding=6, filters=4, attention=((4, 3), (5, 4), (6, 2)))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def items(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def head(ways=3, support=3, features=4, settings=SMALL):
    return Snail(features, ways, support, settings, generator=seeded()).double()


def learner(**options):
    network = Chain(nn.Linear(4, 4)).double()
    nn.init.xavier_uniform_(network[0].weight, generator=seeded())
    nn.init.zeros_(network[0].bias)
    return EmbeddedLearner(network, head(), **options)


class Codes:
    """Classes are random directions; items are near the direction of their class."""

    def sample(self, n_tasks, generator):
        centres = torch.randn(n_tasks, 3, 4, generator=generator, dtype=torch.float64)
        centres = 2 * centres / centres.norm(dim=2, keepdim=True)

        def part(n):
            x = centres.repeat_interleave(n, dim=1)
            noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
            return x + 0.1 * noise, torch.arange(3).repeat_interleave(n).repeat(n_tasks, 1)

        return Episodes(*part(1), *part(2), 3)


def draw(n_tasks=4, seed=0):
    return ShuffledSupport(Codes()).sample(n_tasks, seeded(seed))


def test_it_is_a_whole_sequence_for_each_query_item():
    made, labels = head(), torch.tensor([[2, 0, 1], [0, 1, 2]])
    support, query = items(2, 3, 4), items(2, 5, 4, seed=2)
    logits = made(support, labels, query, 3)
    assert logits.shape == (2, 5, 3)
    for q in range(5):
        known = torch.cat([made.embedding(support), torch.eye(3, dtype=torch.float64)[labels]], 2)
        last = nn.functional.pad(made.embedding(query[:, q : q + 1]), (0, 3))
        outputs = made.classifier(made.body(torch.cat([known, last], dim=1)))
        torch.testing.assert_close(logits[:, q], outputs[:, -1])


def test_query_items_and_episodes_do_not_affect_one_another():
    made, labels = head(), torch.arange(3).repeat(2, 1)
    support, query = items(2, 3, 4), items(2, 5, 4, seed=2)
    before = made(support, labels, query, 3)
    changed = query.clone()
    changed[:, 1:] += 1
    changed[1] += 1
    after = made(support, labels, changed, 3)
    torch.testing.assert_close(after[0, 0], before[0, 0], rtol=0, atol=1e-14)
    assert (after[1] - before[1]).abs().min() > 1e-6
    assert (after[0, 1:] - before[0, 1:]).abs().min() > 1e-6


def test_every_support_item_and_label_counts():
    made, labels = head(), torch.tensor([[0, 1, 2]])
    support, query = items(1, 3, 4), items(1, 1, 4, seed=2)
    before = made(support, labels, query, 3)
    for i in range(3):
        other = support.clone()
        other[:, i] += 1
        assert (made(other, labels, query, 3) - before).abs().max() > 1e-6
        renamed = labels.clone()
        renamed[:, i] = (renamed[:, i] + 1) % 3
        assert (made(support, renamed, query, 3) - before).abs().max() > 1e-6


@pytest.mark.parametrize(("ways", "shots"), [(5, 1), (20, 1), (5, 5)])
def test_sizes_of_the_paper(ways, shots):
    made = Snail(64, ways, ways * shots, SnailSettings(), generator=seeded())
    first, temporal, second, _, third = made.body.blocks
    n_dense = {6: 3, 21: 5, 26: 5}[ways * shots + 1]
    width = 64 + ways
    assert first.width == width + 32
    assert temporal.width == first.width + 128 * n_dense
    assert second.width == temporal.width + 128
    assert third.width == made.classifier.in_features == second.width + 128 * n_dense + 256
    assert (first.key.out_features, second.key.out_features) == (64, 256)
    assert (third.key.out_features, third.value.out_features) == (512, 256)


@pytest.mark.parametrize("transductive", [True, False])
def test_gradient_equals_central_differences(transductive):
    made, episodes = learner(transductive=transductive), draw()
    meta = made.init(torch.Generator())
    loss, grads = made.meta_gradients(meta, episodes, 0.0)

    def value(changed):
        return cross_entropy(made.predict(changed, episodes), episodes.query_y).mean().item()

    assert loss.item() == pytest.approx(value(meta), rel=1e-12)
    for name, leaf in meta.items():
        direction = torch.randn(leaf.shape, generator=seeded(1)).to(leaf)
        up, down = (value(meta | {name: leaf + s * 1e-5 * direction}) for s in (1, -1))
        slope = (grads[name] * direction).sum().item()
        assert slope == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-9), name


def test_chunks_do_not_matter():
    whole, parts, episodes = learner(), learner(chunk=3), draw(7)
    meta = whole.init(torch.Generator())
    torch.testing.assert_close(parts.predict(meta, episodes), whole.predict(meta, episodes))
    loss, grads = whole.meta_gradients(meta, episodes, 0.0)
    same_loss, same = parts.meta_gradients(meta, episodes, 0.0)
    torch.testing.assert_close(same_loss, loss)
    for name, grad in grads.items():
        torch.testing.assert_close(same[name], grad)


def test_other_ways_are_refused():
    with pytest.raises(InvalidParameterError, match=r"'ways' parameter of Snail must be 3.* 2 "):
        head()(items(1, 2, 4), torch.tensor([[0, 1]]), items(1, 1, 4), 2)


def test_description_is_json():
    facts = learner().describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["learner"] == "SNAIL"
    sizes = {"embedding": 6, "filters": 4, "attention": [[4, 3], [5, 4], [6, 2]]}
    assert facts["settings"] == {"ways": 3, **sizes}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"filters": 0}, "'filters' parameter of snail"),
        ({"embedding": 0}, "'embedding'"),
        ({"attention": ()}, "'attention'"),
        ({"attention": ((4, 0),)}, "'attention'"),
        ({"attention": ((4,),)}, "'attention'"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong, message):
    with pytest.raises(InvalidParameterError, match=message):
        SnailSettings(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"ways": 1}, "'ways'"), ({"support": 0}, "'support'"), ({"features": 0}, "'features'")],
)
def test_wrong_sizes_are_refused_by_name(wrong, message):
    with pytest.raises(InvalidParameterError, match=message):
        head(**wrong)


def test_training_learns_to_compare():
    """Without labels, without the past, or with a look at the wrong items, a third is all there is."""
    made, unseen = learner(), draw(200, seed=99)
    meta = made.init(torch.Generator())
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in meta.items()}
    optimizer = torch.optim.Adam(leaves.values(), lr=1e-2)
    for step in range(150):
        _, grads = made.meta_gradients(leaves, draw(32, seed=step), 0.0)
        for name, leaf in leaves.items():
            leaf.grad = grads[name]
        optimizer.step()
    right = made.predict(leaves, unseen).argmax(2) == unseen.query_y
    assert right.double().mean() > 0.85


def test_renamed_classes_rename_the_answers_of_a_head_renamed_alike():
    """Every layer reads the label beside what came before: with its columns renamed too, only the names differ."""
    plain, renamed = head(support=6), head(support=6)
    names = torch.tensor([2, 0, 1])
    columns = SMALL.embedding + torch.arange(3)
    for layer in (*renamed.body.modules(), renamed.classifier):
        if isinstance(layer, nn.Linear):
            layer.weight.data[:, SMALL.embedding + names] = layer.weight.data[:, columns].clone()
    for leaf in renamed.classifier.parameters():
        leaf.data[names] = leaf.data.clone()
    support, query = items(2, 6, 4), items(2, 5, 4, seed=2)
    labels = torch.tensor([[0, 1, 2, 2, 1, 0], [1, 1, 0, 0, 2, 2]])
    before = plain(support, labels, query, 3)
    torch.testing.assert_close(renamed(support, names[labels], query, 3)[..., names], before)
    assert (plain(support, names[labels], query, 3) - before).abs().max() > 1e-6
