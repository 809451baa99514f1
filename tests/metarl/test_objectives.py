"""A single choice between two arms, where every expectation is a sum over what may be drawn."""

from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from torch.autograd.functional import jacobian

from automl_meta.exceptions import InvalidParameterError
from automl_meta.metalearn.params import expand
from automl_meta.metarl.adaptation import AdaptingPolicy, Rollouts
from automl_meta.metarl.objectives import CreditedExploration, PolicyGradient, Proximal, Stage
from automl_meta.metarl.samples import Sample

REWARDS = torch.tensor([1.0, 0.2], dtype=torch.float64)
THETA = torch.tensor([0.4, -0.3], dtype=torch.float64)
RATE, EPISODES = 2.0, 2
#: Everything that two pulls before the adaptation may be.
PULLS = torch.tensor(list(product(range(2), repeat=EPISODES)))


def sample_of(policy, params, actions, weights, returns):
    observations = torch.zeros(*actions.shape, 1, dtype=torch.float64)
    drawn_from = policy.actions(params, observations)
    logs = drawn_from.log_prob(actions)
    ones = torch.ones(len(actions), dtype=torch.float64)
    n_steps = ones * actions.shape[1]
    return Sample(
        observations,
        actions,
        REWARDS[actions],
        weights,
        drawn_from,
        logs,
        n_steps,
        returns,
        ones,
        returns,
    )


def rollouts_of_all(policy, objective):
    """Return what may happen, a task for each: its pulls, then both arms with their probabilities."""
    n = len(PULLS)
    adapting = AdaptingPolicy(policy, objective, RATE)
    start = expand({"logits": THETA}, n)
    pulled = torch.full(PULLS.shape, 1 / EPISODES, dtype=torch.float64)
    before = sample_of(policy, start, PULLS, pulled, torch.zeros(n, dtype=torch.float64))
    adapted = adapting.adapted(start, before)
    shares = adapted["logits"].softmax(1)
    both = torch.arange(2).expand(n, 2)
    return Rollouts((before,), sample_of(policy, adapted, both, shares, shares @ REWARDS))


def expected_return_after(theta):
    """Return the expected return after one step from two pulls, over both pulls and what follows."""
    total = 0.0
    for pulls in PULLS:
        logs = theta.log_softmax(0)
        # The step by hand: grad log pi(a) = e_a - pi.
        scores = torch.eye(2, dtype=torch.float64)[pulls] - theta.softmax(0)
        phi = theta + RATE * (REWARDS[pulls].unsqueeze(1) * scores).mean(0)
        total = total + logs[pulls].sum().exp() * (phi.softmax(0) @ REWARDS)
    return total


@dataclass(frozen=True)
class Averaged:
    """An objective whose mean over tasks is the expectation over what theta draws."""

    base: object

    def inner(self, stage):
        return self.base.inner(stage)

    def outer(self, before, after, /):
        shares = THETA.log_softmax(0)[PULLS].sum(1).exp()
        return len(PULLS) * shares * self.base.outer(before, after)


def expected_gradient(policy, objective):
    averaged = Averaged(objective)
    rollouts = rollouts_of_all(policy, averaged)
    _, grads = AdaptingPolicy(policy, averaged, RATE).meta_gradient({"logits": THETA}, rollouts)
    return -grads["logits"]


def test_credited_exploration_has_the_whole_gradient(table_policy):
    """Its expectation is the derivative of the expected return, exactly; that of MAML is not."""
    true = jacobian(expected_return_after, THETA)
    # The mean of the others, where the others are all that may happen, scales the credit by n / (n - 1).
    n = len(PULLS)
    found = expected_gradient(table_policy, CreditedExploration(weight=(n - 1) / n))
    assert torch.allclose(found, true, atol=1e-12)
    lacking = true - expected_gradient(table_policy, PolicyGradient())
    assert lacking.norm() > 0.1 * true.norm()


def test_without_weight_it_is_maml(table_policy):
    plain = expected_gradient(table_policy, PolicyGradient())
    assert torch.equal(expected_gradient(table_policy, CreditedExploration(weight=0.0)), plain)


def test_proximal_is_the_gradient_through_the_expected_step(table_policy):
    """With both arms weighted by their probabilities the inner step is that of the expected return."""
    objective = Proximal()
    start = {"logits": THETA.unsqueeze(0)}
    both, shares = torch.arange(2).unsqueeze(0), THETA.softmax(0).unsqueeze(0)
    before = sample_of(table_policy, start, both, shares, torch.zeros(1, dtype=torch.float64))
    adapting = AdaptingPolicy(table_policy, objective, RATE)
    adapted = adapting.adapted(start, before)
    after_shares = adapted["logits"].softmax(1)
    after = sample_of(table_policy, adapted, both, after_shares, after_shares @ REWARDS)
    _, grads = adapting.meta_gradient({"logits": THETA}, Rollouts((before,), after))

    def objective_after_the_step(theta):
        shares = theta.softmax(0)
        step = shares * (REWARDS - shares @ REWARDS)
        return (theta + RATE * step).softmax(0) @ REWARDS

    true = jacobian(objective_after_the_step, THETA)
    assert torch.allclose(-grads["logits"], true, atol=1e-12)
    # The curvature of MAML's inner surrogate is another one.
    plain = AdaptingPolicy(table_policy, PolicyGradient(), RATE)
    _, others = plain.meta_gradient({"logits": THETA}, Rollouts((before,), after))
    assert not torch.allclose(-others["logits"], true, rtol=0.05)


def test_the_divergence_holds_the_policy_that_explores(table_policy):
    params = {"logits": THETA.unsqueeze(0)}
    moved = {"logits": torch.tensor([[1.4, -0.3]], dtype=torch.float64)}
    both, halves = torch.arange(2).unsqueeze(0), torch.full((1, 2), 0.5, dtype=torch.float64)
    sample = sample_of(table_policy, params, both, halves, torch.zeros(1, dtype=torch.float64))
    before, after = (
        Stage(sample, table_policy.actions(moved, sample.observations)),
        Stage(sample, sample.drawn_from),
    )
    with_it, without = (Proximal(divergence=eta).outer([before], after) for eta in (0.5, 0.0))
    ours, theirs = THETA.softmax(0), moved["logits"][0].softmax(0)
    divergence = (ours * (ours / theirs).log()).sum().item()
    assert (with_it - without).item() == pytest.approx(0.5 * divergence)


def test_the_outer_clip_is_in_force(table_policy):
    """The good arm's probability has risen by more than the clip: nothing pulls further."""
    params = {"logits": torch.zeros(1, 2, dtype=torch.float64)}
    good = torch.zeros(1, 1, dtype=torch.int64)
    one = torch.ones(1, 1, dtype=torch.float64)
    sample = replace(sample_of(table_policy, params, good, one, one[0]), advantages=one)
    logits = torch.tensor([[1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    stage = Stage(sample, table_policy.actions({"logits": logits}, sample.observations))
    loss = Proximal(clip=0.3).outer([], stage)
    assert loss.item() == pytest.approx(-1.3)
    (grad,) = torch.autograd.grad(loss.sum(), logits)
    assert not grad.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Proximal(clip=0.0), "'clip' parameter of promp must be a finite number > 0"),
        (lambda: Proximal(divergence=-1.0), "'divergence' parameter of promp must be"),
        (lambda: CreditedExploration(-0.1), "'weight' parameter of e-maml must be"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(InvalidParameterError, match=message):
        make()
