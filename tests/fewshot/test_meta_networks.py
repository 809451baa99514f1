import json
from collections import OrderedDict

import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.embedded import EmbeddedLearner
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.meta_networks import MetaNetworks
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import cross_entropy


def head(ways=3, inputs=4, units=5, **options):
    generator = torch.Generator().manual_seed(0)
    made = MetaNetworks(inputs=inputs, ways=ways, generator=generator, units=units, **options)
    return made.double()


def draw(n_tasks=3, ways=3, shots=1, queries=2, seed=0, noise=0.3, length=4):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(n_tasks, ways, length, generator=generator, dtype=torch.float64)

    def part(n):
        x = centres.repeat_interleave(n, dim=1)
        more = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        return x + noise * more, torch.arange(ways).repeat_interleave(n).repeat(n_tasks, 1)

    return Episodes(*part(shots), *part(queries), ways)


def learner(**options):
    """Make one whose embedding is the identity, so that the head stands alone."""
    return EmbeddedLearner(Chain(nn.Flatten()), head(**options))


def answered(made, episodes):
    return made(episodes.support_x, episodes.support_y, episodes.query_x, episodes.ways)


def test_gradient_equals_central_differences():
    method, episodes = learner(second_order=True, hidden=4), draw(shots=2)
    meta = method.init(torch.Generator())
    loss, grads = method.meta_gradients(meta, episodes, 0.0)

    def value(changed):
        outputs = method.predict(changed, episodes)
        return cross_entropy(outputs, episodes.query_y).mean().item()

    assert loss.item() == pytest.approx(value(meta), rel=1e-12)
    for name, leaf in meta.items():
        direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(1)).to(leaf)
        up, down = (value(meta | {name: leaf + s * 1e-7 * direction}) for s in (1, -1))
        slope = (grads[name] * direction).sum().item()
        assert slope == pytest.approx((up - down) / 2e-7, rel=1e-4, abs=1e-7), name


def test_by_default_inner_gradients_are_constants_of_the_same_values():
    first, second = learner(), learner(second_order=True)
    meta, episodes = first.init(torch.Generator()), draw()
    torch.testing.assert_close(first.predict(meta, episodes), second.predict(meta, episodes))
    (loss, grads), (same, others) = (m.meta_gradients(meta, episodes, 0) for m in (first, second))
    torch.testing.assert_close(loss, same)
    # What only makes fast weights has the same gradient; what makes the gradients, another.
    makers = [name for name in grads if ".to_item." in name]
    assert len(makers) == 3
    for name in makers:
        torch.testing.assert_close(grads[name], others[name])
    name = "weights.head.base_output"
    assert not torch.allclose(grads[name], others[name])
    assert not grads["weights.head.judgement"].any()  # it only serves the representation's loss
    assert others["weights.head.judgement"].any()


def test_the_parts_follow_algorithm_1():
    """One episode, written out item by item."""
    made, episodes = head(hidden=4), draw(1)
    support, labels = episodes.support_x[0], episodes.support_y[0]

    def one(v):
        return torch.cat([v, torch.ones(1).double()])

    def gradient(layers, x, y):
        hidden, output = (layer.detach().clone().requires_grad_() for layer in layers)
        logits = output @ one((hidden @ one(x)).relu())
        loss = nn.functional.cross_entropy(logits, y)
        return torch.autograd.grad(loss, [hidden, output])

    def seen(g):
        logs = g.abs().clamp_min(torch.exp(torch.tensor(-7.0).double())).log() / 7
        signs = torch.where(logs > -1, g.sign(), g * torch.exp(torch.tensor(7.0).double()))
        return torch.stack([logs, signs], dim=-1)

    u, b = (made.representation, made.judgement), (made.base_hidden, made.base_output)
    of_u = [seen(gradient(u, x, y)[0]) for x, y in zip(support, labels, strict=True)]
    task_fast = made.to_task(torch.stack(of_u).flatten(1, 2).unsqueeze(0)).view(u[0].shape)
    item_fast = [
        [made.to_item(seen(g)) for g in gradient(b, x, y)]
        for x, y in zip(support, labels, strict=True)
    ]

    def represented(x):
        return (u[0] @ one(x)).relu() + (task_fast @ one(x)).relu()

    index = torch.stack([represented(x) for x in support])
    for q, x in enumerate(episodes.query_x[0]):
        attention = torch.cosine_similarity(index, represented(x).expand_as(index)).softmax(0)
        hidden, output = (
            sum(a * fast[i] for a, fast in zip(attention, item_fast, strict=True)) for i in (0, 1)
        )
        h = (b[0] @ one(x)).relu() + (hidden @ one(x)).relu()
        expected = b[1] @ one(h) + output @ one(h)
        torch.testing.assert_close(answered(made, episodes)[0, q], expected, rtol=1e-5, atol=1e-7)


def test_a_query_item_depends_on_no_other():
    made, episodes = head(), draw()
    query = episodes.query_x.clone()
    query[:, 1:] += 1.0
    changed = Episodes(episodes.support_x, episodes.support_y, query, episodes.query_y, 3)
    torch.testing.assert_close(answered(made, changed)[:, 0], answered(made, episodes)[:, 0])


def test_the_order_of_the_support_reaches_the_answers_through_the_lstm_alone():
    made, episodes = head(), draw(shots=2)
    order = torch.tensor([4, 0, 3, 5, 1, 2])
    turned = Episodes(
        episodes.support_x[:, order],
        episodes.support_y[:, order],
        episodes.query_x,
        episodes.query_y,
        3,
    )
    assert not torch.allclose(answered(made, turned), answered(made, episodes))
    with torch.no_grad():
        made.to_task.output.zero_()  # no fast weights of the task
    torch.testing.assert_close(answered(made, turned), answered(made, episodes))


def test_renaming_the_classes_renames_the_answers_once_the_weights_are_renamed():
    """The slow output weights are of fixed classes: only their rows follow the names."""
    made, other, episodes = head(), head(), draw()
    names = torch.tensor([2, 0, 1])
    renamed = Episodes(
        episodes.support_x, names[episodes.support_y], episodes.query_x, episodes.query_y, 3
    )
    with torch.no_grad():
        other.judgement[names], other.base_output[names] = made.judgement, made.base_output
    before = answered(made, episodes)
    torch.testing.assert_close(answered(other, renamed)[..., names], before)
    assert not torch.allclose(answered(made, renamed)[..., names], before)


def test_no_episode_knows_of_another_and_chunks_do_not_matter():
    layers = OrderedDict(flatten=nn.Flatten(), norm=BatchNorm(4))
    whole, parts = (
        EmbeddedLearner(Chain(layers).double(), head(), chunk=chunk) for chunk in (None, 2)
    )
    episodes, meta = draw(5), whole.init(torch.Generator())
    together = whole.predict(meta, episodes)
    alone = torch.cat([whole.predict(meta, episodes[t : t + 1]) for t in range(5)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(parts.predict(meta, episodes), together)
    loss, grads = whole.meta_gradients(meta, episodes, 0.0)
    same_loss, same = parts.meta_gradients(meta, episodes, 0.0)
    torch.testing.assert_close(same_loss, loss)
    for name, grad in grads.items():
        torch.testing.assert_close(same[name], grad)


def test_initial_weights_follow_the_generator_alone():
    def start(seed, noise):
        torch.manual_seed(noise)
        generator = torch.Generator().manual_seed(seed)
        return MetaNetworks(inputs=4, ways=3, generator=generator).state_dict()

    first, same, other = start(0, 1), start(0, 2), start(3, 1)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["to_task.gates"], other["to_task.gates"])


def test_training_learns_and_fast_weights_are_what_it_learns_by():
    method = learner(units=8, hidden=8, ways=4)
    meta = {n: leaf.requires_grad_() for n, leaf in method.init(torch.Generator()).items()}
    optimizer = torch.optim.Adam(meta.values(), lr=0.02)
    for step in range(150):
        _, grads = method.meta_gradients(meta, draw(16, ways=4, seed=step), 0.0)
        for name, leaf in meta.items():
            leaf.grad = grads[name]
        optimizer.step()
    trained, unseen = {n: leaf.detach() for n, leaf in meta.items()}, draw(200, ways=4, seed=999)

    def accuracy(weights):
        guesses = method.predict(weights, unseen).argmax(-1)
        return (guesses == unseen.query_y).double().mean().item()

    assert accuracy(trained) > 0.8
    without = {n: leaf * (".to_item." not in n) for n, leaf in trained.items()}
    assert accuracy(without) < 0.4


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidParameterError, match=r"'episodes'.*3 classes"):
        answered(head(), draw(ways=4))
    with pytest.raises(InvalidParameterError, match=r"'ways'.*int >= 2"):
        head(ways=1)
    with pytest.raises(InvalidParameterError, match=r"'hidden'.*int >= 1"):
        head(hidden=0)


def test_description_is_json():
    facts = learner().describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["learner"] == "MetaNetworks"
    assert facts["settings"]["fast_weights"] == "of the last layers"
