import pytest
import torch

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn import FOMAML, MAML, MAMLPlusPlus, Scheduled
from automl_meta.metalearn.outer import through_the_inner_loop

T = 3  # tasks of the family fixture
PLUS = MAMLPlusPlus(0.1, 3, norm="bias", multi_step_until=0.5)


def varied(meta):
    """Make every step different."""
    generator = torch.Generator().manual_seed(2)
    return {
        name: leaf * (1 + 0.3 * torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype))
        for name, leaf in meta.items()
    }


def test_gradient_of_the_multi_step_loss_equals_central_differences(family):
    plus = PLUS.at(0.2)
    meta = varied(plus.init(family.params))
    loss, grads = plus.meta_gradients(meta, family.support, family.query, T)

    def after(changed, steps):
        return family.query(plus.adapt(changed, family.support, T, steps=steps)).mean().item()

    def value(changed):
        return sum(w * after(changed, s + 1) for s, w in enumerate(plus.loss_weights()))

    assert loss.item() == pytest.approx(after(meta, 3), rel=1e-12)
    for name, leaf in meta.items():
        for entry in range(leaf.numel()):
            nudge = torch.zeros_like(leaf)
            nudge.view(-1)[entry] = 1e-6
            slope = (value(meta | {name: leaf + nudge}) - value(meta | {name: leaf - nudge})) / 2e-6
            assert grads[name].view(-1)[entry].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_weights_of_the_steps_move_to_the_last_one():
    assert PLUS.at(0.0).loss_weights() == pytest.approx((1 / 3,) * 3)
    # Half way: the early ones have lost half of 1/3.
    assert PLUS.at(0.25).loss_weights() == pytest.approx((1 / 6, 1 / 6, 2 / 3))
    # Just before the end: the authors' least value, 0.03 / S.
    assert PLUS.at(0.4999).loss_weights() == pytest.approx((0.01, 0.01, 0.98))
    assert PLUS.at(0.5).loss_weights() == PLUS.loss_weights() == (0, 0, 1)
    assert MAMLPlusPlus(steps=1).at(0.0).loss_weights() == (1,)


def test_after_annealing_it_is_the_last_steps_loss(family):
    meta = varied(PLUS.init(family.params))
    ours = PLUS.at(0.7).meta_gradients(meta, family.support, family.query, T)
    last = through_the_inner_loop(PLUS, meta, family.support, family.query, T)
    early = PLUS.at(0.1).meta_gradients(meta, family.support, family.query, T)
    assert torch.equal(ours[0], last[0])
    for name in meta:
        torch.testing.assert_close(ours[1][name], last[1][name], rtol=1e-12, atol=1e-14)
    assert (early[1]["weights.first"] - last[1]["weights.first"]).abs().max() > 1e-4


@pytest.mark.parametrize(("progress", "other"), [(0.1, FOMAML), (0.4, MAML)])
def test_order_of_derivatives_follows_the_training(progress, other, family):
    plus = MAMLPlusPlus(0.1, 3, multi_step_until=0.0, first_order_until=0.3).at(progress)
    meta, plain = plus.init(family.params), other(0.1, 3).init(family.params)
    loss, grads = plus.meta_gradients(meta, family.support, family.query, T)
    expected_loss, expected = other(0.1, 3).meta_gradients(plain, family.support, family.query, T)
    torch.testing.assert_close(loss, expected_loss)
    for name, grad in expected.items():
        torch.testing.assert_close(grads[name], grad, rtol=1e-10, atol=1e-12)
    # The rates learn in both parts of the training, at every step.
    assert all(grads[n].abs().min() > 1e-6 for n in grads if n.startswith("rates."))


def test_every_step_has_its_own_normalisation_which_does_not_adapt(family):
    meta = varied(PLUS.init(family.params))
    bias = meta["weights.bias"]
    assert bias.shape == (3, 4)
    for steps, used in ((0, 0), (1, 0), (2, 1), (3, 2), (5, 2)):
        adapted = PLUS.adapt(meta, family.support, T, steps=steps)
        assert torch.equal(adapted["bias"], bias[used].expand(T, 4))
    _, grads = PLUS.meta_gradients(meta, family.support, family.query, T)
    assert (grads["weights.bias"].abs() > 1e-7).all()


def test_steps_beyond_the_last_use_its_rates(family):
    plus = MAMLPlusPlus(0.1, 2, norm="none")
    meta = plus.init(family.params)
    changed = meta | {
        name: meta[name] * torch.tensor([1.0, 0.5]) for name in meta if "rates" in name
    }
    ours = plus.adapt(changed, family.support, T, steps=3)
    half = MAML(0.1, 1).adapt(MAML(0.1).init(family.params), family.support, T)
    # The rest is plain descent at half the rate, from each task's own weights.
    from automl_meta.metalearn.inner import descend

    theirs = descend(half, 0.05, family.support, T, 2)
    for name, leaf in theirs.items():
        torch.testing.assert_close(ours[name], leaf, rtol=1e-12, atol=1e-14)


def test_bad_settings_and_foreign_meta_parameters_are_refused(family):
    for name in ("multi_step_until", "first_order_until", "progress"):
        with pytest.raises(InvalidParameterError, match=name):
            MAMLPlusPlus(**{name: 1.5})
    with pytest.raises(InvalidParameterError, match="each of 3 steps"):
        PLUS.adapt(MAMLPlusPlus(0.1, 2, norm="bias").init(family.params), family.support, T)
    with pytest.raises(InvalidParameterError, match="each of 3 steps"):
        PLUS.adapt(MAML(0.1).init(family.params), family.support, T)
    assert isinstance(PLUS, Scheduled)
    assert not isinstance(MAML(0.1), Scheduled)
