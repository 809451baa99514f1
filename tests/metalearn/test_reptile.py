"""Reptile's direction, and an inner Adam whose second moments are carried from task to task."""

import math

import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import Reptile, StepLoss

# On S_t = a_t/2 (w - c_t)^2, Q_t = 1/2 (w - q_t)^2 with w = 1, worked out by hand.
CURVATURE = torch.tensor([1.0, 2.0], dtype=torch.float64)
CENTRE = torch.tensor([3.0, -1.0], dtype=torch.float64)
TARGET = torch.tensor([2.0, 0.0], dtype=torch.float64)
START = {"w": torch.tensor(1.0, dtype=torch.float64)}


def support(params):
    return CURVATURE / 2 * (params["w"] - CENTRE).square()


def query(params):
    return (params["w"] - TARGET).square() / 2


def one(slope):
    """A loss of one task with the same gradient everywhere."""
    return lambda params: slope * params["w"]


def test_direction_by_hand():
    reptile = Reptile(0.25, steps=2)
    # task 1: 1 -> 1.5 -> 1.875; task 2: 1 -> 0 -> -0.5; mean 0.6875
    loss, grads = reptile.meta_gradients(reptile.init(START), support, query, 2)
    assert grads["weights.w"].item() == pytest.approx(1 - 0.6875)
    assert loss.item() == pytest.approx(((1.875 - 2) ** 2 / 2 + 0.5**2 / 2) / 2)


def test_the_first_step_of_all_is_the_sign_and_the_second_by_hand():
    reptile = Reptile(0.1, beta2=0.5)
    meta = reptile.init(START)
    first = reptile.adapt(meta, support, 2, steps=1)["w"]
    torch.testing.assert_close(first, torch.tensor([1.1, 0.9], dtype=torch.float64))
    second = reptile.adapt(meta, support, 2, steps=2)["w"]
    # task 1: g = -2, then -1.9; v = (0.5 * 0.5 * 4 + 0.5 * 3.61) / 0.75
    moment = (0.25 * 4 + 0.5 * 1.9**2) / 0.75
    assert second[0].item() == pytest.approx(1.1 + 0.1 * 1.9 / math.sqrt(moment), rel=1e-7)


def test_moments_are_carried_from_one_meta_batch_to_the_next():
    reptile = Reptile(0.1, steps=1, beta2=0.5)
    meta = reptile.init(START)
    _, direction = reptile.meta_gradients(meta, one(4.0), one(4.0), 1)
    # An outer step of size 1 goes all the way: v = (1 - 0.5) 16, seen = 1 - 0.5.
    meta = {name: leaf - direction[name] for name, leaf in meta.items()}
    assert meta["weights.w"].item() == pytest.approx(1 - 0.1)
    assert meta["moments.w"].item() == pytest.approx(8.0)
    assert meta["seen"].item() == pytest.approx(0.5)
    # The next task's gradient of 1 is small beside what was seen: v = 0.5 * 8 + 0.5 * 1, seen = 0.75.
    adapted = reptile.adapt(meta, one(1.0), 1)["w"].item()
    assert adapted == pytest.approx(0.9 - 0.1 / math.sqrt(4.5 / 0.75), rel=1e-7)


def test_moments_of_a_meta_batch_are_the_mean_over_its_tasks():
    reptile = Reptile(0.1, steps=1, beta2=0.5)
    meta = reptile.init(START)
    slopes = torch.tensor([4.0, 2.0], dtype=torch.float64)
    _, direction = reptile.meta_gradients(meta, one(slopes), one(slopes), 2)
    assert direction["moments.w"].item() == pytest.approx(-(0.5 * 16 + 0.5 * 4) / 2)


def test_a_shorter_outer_step_leaves_the_bias_correction_right():
    # v and seen move together, so a constant gradient always has the root mean square that it has.
    reptile = Reptile(0.1, steps=3, beta2=0.9)
    meta = reptile.init(START)
    for rate in (1.0, 0.5, 0.1):
        before = meta["weights.w"].item()
        adapted = reptile.adapt(meta, one(3.0), 1, steps=1)["w"].item()
        assert adapted == pytest.approx(before - 0.1, rel=1e-6)
        _, direction = reptile.meta_gradients(meta, one(3.0), one(3.0), 1)
        meta = {name: leaf - rate * direction[name] for name, leaf in meta.items()}


def test_each_step_has_its_own_minibatch():
    loss = StepLoss(lambda step: one(1.0 if step == 0 else -1.0))
    reptile = Reptile(0.1, steps=2, beta2=0.9)
    adapted = reptile.adapt(reptile.init(START), loss, 1)["w"].item()
    assert adapted == pytest.approx(1.0, rel=1e-6)


def test_an_entry_without_gradient_stays_where_it_is():
    start = {"used": torch.ones(1), "unused": torch.ones(1)}
    reptile = Reptile(0.1, beta2=0.999)
    adapted = reptile.adapt(reptile.init(start), lambda params: params["used"][:, 0], 1)
    assert adapted["unused"].item() == 1.0
    assert adapted["used"].item() < 1.0


def test_meta_parameters_of_another_kind_are_refused():
    plain, adam = Reptile(0.1), Reptile(0.1, beta2=0.9)
    with pytest.raises(InvalidParameterError, match="second moments and 'seen'"):
        adam.adapt(plain.init(START), support, 2)
    with pytest.raises(InvalidParameterError, match=r"Make it with Algorithm\.init"):
        plain.adapt(adam.init(START), support, 2)
