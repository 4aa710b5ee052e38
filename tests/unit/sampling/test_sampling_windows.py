"""Whole models pass through an autoencoder of windows unharmed, whatever their length."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mzsane.models import Sane
from mzsane.sampling import decode, encode
from mzsane.sampling import windows as windows_module


def sane(d_token=6, latent=4, **changes):
    settings = {"d_model": 16, "heads": 2, "layers": 1, "window": 8, "positions": "sinusoidal"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Sane(d_token=d_token, latent=latent, **(settings | changes)).eval()


def sequence(models, length, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    places = torch.arange(length)
    positions = torch.stack([places, places // 5, places % 5], dim=1)
    return torch.randn(models, length, width, generator=generator), positions


@pytest.mark.parametrize("length", [1, 5, 8])
def test_a_model_that_fits_one_window_is_one_direct_pass(length):
    model = sane()
    tokens, positions = sequence(3, length)
    batch = positions.expand(3, -1, -1)
    latents = encode(model, tokens, positions, window=8, halo=2)
    with torch.no_grad():
        torch.testing.assert_close(latents, model.encode(tokens, batch))
        torch.testing.assert_close(
            decode(model, latents, positions, window=8, halo=2), model.decode(latents, batch)
        )


class Local(Sane):
    """Sees only its own token and position: windows cannot matter."""

    def encode(self, values, positions, real=None):
        return values * 2 + positions.sum(-1, keepdim=True)

    def decode(self, latents, positions, real=None):
        return (latents - positions.sum(-1, keepdim=True)) / 2


@given(models=st.integers(1, 5), length=st.integers(1, 60), halo=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_every_token_meets_its_own_position_for_every_length(models, length, halo):
    model = Local(6, 16, 2, 1, 4, 8, "sinusoidal")
    tokens, positions = sequence(models, length)
    latents = encode(model, tokens, positions, window=8, halo=halo)
    assert torch.equal(latents, tokens * 2 + positions.sum(-1, keepdim=True))
    torch.testing.assert_close(decode(model, latents, positions, 8, halo), tokens)


@pytest.mark.parametrize("halo", [3, 5])
def test_windows_equal_the_direct_pass_where_no_token_sees_further_than_the_halo(halo):
    """A model whose every pass sees three tokens to either side, and the ends of its input."""

    class Near(Sane):
        def encode(self, values, positions, real=None):
            padded = nn.functional.pad(values.movedim(1, 2), (3, 3))
            return nn.functional.avg_pool1d(padded, 7, 1).movedim(2, 1) + values

        decode = encode

    model = Near(6, 16, 2, 1, 6, 20, "sinusoidal")
    for length in (1, 6, 19, 20, 21, 39, 100, 257):
        tokens, positions = sequence(2, length)
        batch = positions.expand(2, -1, -1)
        latents = encode(model, tokens, positions, 20, halo)
        direct = model.encode(tokens, batch)
        torch.testing.assert_close(latents, direct)
        torch.testing.assert_close(
            decode(model, latents, positions, 20, halo), model.decode(direct, batch)
        )


def test_context_reaches_a_token_from_its_halo_and_no_further():
    model = sane()
    tokens, positions = sequence(1, 40)
    changed = tokens.clone()
    changed[0, 20] += 1.0
    difference = encode(model, changed, positions, 8, 2) - encode(model, tokens, positions, 8, 2)
    touched = difference.abs().amax(-1)[0] > 0
    # contents of four: the window of 20-23 and those whose halo of two reaches token 20
    assert touched.nonzero().flatten().tolist() == list(range(16, 24))


@pytest.mark.parametrize("length", [7, 30])
def test_passes_bound_memory_and_change_nothing(length, monkeypatch):
    model = sane()
    tokens, positions = sequence(9, length)
    whole = encode(model, tokens, positions, 8, 2)
    largest = []

    def spy(values, positions, real):
        largest.append(values.shape[:2].numel())
        return Sane.encode(model, values, positions, real)

    monkeypatch.setitem(windows_module.PASS, "cpu", 34)
    monkeypatch.setattr(model, "encode", spy)
    torch.testing.assert_close(encode(model, tokens, positions, 8, 2), whole)
    assert max(largest) == 34 // min(length, 8) * min(length, 8)


def test_dropout_is_off_gradients_too_and_modes_come_back():
    model = sane(dropout=0.5).train()
    model.encoder.eval()
    before = [module.training for module in model.modules()]
    tokens, positions = sequence(2, 20)
    latents = encode(model, tokens.requires_grad_(), positions, 8, 2)
    assert torch.equal(latents, encode(model, tokens, positions, 8, 2))
    assert not latents.requires_grad
    assert [module.training for module in model.modules()] == before


def test_modes_come_back_after_a_failure(monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory")

    model = sane().train()
    monkeypatch.setattr(model, "encode", fail)
    tokens, positions = sequence(1, 20)
    with pytest.raises(RuntimeError):
        encode(model, tokens, positions, 8, 2)
    assert model.training


def test_impossible_windows_and_too_long_models_are_refused():
    tokens, positions = sequence(1, 20)
    with pytest.raises(ValueError, match="window=8, halo=4"):
        encode(sane(), tokens, positions, window=8, halo=4)
    short = sane(positions="learned", max_positions=[10, 10, 10])
    with pytest.raises(ValueError, match="token index 19"):
        encode(short, tokens, positions, window=8, halo=2)
