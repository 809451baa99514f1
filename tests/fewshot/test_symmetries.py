"""What must not matter to a learner, checked for every one as its recipe makes it."""

from dataclasses import replace

import pytest
import torch

from automl_meta.fewshot.building import make_learner
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.recipes import recipe

WAYS, SHOTS, QUERIES, TASKS, FILTERS = 3, 2, 2, 2, 4
BY_GRADIENTS = ("maml", "fomaml", "anil", "boil", "reptile", "meta-sgd", "maml++", "cavia")
BY_METRIC = ("protonet", "matching")
IN_ORDER = ("snail", "meta-networks", "mann")
CHANGES = {"reptile": {"inner_steps": 3, "test_steps": 3}}
#: Names of classes, one renaming a task.
NAMES = torch.tensor([[2, 0, 1], [1, 0, 2]])


def of(*names):
    return pytest.mark.parametrize("name", names)


def make(name):
    """Return a learner, meta-parameters away from zeros, and episodes in float64."""
    settings = recipe(name, ways=WAYS, shots=SHOTS, filters=FILTERS, **CHANGES.get(name, {}))
    learner = make_learner(settings, 1, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    meta = {
        key: leaf.double() + 0.1 * torch.rand(leaf.shape, generator=generator, dtype=torch.float64)
        for key, leaf in learner.init(generator).items()
    }
    labels = torch.arange(WAYS)

    def images(per_class):
        shape = (TASKS, WAYS * per_class, 1, 28, 28)
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    return (
        learner,
        meta,
        Episodes(
            images(SHOTS),
            labels.repeat_interleave(SHOTS).repeat(TASKS, 1),
            images(QUERIES),
            labels.repeat_interleave(QUERIES).repeat(TASKS, 1),
            WAYS,
        ),
    )


def assert_close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


@of(*BY_GRADIENTS, *BY_METRIC, *IN_ORDER)
def test_an_episode_says_nothing_of_another(name):
    learner, meta, episodes = make(name)
    both = learner.predict(meta, episodes)
    for i in range(TASKS):
        assert_close(learner.predict(meta, episodes[i : i + 1])[0], both[i])


@of(*BY_GRADIENTS, *BY_METRIC, *IN_ORDER)
def test_the_order_of_the_queries_does_not_matter(name):
    learner, meta, episodes = make(name)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled = replace(
        episodes, query_x=episodes.query_x[:, order], query_y=episodes.query_y[:, order]
    )
    assert_close(learner.predict(meta, shuffled), learner.predict(meta, episodes)[:, order])


@of(*BY_GRADIENTS, "protonet")
def test_the_order_of_the_support_does_not_matter(name):
    learner, meta, episodes = make(name)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled = replace(
        episodes, support_x=episodes.support_x[:, order], support_y=episodes.support_y[:, order]
    )
    assert_close(learner.predict(meta, shuffled), learner.predict(meta, episodes))


@of(*BY_METRIC)
def test_renamed_classes_rename_the_answers(name):
    learner, meta, episodes = make(name)
    renamed = replace(episodes, support_y=NAMES.gather(1, episodes.support_y))
    before = learner.predict(meta, episodes)
    after = learner.predict(meta, renamed)
    assert_close(after.gather(2, NAMES[:, None].expand_as(after)), before)


@of(*BY_GRADIENTS)
def test_renamed_classes_rename_the_answers_of_a_renamed_head(name):
    """A head tells classes apart by its rows: with those renamed as the labels are, so are the answers."""
    learner, meta, episodes = make(name)
    names = NAMES[0]
    renamed = replace(
        episodes, support_y=names[episodes.support_y], query_y=names[episodes.query_y]
    )
    heads = [key for key, leaf in meta.items() if leaf.ndim and leaf.shape[0] == WAYS]
    assert heads
    back = names.argsort()
    moved = {key: leaf[back] if key in heads else leaf for key, leaf in meta.items()}
    assert_close(learner.predict(moved, renamed)[..., names], learner.predict(meta, episodes))
    loss, grads = learner.meta_gradients(meta, episodes, 0.5)
    same, others = learner.meta_gradients(moved, renamed, 0.5)
    assert_close(same, loss)
    for key, grad in grads.items():
        assert_close(others[key][names] if key in heads else others[key], grad)
