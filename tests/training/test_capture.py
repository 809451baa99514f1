"""What is captured draws on, and gives what it would give uncaptured; the rest is in tests/fewshot/test_capture.py."""

import pytest
import torch

from automl_meta.training.capture import Captured


def noisy(generator):
    """Return a gradient that draws twice from ``generator``."""

    def gradient(params, scale):
        w = params["w"]
        first = torch.rand(w.shape, generator=generator, device=w.device)
        second = torch.rand(w.shape, generator=generator, device=w.device)
        return (w * first * scale).sum() + second.sum(), {"w": first * scale + second}

    return gradient


def run(function, device):
    found = []
    for step in range(4):
        params = {"w": torch.full((5,), 1.0 + step, device=device)}
        found.append(function(params, torch.tensor(0.5 * step, device=device)))
    return found


def check_draws_like_the_gradient(device):
    mine, theirs = (torch.Generator(device).manual_seed(3) for _ in range(2))
    captured = Captured(noisy(mine), mine)
    torch.testing.assert_close(run(captured, device), run(noisy(theirs), device))
    assert torch.equal(mine.get_state(), theirs.get_state())
    losses = [loss.item() for loss, _ in run(captured, device)]
    assert len(set(losses)) == len(losses)
    # A state that is set back, as a resumed run does, gives the same draws again.
    state = mine.get_state()
    first = run(captured, device)
    mine.set_state(state)
    torch.testing.assert_close(run(captured, device), first)
    return captured


def test_a_processor_computes_as_it_did():
    assert not check_draws_like_the_gradient("cpu").is_captured


@pytest.mark.gpu
def test_replays_draw_what_the_gradient_would_have_drawn():
    assert check_draws_like_the_gradient("cuda").is_captured


@pytest.mark.gpu
def test_after_a_failed_capture_the_draws_go_on(caplog):
    mine, theirs = (torch.Generator("cuda").manual_seed(3) for _ in range(2))

    def looks_at_a_value(generator):
        inner = noisy(generator)

        def gradient(params, scale):
            loss, grads = inner(params, scale)
            return loss + loss.item(), grads  # waits for the GPU, which a capture forbids

        return gradient

    captured = Captured(looks_at_a_value(mine), mine)
    torch.testing.assert_close(run(captured, "cuda"), run(looks_at_a_value(theirs), "cuda"))
    assert not captured.is_captured
    assert "no CUDA graph" in caplog.text
