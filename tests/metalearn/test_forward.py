import gc
from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from automl_meta.exceptions import InvalidParameterError
from automl_meta.fewshot.networks import conv4, mlp
from automl_meta.metalearn import FOMAML, MAML, module_params
from automl_meta.metalearn.forward import folded, looped, vectorized
from automl_meta.metalearn.layers import BatchNorm, Chain
from automl_meta.metalearn.losses import BatchLoss, cross_entropy

N_TASKS, WAYS = 3, 2
SUPPORT = QUERY = 3 * WAYS
EXECUTIONS = {"looped": looped, "vectorized": vectorized, "folded": folded}
MAML_2 = MAML(0.4, 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small_conv4(pooling, size, **options):
    return lambda: conv4(
        WAYS, generator=seeded(), filters=4, image_size=size, pooling=pooling, **options
    )


def nested(kind=nn.Sequential):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = OrderedDict(conv=nn.Conv2d(1, 3, 3), norm=BatchNorm(3), act=nn.LeakyReLU(0.2))
        return kind(
            OrderedDict(
                body=kind(OrderedDict(first=kind(block), pool=nn.AvgPool2d(2))),
                norm=BatchNorm(3),
                act=nn.ReLU(inplace=True),
                flatten=nn.Flatten(),
                head=nn.Linear(3 * 9, WAYS),
            )
        )


#: Name to a network and the shape of one input.
NETWORKS = {
    "stride": (small_conv4("stride", 9), (1, 9, 9)),
    "max": (small_conv4("max", 17), (1, 17, 17)),
    "average": (small_conv4("average", 9), (1, 9, 9)),
    "bias": (small_conv4("stride", 8, bias=True, channels=3), (3, 8, 8)),
    "mlp": (lambda: mlp(3, generator=seeded(), hidden=(8, 6), outputs=WAYS), (3,)),
    "nested": (nested, (1, 8, 8)),
    "context": (small_conv4("stride", 9, context=3), (1, 9, 9)),
    "context mlp": (
        lambda: mlp(3, generator=seeded(), hidden=(8, 6), outputs=WAYS, context=2),
        (3,),
    ),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


@dataclass(frozen=True)
class Problem:
    module: nn.Module
    support: tuple
    query: tuple
    reference: int | None

    def losses(self, execution):
        """Support loss, and query loss: normalised by the support's statistics where there is a reference."""
        forward = execution(self.module)
        return BatchLoss(forward, cross_entropy, *self.support), BatchLoss(
            forward, cross_entropy, *self.query, reference=self.reference
        )

    def meta_gradient(self, execution, algorithm=MAML_2):
        meta = algorithm.init(module_params(self.module))
        loss, grads = algorithm.meta_gradients(meta, *self.losses(execution), N_TASKS)
        return loss, flat(grads)


def flat(leaves):
    return torch.cat([leaf.flatten() for leaf in leaves.values()])


def problem(name, dtype=torch.float64, *, transductive=True):
    make, shape = NETWORKS[name]

    def part(n, seed):
        x = torch.randn(N_TASKS, n, *shape, generator=seeded(seed), dtype=torch.float64).to(dtype)
        return x, torch.arange(WAYS).repeat(N_TASKS, n // WAYS)

    support, (query_x, query_y) = part(SUPPORT, 1), part(QUERY, 2)
    if transductive:
        return Problem(make().to(dtype), support, (query_x, query_y), None)
    both = torch.cat([support[0], query_x], dim=1)
    return Problem(make().to(dtype), support, (both, query_y), SUPPORT)


def norm_and_transduction():
    cases = [(name, True) for name in NETWORKS]
    cases += [(name, False) for name in NETWORKS if name != "nested"]  # no Chain
    return pytest.mark.parametrize(
        ("name", "transductive"),
        cases,
        ids=lambda value: {True: "all", False: "reference"}.get(value, value),
    )


def task_params(module):
    """Other weights for every task, each a leaf of the graph."""
    return {
        name: (
            leaf + 0.1 * torch.randn(N_TASKS, *leaf.shape, generator=seeded(4)).to(leaf)
        ).requires_grad_()
        for name, leaf in module_params(module).items()
    }


def gap(some, exact):
    return ((some.double() - exact.double()).norm() / exact.double().norm()).item()


@norm_and_transduction()
def test_outputs_and_gradients_are_the_same(name, transductive):
    task = problem(name, transductive=transductive)
    results = {}
    for execution, make in EXECUTIONS.items():
        params = task_params(task.module)
        x = task.query[0].clone().requires_grad_()
        options = {} if transductive else {"reference": SUPPORT}
        outputs = make(task.module)(params, x, **options)
        grads = torch.autograd.grad(outputs.sigmoid().square().sum(), [x, *params.values()])
        results[execution] = outputs, grads
    outputs, grads = results.pop("looped")
    assert outputs.shape == (N_TASKS, QUERY if transductive else SUPPORT + QUERY, WAYS)
    largest = max(grad.norm() for grad in grads)
    for others, same in results.values():
        assert gap(others, outputs) < 1e-12
        for mine, expected in zip(same, grads, strict=True):
            # A bias before batch statistics has no gradient but for rounding.
            assert (mine - expected).norm() < 1e-10 * largest


@norm_and_transduction()
def test_second_order_meta_gradients_are_the_same(name, transductive):
    task = problem(name, transductive=transductive)
    loss, exact = task.meta_gradient(looped)
    for execution in (vectorized, folded):
        same_loss, same = task.meta_gradient(execution)
        assert same_loss.item() == pytest.approx(loss.item(), rel=1e-12)
        assert gap(same, exact) < 1e-9


@norm_and_transduction()
def test_second_order_meta_gradients_in_single_precision(name, transductive):
    _, exact = problem(name, transductive=transductive).meta_gradient(looped)
    task = problem(name, torch.float32, transductive=transductive)
    for execution in EXECUTIONS.values():
        assert gap(task.meta_gradient(execution)[1], exact) < 1e-4


@norm_and_transduction()
def test_meta_gradient_equals_a_difference_quotient(name, transductive):
    task = problem(name, transductive=transductive)
    meta = MAML_2.init(module_params(task.module))
    direction = {
        n: torch.randn(leaf.shape, generator=seeded(i), dtype=leaf.dtype)
        for i, (n, leaf) in enumerate(meta.items())
    }
    length = flat(direction).norm()
    support, query = task.losses(folded)

    def value(step):  # so short a step that no ReLU and no maximum changes sides
        moved = {n: leaf + step * direction[n] / length for n, leaf in meta.items()}
        return query(MAML_2.adapt(moved, support, N_TASKS)).mean().item()

    slope = (value(1e-7) - value(-1e-7)) / 2e-7
    _, grads = task.meta_gradient(folded)
    assert (grads @ flat(direction) / length).item() == pytest.approx(slope, rel=2e-6, abs=1e-8)
    # The first-order gradient would fail.
    _, first_order = task.meta_gradient(folded, FOMAML(0.4, 2))
    assert abs((first_order - grads) @ flat(direction) / length) > 1e-4


@pytest.mark.parametrize("execution", EXECUTIONS.values(), ids=EXECUTIONS)
def test_activations_in_place_change_nothing(execution):
    task = problem("max")
    _, expected = task.meta_gradient(execution)
    layers = [
        (name, nn.ReLU(inplace=True) if isinstance(layer, nn.ReLU) else layer)
        for name, layer in task.module.named_children()
    ]
    module = Chain(OrderedDict(layers))
    before = task.support[0].clone()
    _, grads = Problem(module, task.support, task.query, None).meta_gradient(execution)
    assert torch.equal(grads, expected)
    assert torch.equal(task.support[0], before)


@pytest.mark.parametrize("execution", EXECUTIONS.values(), ids=EXECUTIONS)
def test_the_modules_own_parameters_are_not_used(execution):
    task = problem("stride")
    params = {name: leaf.detach() for name, leaf in task_params(task.module).items()}
    forward = execution(task.module)
    before = forward(params, task.query[0])
    with torch.no_grad():
        for leaf in task.module.parameters():
            leaf.fill_(torch.nan)
    assert torch.equal(forward(params, task.query[0]), before)


def test_vectorized_in_chunks_of_tasks():
    task = problem("average")
    params = task_params(task.module)
    whole, parts = (vectorized(task.module, size)(params, task.query[0]) for size in (None, 2))
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["max", "average"])
def test_many_folded_iterations_keep_no_tensor_alive(name):
    task = problem(name, torch.float32)

    def iterate(n):
        for _ in range(n):
            task.meta_gradient(folded)
        return sum(issubclass(type(item), torch.Tensor) for item in gc.get_objects())

    gc.collect()
    gc.disable()  # a cycle of tensors would hold memory until a collection happens to run
    try:
        few, many = iterate(2), iterate(10)
    finally:
        gc.enable()
    assert many <= few


@pytest.mark.parametrize("execution", [looped, vectorized])
def test_a_reference_that_would_be_dropped_is_refused(execution):
    forward, x = execution(nn.Sequential(BatchNorm(2))), torch.randn(2, 4, 2, generator=seeded())
    params = {"0.weight": torch.ones(2, 2), "0.bias": torch.zeros(2, 2)}
    rule = rf"'reference' parameter of {execution.__name__}.*no Chain.*Got 3 instead\. Build"
    with pytest.raises(InvalidParameterError, match=rule):
        forward(params, x, reference=3)
    assert forward(params, x).shape == x.shape


@pytest.mark.parametrize("outer", [Chain, nn.Sequential])
@pytest.mark.parametrize("inner", [Chain, nn.Sequential])
def test_a_nested_reference_is_used_or_refused_by_every_execution(outer, inner):
    module = outer(inner(BatchNorm(2)), nn.ReLU()).double()
    params = task_params(module)
    x = torch.randn(N_TASKS, 6, 2, generator=seeded(), dtype=torch.float64)
    expected = torch.stack(
        [
            Chain(nn.Identity(), BatchNorm(2))(t, 4) * w + b
            for t, w, b in zip(x, *params.values(), strict=True)
        ]
    ).relu()
    for execution in EXECUTIONS.values():
        try:
            outputs = execution(module)(params, x, reference=4)
        except InvalidParameterError:
            assert nn.Sequential in {outer, inner}
        else:
            torch.testing.assert_close(outputs, expected)


@pytest.mark.parametrize("reference", [0, -1])
@pytest.mark.parametrize("execution", EXECUTIONS.values(), ids=EXECUTIONS)
def test_a_reference_without_items_is_refused(execution, reference):
    task = problem("stride")
    with pytest.raises(InvalidParameterError, match=f"'reference'.*>= 1.*Got {reference} instead"):
        execution(task.module)(task_params(task.module), task.query[0], reference=reference)


def test_vectorized_refuses_batch_norm_of_torch():
    module = Chain(nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)))
    with pytest.raises(InvalidParameterError, match=r"BatchNorm2d at '0\.0'"):
        vectorized(module)
    looped(module)  # right, task by task
    vectorized(Chain(BatchNorm(2)))


def test_folded_names_the_layer_that_it_cannot_fold():
    module = nn.Sequential(OrderedDict(body=nn.Sequential(nn.ReLU(), nn.GroupNorm(1, 2))))
    with pytest.raises(
        InvalidParameterError, match=r"'module' parameter of folded.*GroupNorm at 'body\.1'"
    ):
        folded(module)
