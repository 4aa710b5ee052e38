"""Rules for bandwidths are those of SciPy and scikit-learn; cross-validation is a slow loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gaussian_kde
from sklearn.neighbors import KernelDensity

from mzsane.sampling import KDE
from mzsane.sampling import bandwidths as bandwidths_module
from mzsane.sampling.bandwidths import cross_validated, scott, silverman

LAYERS = torch.tensor([0, 0, 0, 1, 1, 2])


def anchors(count=5, tokens=6, latent=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scales = torch.rand(tokens, latent, generator=generator) * 3 + 0.1
    return torch.randn(count, tokens, latent, generator=generator) * scales


@given(n=st.integers(3, 60), d=st.integers(1, 2))
@settings(max_examples=20, deadline=None)
def test_rules_are_those_of_scipy_and_scikit_learn(n, d):
    points = np.random.default_rng([n, d]).normal(size=(n, d))
    dimensions = torch.tensor([d], dtype=torch.float64)
    for rule, name in ((scott, "scott"), (silverman, "silverman")):
        ours = rule(n, dimensions).item()
        assert ours == pytest.approx(gaussian_kde(points.T, name).factor)
        assert ours == pytest.approx(KernelDensity(bandwidth=name).fit(points).bandwidth_)


@pytest.mark.parametrize(("how", "sizes"), [("token", [1] * 6), ("layer", [3, 3, 3, 2, 2, 1])])
def test_a_rule_counts_the_dimensions_of_each_density(how, sizes):
    latents = anchors()
    group = KDE(how)._groups(LAYERS)
    found = KDE(how, "scott", "none")._bandwidth(latents, torch.ones(6, 3), group)
    wanted = [5 ** (-1 / (3 * size + 4)) for size in sizes]
    torch.testing.assert_close(found[:, 0], torch.tensor(wanted, dtype=torch.float64))


def slow_choice(latents, scale, group):
    """Each anchor's density under a density of all others, for every bandwidth and group."""
    totals = []
    for bandwidth in bandwidths_module.BANDWIDTHS:
        total = 0.0
        for number in group.unique():
            points = (latents / scale)[:, group == number].flatten(1).double().numpy()
            for left_out in range(len(points)):
                rest = np.delete(points, left_out, axis=0)
                density = KernelDensity(bandwidth=bandwidth).fit(rest)
                total += density.score_samples(points[left_out : left_out + 1])[0]
        totals.append(total)
    return bandwidths_module.BANDWIDTHS[int(np.argmax(totals))]


@pytest.mark.parametrize("how", ["token", "layer", "joint"])
@pytest.mark.parametrize("scale", ["dimension", "isotropic", "none"])
def test_cross_validation_finds_what_a_slow_loop_finds(how, scale, monkeypatch):
    monkeypatch.setattr(bandwidths_module, "BANDWIDTHS", np.geomspace(0.1, 5, 12))
    latents = anchors(count=6, seed=2)
    group = KDE(how)._groups(LAYERS)
    width = KDE(how, scale=scale)._scale(latents, group)
    wanted = slow_choice(latents, width, group)
    assert cross_validated(latents, width, group) == wanted
    monkeypatch.setattr(bandwidths_module, "PART", 1)  # a token at a time
    assert cross_validated(latents, width, group) == wanted
    assert 0.1 < wanted < 5, "the largest or smallest of all says nothing"


def test_dimensions_without_spread_decide_nothing():
    latents = anchors(count=6)
    group = torch.arange(6)
    constant = torch.cat([latents, torch.ones(6, 6, 2)], dim=2)
    assert cross_validated(latents, KDE()._scale(latents, group), group) == cross_validated(
        constant, KDE()._scale(constant, group), group
    )


def test_one_anchor_cannot_be_left_out():
    with pytest.raises(ValueError, match="at least two anchors"):
        KDE(bandwidth="cv").fit(anchors(count=1), LAYERS)


@pytest.mark.parametrize("how", ["token", "layer", "joint"])
@pytest.mark.parametrize("scale", ["dimension", "isotropic", "none"])
def test_draws_are_as_wide_as_the_rule_says(how, scale):
    latents = anchors()
    drawn = KDE(how, "scott", scale).sample(
        latents, LAYERS, 4_000, torch.Generator().manual_seed(0)
    )
    sizes = {"token": [1] * 6, "layer": [3, 3, 3, 2, 2, 1], "joint": [6] * 6}[how]
    factor = torch.tensor([5 ** (-1 / (3 * size + 4)) for size in sizes])[:, None]
    variance = latents.var(0, correction=0)
    groups = {"token": range(6), "layer": LAYERS.tolist(), "joint": [0] * 6}[how]
    mates = torch.tensor([[a == b for b in groups] for a in groups]).float()
    mean = (mates @ variance).sum(1) / (3 * mates.sum(1))
    unit = {"dimension": variance, "isotropic": mean[:, None], "none": torch.ones(1)}[scale]
    expected = variance + factor**2 * unit
    torch.testing.assert_close(drawn.var(0), expected, rtol=0.12, atol=0)
