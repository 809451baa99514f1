import json

import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.appearances import evaluate_appearances
from automl_meta.fewshot.controller import MANNSizes, answers, follow
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.mann import MANN
from automl_meta.fewshot.orders import Sequences
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import cross_entropy

SMALL = MANNSizes(units=6, slots=7, width=3, heads=2)


class Points:
    """Classes are random directions, their items the same points with a little noise."""

    def __init__(self, ways=3, shots=2, queries=2, length=4, noise=0.1, dtype=torch.float64):
        self.sizes, self.ways, self.noise = (shots, queries, length), ways, noise
        self.dtype = dtype

    def sample(self, n_tasks, generator):
        shots, queries, length = self.sizes
        centres = torch.randn(n_tasks, self.ways, length, generator=generator, dtype=self.dtype)

        def part(n):
            x = centres.repeat_interleave(n, dim=1)
            noise = torch.randn(x.shape, generator=generator, dtype=self.dtype)
            y = torch.arange(self.ways).repeat_interleave(n).repeat(n_tasks, 1)
            return x + self.noise * noise, y

        return Episodes(*part(shots), *part(queries), self.ways)


def learner(ways=3, sizes=SMALL, embedding=None, inputs=4, **options):
    generator = torch.Generator().manual_seed(0)
    embedding = embedding or nn.Flatten()
    return MANN(embedding, inputs=inputs, ways=ways, generator=generator, sizes=sizes, **options)


def doubled(learner):
    return {name: leaf.double() for name, leaf in learner.init(torch.Generator()).items()}


def draw(n_tasks=3, seed=0, **options):
    return Points(**options).sample(n_tasks, torch.Generator().manual_seed(seed))


def labels_of(episodes):
    return torch.cat([episodes.support_y, episodes.query_y], dim=1)


def test_gradient_equals_central_differences():
    mann = learner()
    meta, episodes = doubled(mann), draw()
    loss, grads = mann.meta_gradients(meta, episodes, 0.0)

    def value(changed):
        return cross_entropy(mann.follow(changed, episodes), labels_of(episodes)).mean().item()

    assert loss.item() == pytest.approx(value(meta), rel=1e-12)
    assert grads.keys() == meta.keys()
    for name, leaf in meta.items():
        direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(1)).to(leaf)
        up, down = (value(meta | {name: leaf + s * 1e-6 * direction}) for s in (1, -1))
        slope = (grads[name] * direction).sum().item()
        assert slope == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-8), name


def test_an_item_is_asked_before_its_label_and_those_of_later_items_are_told():
    mann = learner()
    meta, episodes = doubled(mann), draw()
    before = mann.follow(meta, episodes)
    labels = labels_of(episodes)
    labels[:, 5] = (labels[:, 5] + 1) % 3
    changed = Episodes(
        episodes.support_x, labels[:, :6], episodes.query_x, labels[:, 6:], episodes.ways
    )
    after = mann.follow(meta, changed)
    assert torch.equal(before[:, :6], after[:, :6])
    assert (before[:, 6:] - after[:, 6:]).abs().amax(dim=(1, 2)).min() > 1e-9
    items = episodes.query_x.clone()
    items[:, 1] += 1.0  # item 7
    moved = Episodes(episodes.support_x, episodes.support_y, items, episodes.query_y, 3)
    after = mann.follow(meta, moved)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7:], after[:, 7:])


def test_a_query_item_is_answered_as_the_next_item_of_its_own_sequence():
    mann = learner()
    meta, episodes = doubled(mann), draw()
    together = mann.predict(meta, episodes)
    for q in range(together.shape[1]):
        one = Episodes(
            episodes.support_x,
            episodes.support_y,
            episodes.query_x[:, q : q + 1],
            episodes.query_y[:, q : q + 1],
            3,
        )
        torch.testing.assert_close(mann.predict(meta, one)[:, 0], together[:, q])
    weights = {n.removeprefix("weights."): leaf for n, leaf in meta.items()}
    logits, _ = follow(
        weights,
        torch.cat([episodes.support_x, episodes.query_x[:, :1]], dim=1),
        labels_of(episodes)[:, :7],
        SMALL,
    )
    _, state = follow(weights, episodes.support_x, episodes.support_y, SMALL)
    answered = answers(weights, episodes.query_x[:, :1], episodes.support_y[:, -1], state, SMALL)
    torch.testing.assert_close(answered[:, 0], logits[:, 6])


def test_no_episode_knows_of_another_and_chunks_do_not_matter():
    episodes = draw(5)
    whole, parts = learner(), learner(chunk=2)
    meta = doubled(whole)
    for of in ("predict", "follow"):
        together = getattr(whole, of)(meta, episodes)
        alone = torch.cat([getattr(whole, of)(meta, episodes[t : t + 1]) for t in range(5)])
        torch.testing.assert_close(together, alone)
        torch.testing.assert_close(getattr(parts, of)(meta, episodes), together)
    loss, grads = whole.meta_gradients(meta, episodes, 0.0)
    same_loss, same = parts.meta_gradients(meta, episodes, 0.5)
    torch.testing.assert_close(same_loss, loss)
    for name, grad in grads.items():
        torch.testing.assert_close(same[name], grad)


def test_renaming_the_classes_renames_the_answers_once_the_weights_are_renamed():
    """The network has weights for each class: only their columns and rows follow the names."""
    mann, episodes = learner(), draw()
    meta = doubled(mann)
    names = torch.tensor([2, 0, 1])
    renamed = Episodes(
        episodes.support_x, names[episodes.support_y], episodes.query_x, episodes.query_y, 3
    )
    other = {name: leaf.clone() for name, leaf in meta.items()}
    other["weights.input.weight"][:, 4 + names] = meta["weights.input.weight"][:, 4:]
    for leaf in ("weights.output.weight", "weights.output.bias"):
        other[leaf][names] = meta[leaf]
    before, after = mann.predict(meta, episodes), mann.predict(other, renamed)
    torch.testing.assert_close(after[..., names], before)
    assert not torch.allclose(mann.predict(meta, renamed)[..., names], before)


def test_initial_weights_follow_the_generator_alone():
    def start(seed, noise):
        torch.manual_seed(noise)
        generator = torch.Generator().manual_seed(seed)
        return MANN(nn.Flatten(), inputs=4, ways=3, generator=generator).init(generator)

    first, same, other = start(0, 1), start(0, 2), start(3, 1)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["weights.output.weight"], other["weights.output.weight"])


def test_a_convolution_may_embed_the_items():
    layers = Chain(nn.Conv2d(1, 2, 3, stride=2, bias=False), BatchNorm(2), nn.ReLU(), nn.Flatten())
    images = torch.rand(2, 9, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(3).repeat(2, 3)
    episodes = Episodes(images[:, :6], labels[:, :6], images[:, 6:], labels[:, 6:], 3)
    for transductive in (True, False):
        mann = learner(embedding=layers, inputs=8, transductive=transductive)
        meta = mann.init(torch.Generator())
        assert "weights.embedding.0.weight" in meta
        _, grads = mann.meta_gradients(meta, episodes, 0.0)
        assert grads["weights.embedding.0.weight"].abs().max() > 0
        query = images[:, 6:] + torch.tensor([0.0, 1.0, 2.0]).view(1, 3, 1, 1, 1)
        changed = Episodes(images[:, :6], labels[:, :6], query, labels[:, 6:], 3)
        gap = (mann.predict(meta, changed) - mann.predict(meta, episodes))[:, 0].abs().max()
        assert (gap.item() < 1e-6) != transductive


def trained(steps, source, sizes, rate=0.01):
    mann = MANN(
        nn.Flatten(),
        inputs=source.sizes[2],
        ways=source.ways,
        generator=torch.Generator().manual_seed(0),
        sizes=sizes,
    )
    meta = {name: leaf.requires_grad_() for name, leaf in mann.init(torch.Generator()).items()}
    optimizer = torch.optim.Adam(meta.values(), lr=rate)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        _, grads = mann.meta_gradients(meta, Sequences(source).sample(32, generator), 0.0)
        for name, leaf in meta.items():
            leaf.grad = grads[name]
        optimizer.step()
    return mann, {name: leaf.detach() for name, leaf in meta.items()}


def test_training_learns_to_remember():
    source = Points(ways=2, shots=1, queries=4, length=3, dtype=torch.float32)
    sizes = MANNSizes(units=24, slots=12, width=8, heads=1)
    mann, meta = trained(250, source, sizes)
    by_appearance = evaluate_appearances(
        mann, meta, Sequences(source), episodes=300, generator=torch.Generator()
    )
    first, second, *_, last = (evaluation.mean for evaluation in by_appearance)
    assert first < 0.8  # 3/4: that of the class that comes second can be told by exclusion
    assert second > 0.8
    assert last > 0.85


def test_what_does_not_fit_is_refused():
    mann = learner()
    meta, episodes = mann.init(torch.Generator()), draw(ways=4, dtype=torch.float32)
    with pytest.raises(InvalidParameterError, match=r"'episodes'.*3 classes"):
        mann.predict(meta, episodes)
    with pytest.raises(InvalidParameterError, match=r"'ways'.*int >= 2"):
        learner(ways=1)
    with pytest.raises(InvalidParameterError, match="dropout"):
        learner(embedding=nn.Sequential(nn.Flatten(), nn.Dropout(0.5)))


def test_description_is_json():
    facts = learner().describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["settings"]["slots"] == 7
    assert facts["parameters"] == 24 * 7 + 24 + 24 * 12 + 8 * 6 + 8 + 3 * 12 + 3
