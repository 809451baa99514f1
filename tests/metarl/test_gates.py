import torch

from automl_meta.metarl.gates import gated_update


def written_out(seen, kept, before):
    parts = [piece.chunk(3, dim=1) for piece in (seen, kept)]
    reset, keep = (torch.sigmoid(parts[0][i] + parts[1][i]) for i in (0, 1))
    new = torch.tanh(parts[0][2] + reset * parts[1][2])
    return keep * before + (1 - keep) * new


def drawn(rng):
    shapes = [(5, 9), (5, 9), (5, 3)]
    return [torch.randn(s, generator=rng, dtype=torch.float64).requires_grad_() for s in shapes]


def test_the_value_and_the_derivative_are_those_of_autograd(rng):
    arguments, weights = drawn(rng), torch.randn(5, 3, generator=rng, dtype=torch.float64)
    ours, theirs = gated_update(*arguments), written_out(*arguments)
    assert torch.allclose(ours, theirs, atol=1e-12)
    pairs = zip(
        torch.autograd.grad((ours * weights).sum(), arguments),
        torch.autograd.grad((theirs * weights).sum(), arguments),
        strict=True,
    )
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in pairs)


def test_the_derivative_is_that_of_finite_differences(rng):
    assert torch.autograd.gradcheck(gated_update, drawn(rng))
