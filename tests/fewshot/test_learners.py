import gc
import json
from collections import OrderedDict

import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.episodes import Episodes
from automl_meta.fewshot.learners import GradientLearner
from automl_meta.metalearn import ANIL, FOMAML, MAML, MAMLPlusPlus, MetaSGD, Reptile
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import cross_entropy, mean_squared_error

SIDE = 4
ALGORITHMS = {
    "maml": MAML(0.4, 2),
    "fomaml": FOMAML(0.4, 2),
    "anil": ANIL(0.4, 2),
    "meta-sgd": MetaSGD(0.4, 2, granularity="tensor", per_step=True),
    "maml++": MAMLPlusPlus(0.4, 2),
    "reptile": Reptile(0.4, 2),
    "reptile-adam": Reptile(0.05, 2, beta2=0.9),
}
every = pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
exact = pytest.mark.parametrize(
    "algorithm",
    [ALGORITHMS[name] for name in ("maml", "anil", "meta-sgd", "maml++")],
    ids=["maml", "anil", "meta-sgd", "maml++"],
)


def network(ways=3, dtype=torch.float64):
    torch.manual_seed(0)
    layers = OrderedDict(
        conv1=nn.Conv2d(1, 3, 3, stride=2, padding=1, bias=False),
        norm1=BatchNorm(3),
        relu1=nn.ReLU(),
        flatten=nn.Flatten(),
        head=nn.Linear(12, ways),
    )
    return Chain(layers).to(dtype)


def plain(ways=5):
    torch.manual_seed(0)
    layers = OrderedDict(
        flatten=nn.Flatten(), hidden=nn.Linear(16, 24), relu=nn.ReLU(), head=nn.Linear(24, ways)
    )
    return Chain(layers)


def draw(n_tasks=3, ways=3, shots=2, queries=2, dtype=torch.float64, seed=0, noise=0.5):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    centres = normal(n_tasks, ways, 1, SIDE, SIDE)

    def part(n):
        x = centres.repeat_interleave(n, dim=1)
        y = torch.arange(ways).repeat_interleave(n).expand(n_tasks, -1)
        return x + noise * normal(*x.shape), y

    return Episodes(*part(shots), *part(queries), ways)


def accuracy(learner, meta, episodes):
    return (learner.predict(meta, episodes).argmax(2) == episodes.query_y).double().mean().item()


@pytest.mark.parametrize("transductive", [True, False])
@exact
def test_meta_gradient_equals_central_differences(algorithm, transductive):
    learner = GradientLearner(
        algorithm, network(), loss=cross_entropy, transductive=transductive, test_steps=2
    )
    episodes = draw()
    meta = learner.init(torch.Generator())
    loss, grads = learner.meta_gradients(meta, episodes, 0.99)

    def value(changed):
        outputs = learner.predict(changed, episodes)
        return cross_entropy(outputs, episodes.query_y).mean().item()

    assert loss.item() == pytest.approx(value(meta), rel=1e-12)
    for name, leaf in meta.items():
        direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(1)).to(leaf)
        up, down = (value(meta | {name: leaf + s * 1e-6 * direction}) for s in (1, -1))
        slope = (grads[name] * direction).sum().item()
        assert slope == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-8), name


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("execution", ["folded", "vectorized", "looped"])
@every
def test_chunks_side_by_side_equal_the_whole(algorithm, execution):
    # One module serves all chunks, so those that run at the same time must not get into each other's way.
    episodes = draw(n_tasks=12)
    whole, parts = (
        GradientLearner(algorithm, network(), loss=cross_entropy, execution=execution, chunk=chunk)
        for chunk in (None, 1)
    )
    meta = whole.init(torch.Generator())
    loss, grads = whole.meta_gradients(meta, episodes, 0.3)
    for _ in range(3):
        same_loss, same = parts.meta_gradients(meta, episodes, 0.3)
        torch.testing.assert_close(same_loss, loss)
        for name, grad in grads.items():
            torch.testing.assert_close(same[name], grad, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(parts.predict(meta, episodes), whole.predict(meta, episodes))


@every
def test_chunks_equal_the_whole(algorithm):
    episodes = draw(n_tasks=5)
    whole, parts = (
        GradientLearner(
            algorithm, network(), loss=cross_entropy, chunk=chunk, inner_batch=4, test_inner_batch=3
        )
        for chunk in (None, 2)
    )
    meta = whole.init(torch.Generator())
    loss, grads = whole.meta_gradients(meta, episodes, 0.3)
    same_loss, same = parts.meta_gradients(meta, episodes, 0.3)
    torch.testing.assert_close(same_loss, loss)
    for name, grad in grads.items():
        torch.testing.assert_close(same[name], grad, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(parts.predict(meta, episodes), whole.predict(meta, episodes))


@every
def test_order_of_the_support_does_not_matter(algorithm):
    episodes = draw()
    order = torch.tensor([5, 2, 0, 4, 1, 3])
    permuted = Episodes(
        episodes.support_x[:, order],
        episodes.support_y[:, order],
        episodes.query_x,
        episodes.query_y,
        3,
    )
    learner = GradientLearner(algorithm, network(), loss=cross_entropy)
    meta = learner.init(torch.Generator())
    torch.testing.assert_close(
        learner.predict(meta, permuted), learner.predict(meta, episodes), rtol=1e-9, atol=1e-10
    )


@every
def test_with_shuffled_support_labels_accuracy_is_chance(algorithm):
    learner = GradientLearner(algorithm, plain(), loss=cross_entropy, test_steps=10)
    meta = learner.init(torch.Generator())
    episodes = draw(400, ways=5, shots=4, dtype=torch.float32)
    assert accuracy(learner, meta, episodes) > 0.6
    # Each task's classes are renamed in its support: nothing about the query's labels is left to learn.
    generator = torch.Generator().manual_seed(3)
    names = torch.rand(400, 5, generator=generator).argsort(dim=1)
    shuffled = Episodes(
        episodes.support_x,
        names.gather(1, episodes.support_y),
        episodes.query_x,
        episodes.query_y,
        5,
    )
    assert accuracy(learner, meta, shuffled) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("transductive", [True, False])
def test_a_query_item_depends_on_the_others_only_if_transductive(transductive):
    learner = GradientLearner(MAML(0.4), network(), loss=cross_entropy, transductive=transductive)
    meta = learner.init(torch.Generator())
    episodes = draw()
    query = episodes.query_x.clone()
    query[:, 1:] += 3 * torch.rand(query[:, 1:].shape, generator=torch.Generator().manual_seed(0))
    changed = Episodes(episodes.support_x, episodes.support_y, query, episodes.query_y, 3)
    gap = learner.predict(meta, changed)[:, 0] - learner.predict(meta, episodes)[:, 0]
    assert (gap.abs().max().item() < 1e-12) != transductive
    assert learner.describe()["transductive"] is transductive


def test_the_body_of_anil_is_computed_once_and_the_result_is_the_same():
    episodes = draw()
    learner, whole = (GradientLearner(ANIL(0.4, 3), network(), loss=cross_entropy) for _ in "ab")
    assert learner.split is not None
    whole.split = None
    meta = learner.init(torch.Generator())
    loss, grads = learner.meta_gradients(meta, episodes, 0.0)
    same_loss, same = whole.meta_gradients(meta, episodes, 0.0)
    torch.testing.assert_close(loss, same_loss)
    for name, grad in grads.items():
        torch.testing.assert_close(same[name], grad, rtol=1e-9, atol=1e-12)
    whole_forward, inputs = learner.forward, []
    learner.forward = lambda params, x: inputs.append(x) or whole_forward(params, x)
    learner.meta_gradients(meta, episodes, 0.0)
    assert len(inputs) == 1  # of the query; the support went through the body's own forward


def test_anil_without_a_head_at_the_end_is_not_cut():
    learner = GradientLearner(ANIL(0.1, head="hidden"), plain(), loss=cross_entropy)
    assert learner.split is None
    both = GradientLearner(ANIL(0.1, head=("hidden", "head")), plain(), loss=cross_entropy)
    assert both.split is None


def test_minibatches_follow_from_the_progress_alone():
    learner = GradientLearner(Reptile(0.1, 5), plain(), loss=cross_entropy, inner_batch=5)
    full = GradientLearner(Reptile(0.1, 5), plain(), loss=cross_entropy)
    meta = learner.init(torch.Generator())
    episodes = draw(ways=5, shots=5, dtype=torch.float32)

    def direction(learner, progress):
        return learner.meta_gradients(meta, episodes, progress)[1]["weights.head.weight"]

    assert torch.equal(direction(learner, 0.25), direction(learner, 0.25))
    assert not torch.equal(direction(learner, 0.25), direction(learner, 0.2501))
    assert not torch.equal(direction(learner, 0.25), direction(full, 0.25))
    assert torch.equal(direction(full, 0.25), direction(full, 0.2501))


def test_the_outer_gradient_of_maml_plus_plus_follows_the_training():
    learner = GradientLearner(MAMLPlusPlus(0.4, 2), network(), loss=cross_entropy)
    meta, episodes = learner.init(torch.Generator()), draw()
    assert meta["weights.norm1.weight"].shape == (2, 3)
    early, late, end = (
        learner.meta_gradients(meta, episodes, p)[1]["weights.head.weight"] for p in (0, 0.5, 0.9)
    )
    assert torch.equal(late, end)
    assert (early - late).abs().max() > 1e-5
    assert "progress" not in learner.describe()["settings"]


def test_regression_learns():
    learner = GradientLearner(MAML(0.05, 5), plain(ways=1), loss=mean_squared_error)
    images = draw(4, dtype=torch.float32)
    support_y, query_y = (x.flatten(2)[..., :1] for x in (images.support_x, images.query_x))
    episodes = Episodes(images.support_x, support_y, images.query_x, query_y, None)
    meta = learner.init(torch.Generator())
    before, after = (learner.predict(meta, episodes, steps=steps) for steps in (0, 20))
    assert after.shape == query_y.shape
    assert mean_squared_error(after, query_y).mean() < mean_squared_error(before, query_y).mean()


@every
def test_many_iterations_keep_no_tensor_alive(algorithm):
    learner = GradientLearner(algorithm, network(), loss=cross_entropy, inner_batch=4)
    episodes = draw()

    def iterate(n):
        meta = learner.init(torch.Generator())
        for _ in range(n):
            _, grads = learner.meta_gradients(meta, episodes, 0.5)
            learner.predict(meta, episodes)
            meta = {name: leaf - 0.01 * grads[name] for name, leaf in meta.items()}
        return sum(issubclass(type(item), torch.Tensor) for item in gc.get_objects())

    gc.collect()
    gc.disable()  # a cycle of tensors would hold memory until a collection happens to run
    try:
        few, many = iterate(2), iterate(20)
    finally:
        gc.enable()
    assert many <= few


@pytest.mark.parametrize(
    ("module", "rule"),
    [
        (nn.Dropout(0.5), "active dropout"),
        (nn.AlphaDropout(0.1), "active dropout"),
        (nn.BatchNorm1d(16), "running statistics"),
    ],
)
def test_networks_that_draw_or_remember_are_refused(module, rule):
    with pytest.raises(InvalidParameterError, match=rule):
        GradientLearner(MAML(0.1), nn.Sequential(nn.Flatten(), module), loss=cross_entropy)


def test_dropout_that_does_nothing_is_allowed():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Dropout(0.5)).double().eval()
    learner = GradientLearner(MAML(0.1), net, loss=cross_entropy, execution="vectorized")
    meta = learner.init(torch.Generator())
    assert torch.equal(learner.predict(meta, draw()), learner.predict(meta, draw()))


def test_a_network_that_writes_into_the_episodes_is_refused():
    class Doubling(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    net = nn.Sequential(Doubling(), nn.Flatten(), nn.Linear(16, 3)).double()
    learner = GradientLearner(MAML(0.1), net, loss=cross_entropy, execution="looped")
    with pytest.raises(InvalidParameterError, match="in-place"):
        learner.predict(learner.init(torch.Generator()), draw())


def test_meta_parameters_are_copies_and_the_network_is_left_alone():
    net = network()
    learner = GradientLearner(MAML(0.4), net, loss=cross_entropy)
    before = {name: leaf.detach().clone() for name, leaf in net.named_parameters()}
    meta = learner.init(torch.Generator())
    for leaf in meta.values():
        leaf.zero_()
    learner.meta_gradients(meta, draw(), 0.0)
    assert all(torch.equal(leaf, before[name]) for name, leaf in net.named_parameters())


@every
def test_description_is_json(algorithm):
    facts = GradientLearner(algorithm, plain(), loss=cross_entropy).describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["parameters"] == 16 * 24 + 24 + 24 * 5 + 5
    assert facts["execution"] in {"folded", "vectorized", "looped"}


@pytest.mark.parametrize("change", [{"execution": "fast"}, {"inner_batch": 0}, {"test_steps": -1}])
def test_bad_options_are_refused(change):
    with pytest.raises(InvalidParameterError, match=next(iter(change)).removeprefix("test_")):
        GradientLearner(MAML(0.1), plain(), loss=cross_entropy, **change)
