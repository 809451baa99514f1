import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import MAML, MetaSGD, expand

T = 3  # tasks of the family fixture
FORMS = [("entry", False), ("tensor", False), ("entry", True), ("tensor", True)]
forms = pytest.mark.parametrize(("granularity", "per_step"), FORMS)


@forms
@pytest.mark.parametrize("steps", [1, 4])
def test_equal_rates_are_maml(steps, granularity, per_step, family):
    maml, sgd = MAML(0.07, steps), MetaSGD(0.07, steps, granularity, per_step)
    plain, learned = maml.init(family.params), sgd.init(family.params)
    ours = sgd.adapt(learned, family.support, T)
    theirs = maml.adapt(plain, family.support, T)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    loss, grads = sgd.meta_gradients(learned, family.support, family.query, T)
    maml_loss, maml_grads = maml.meta_gradients(plain, family.support, family.query, T)
    assert torch.equal(loss, maml_loss)
    assert all(torch.equal(grads[name], maml_grads[name]) for name in maml_grads)


@forms
def test_a_rate_of_zero_is_not_dead(granularity, per_step, family):
    sgd = MetaSGD(0.1, 2, granularity, per_step)
    start = sgd.init(family.params)
    meta = {k: torch.zeros_like(v) if k.startswith("rates.") else v for k, v in start.items()}
    for _ in range(3):
        _, grads = sgd.meta_gradients(meta, family.support, family.query, T)
        meta = {name: leaf - 0.01 * grads[name] for name, leaf in meta.items()}
    for name in [name for name in meta if name.startswith("rates.")]:
        # Every single one: each entry, and each step.
        assert grads[name].abs().min() > 1e-6, name
        assert meta[name].abs().min() > 1e-6, name


def test_rates_of_one_tensor_get_the_sum_of_its_entries_gradients(family):
    _, entries = (a := MetaSGD(0.1, 2)).meta_gradients(
        a.init(family.params), family.support, family.query, T
    )
    _, tensors = (b := MetaSGD(0.1, 2, "tensor", per_step=True)).meta_gradients(
        b.init(family.params), family.support, family.query, T
    )
    for name in ("rates.first", "rates.bias", "rates.second"):
        torch.testing.assert_close(tensors[name].sum(), entries[name].sum())


# S_t = a_t/2 (w - c_t)^2, Q_t = 1/2 (w - q_t)^2 with w = 1, worked out by hand.
CURVATURE = torch.tensor([1.0, 2.0], dtype=torch.float64)
CENTRE = torch.tensor([3.0, -1.0], dtype=torch.float64)
TARGET = torch.tensor([2.0, 0.0], dtype=torch.float64)
START = {"w": torch.tensor(1.0, dtype=torch.float64)}


def quadratic_support(params):
    return CURVATURE / 2 * (params["w"] - CENTRE).square()


def quadratic_query(params):
    return (params["w"] - TARGET).square() / 2


def test_golden_rate_gradient():
    sgd = MetaSGD(0.25)
    _, grads = sgd.meta_gradients(sgd.init(START), quadratic_support, quadratic_query, 2)
    # d phi_t / d alpha = -a_t (w - c_t) = 2 and -4; times (phi_t - q_t) = -0.5 and 0; mean -0.5
    assert grads["rates.w"].item() == pytest.approx(-0.5)
    assert grads["weights.w"].item() == pytest.approx(-0.1875)


def test_every_step_uses_its_own_rate_and_later_ones_the_last():
    sgd = MetaSGD(0.25, 2, per_step=True)
    meta = sgd.init(START) | {"rates.w": torch.tensor([0.5, 0.25], dtype=torch.float64)}
    # task 1: 1 -> 2 -> 2.25 -> 2.4375; task 2: 1 -> -1 -> -1
    for steps, first in ((0, 1.0), (1, 2.0), (2, 2.25), (3, 2.4375)):
        phi = sgd.adapt(meta, quadratic_support, 2, steps=steps)["w"]
        assert phi.tolist() == [first, 1.0 if steps == 0 else -1.0]


def test_bad_settings_and_foreign_meta_parameters_are_refused(family):
    with pytest.raises(InvalidParameterError, match="'entry' or 'tensor'"):
        MetaSGD(0.1, granularity="layer")
    meta = MetaSGD(0.1, 2, "tensor").init(family.params)
    for other in (MetaSGD(0.1, 2), MetaSGD(0.1, 2, "tensor", per_step=True)):
        with pytest.raises(InvalidParameterError, match=r"rates\.NAME"):
            other.adapt(meta, family.support, T)
    with pytest.raises(InvalidParameterError, match=r"rates\.NAME"):
        MetaSGD(0.1).adapt(MAML(0.1).init(family.params), family.support, T)
    assert set(MetaSGD(0.1).adapt(MetaSGD(0.1).init(family.params), family.support, T)) == set(
        expand(family.params, T)
    )
