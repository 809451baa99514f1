import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import ANIL, BOIL, MAML, ContextAdaptation, expand

T = 3  # tasks of the family fixture


def central_difference(algorithm, family, meta, name, direction):
    """Slope of the mean query loss after adaptation along a direction, without autograd's outer loop."""

    def value(sign):
        moved = meta | {name: meta[name] + sign * 1e-6 * direction}
        return family.query(algorithm.adapt(moved, family.support, T)).mean().item()

    return (value(1) - value(-1)) / 2e-6


@pytest.mark.parametrize(
    "algorithm",
    [
        ANIL(0.1, 2, head="second"),
        BOIL(0.1, 2, head="second"),
        ContextAdaptation(0.1, 2, context="bias"),
        ContextAdaptation(0.1, 2, context="bias", learned_start=True),
    ],
    ids=lambda a: f"{type(a).__name__}-{getattr(a, 'learned_start', '')}",
)
def test_the_meta_gradient_equals_central_differences(family, algorithm):
    meta = algorithm.init(family.params)
    loss, grads = algorithm.meta_gradients(meta, family.support, family.query, T)
    adapted = algorithm.adapt(meta, family.support, T)
    assert loss.item() == pytest.approx(family.query(adapted).mean().item(), rel=1e-12)
    for name, leaf in meta.items():
        direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(1)).to(leaf)
        slope = (grads[name] * direction).sum().item()
        expected = central_difference(algorithm, family, meta, name, direction)
        assert slope == pytest.approx(expected, rel=1e-6, abs=1e-8), name


def test_boil_moves_all_but_the_head_which_learns_all_the_same(family):
    boil = BOIL(0.1, 3, head="second")
    meta = boil.init(family.params)
    adapted, start = boil.adapt(meta, family.support, T), expand(family.params, T)
    assert torch.equal(adapted["second"], start["second"])
    for name in ("first", "bias"):
        assert (adapted[name] - start[name]).abs().min() > 1e-5
    _, grads = boil.meta_gradients(meta, family.support, family.query, T)
    assert all(grad.abs().max() > 1e-3 for grad in grads.values())


def test_body_and_head_together_make_mamls_first_step(family):
    maml = MAML(0.1).adapt(MAML(0.1).init(family.params), family.support, T)
    for algorithm, moved in (
        (BOIL(0.1, head="second"), ("first", "bias")),
        (ANIL(0.1, head="second"), ("second",)),
    ):
        adapted = algorithm.adapt(algorithm.init(family.params), family.support, T)
        for name in moved:
            torch.testing.assert_close(adapted[name], maml[name])


def test_cavia_starts_every_task_from_zero_and_never_learns_the_start(family):
    cavia = ContextAdaptation(0.1, 2, context="bias")
    meta = cavia.init(family.params)
    assert list(meta) == [f"weights.{name}" for name in family.params]
    assert not meta["weights.bias"].any()
    elsewhere = meta | {"weights.bias": meta["weights.bias"] + 5.0}
    here, there = (cavia.adapt(m, family.support, T)["bias"] for m in (meta, elsewhere))
    assert torch.equal(here, there)
    _, grads = cavia.meta_gradients(meta, family.support, family.query, T)
    assert not grads["weights.bias"].any()
    assert grads["weights.first"].abs().max() > 1e-3


def test_a_learned_start_is_where_tasks_begin(family):
    prompts = ContextAdaptation(0.1, 2, context="bias", learned_start=True)
    meta = prompts.init(family.params)
    start = prompts.adapt(meta, family.support, T, steps=0)
    assert torch.equal(start["bias"], expand(family.params, T)["bias"])
    _, grads = prompts.meta_gradients(meta, family.support, family.query, T)
    assert grads["weights.bias"].abs().max() > 1e-3


@pytest.mark.parametrize(
    "algorithm", [BOIL(0.1, 2, head="second"), ContextAdaptation(0.1, 2, "bias")]
)
def test_one_task_knows_nothing_of_another_and_no_graph_is_left(family, algorithm):
    meta = {n: leaf.requires_grad_() for n, leaf in algorithm.init(family.params).items()}
    together = algorithm.adapt(meta, family.support, T)
    assert not any(leaf.requires_grad for leaf in together.values())
    for task in range(T):
        alone = algorithm.adapt(meta, family.one("support", task), 1)
        for name, leaf in alone.items():
            torch.testing.assert_close(leaf[0], together[name][task])


def test_names_that_are_not_there_are_refused(family):
    with pytest.raises(InvalidParameterError, match="'head' parameter of BOIL"):
        BOIL(0.1).init(family.params)
    with pytest.raises(InvalidParameterError, match="'context' parameter of ContextAdaptation"):
        ContextAdaptation(0.1).init(family.params)
    with pytest.raises(InvalidParameterError, match="'rate' parameter of BOIL"):
        BOIL(0.0)
    with pytest.raises(InvalidParameterError, match="'steps' parameter of ContextAdaptation"):
        ContextAdaptation(0.1, 0)


def _lines(generator, n_tasks=8):
    """Make straight lines: losses on ten points to adapt on and ten others, of a network linear in its context."""
    slope, height = (2 * torch.rand(2, n_tasks, 1, generator=generator) - 1).unbind()
    x = 2 * torch.rand(n_tasks, 20, generator=generator) - 1
    y = slope * x + height

    def on(part):
        features = torch.stack([x[:, part], torch.ones_like(x[:, part])], dim=2)

        def loss(params):
            told = params["context"].unsqueeze(1) @ params["weight"]
            return ((features * told).sum(2) - y[:, part]).square().mean(1)

        return loss

    return on(slice(0, 10)), on(slice(10, 20)), n_tasks


def test_meta_training_makes_a_few_numbers_tell_a_line():
    generator = torch.Generator().manual_seed(0)
    algorithm = ContextAdaptation(0.5, 1, context="context")
    start = {"context": torch.zeros(3), "weight": 0.3 * torch.randn(3, 2, generator=generator)}
    meta = algorithm.init(start)
    support, query, n = _lines(torch.Generator().manual_seed(101), 64)

    def judge(meta, steps=None):
        return query(algorithm.adapt(meta, support, n, steps=steps)).mean().item()

    untrained = judge(meta)
    for _ in range(200):
        _, grads = algorithm.meta_gradients(meta, *_lines(generator))
        meta = {name: leaf - 0.1 * grads[name] for name, leaf in meta.items()}
    # No network without adaptation can be good on average: slopes and heights cancel.
    assert judge(meta) < 0.3 * untrained
    assert judge(meta) < 0.2 * judge(meta, steps=0)
