"""Arcs between anchors, and mixtures in the directions in which they differ."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp

from mzsane.sampling import Interpolate, LatentMixture
from mzsane.sampling.interpolate import along_arcs
from mzsane.sampling.latent_mixture import principal_components

LAYERS = torch.zeros(6).long()


def anchors(count=5, tokens=6, latent=3, seed=0):
    return torch.randn(count, tokens, latent, generator=torch.Generator().manual_seed(seed))


def draw(sampler, latents, n, seed=0):
    return sampler.sample(latents, LAYERS, n, torch.Generator().manual_seed(seed))


@given(share=st.floats(0, 1), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_arcs_are_those_of_scipy_with_lengths_between(share, seed):
    start, end = anchors(2, seed=seed)
    found = along_arcs(torch.stack([start, end]), [1 - share, share])
    for one, other, token in zip(start, end, found, strict=True):
        directions = [(v.double() / v.double().norm()).numpy() for v in (one, other)]
        arc = geometric_slerp(*directions, [share])[0] if share not in (0, 1) else None
        length = (1 - share) * one.norm() + share * other.norm()
        assert float(token.norm()) == pytest.approx(float(length), rel=1e-4)
        if arc is not None:
            np.testing.assert_allclose((token / token.norm()).numpy(), arc, atol=1e-4)


def test_arcs_between_parallel_or_empty_tokens_are_straight():
    ones = torch.ones(1, 6, 3)
    for end in (3 * ones, -ones, 0 * ones):
        found = along_arcs(torch.cat([ones, end]), [0.75, 0.25])
        torch.testing.assert_close(found, torch.lerp(ones, end, 0.25)[0])


def test_an_anchor_without_weight_leaves_an_arc_alone():
    latents = anchors(3)
    torch.testing.assert_close(along_arcs(latents, [0.0, 1.0, 0.0]), latents[1])


def test_spherical_mixtures_keep_the_length_that_convex_ones_lose():
    latents = anchors(8, tokens=6, latent=200)
    length = latents.norm(dim=-1).mean()
    between = {
        path: draw(Interpolate(3, 50.0, path), latents, 20).norm(dim=-1).mean()
        for path in ("convex", "spherical")
    }
    assert between["convex"] < 0.7 * length
    assert between["spherical"] > 0.97 * length


def test_components_give_the_anchors_back():
    latents = anchors()
    scores, weights = principal_components(latents)
    assert scores.shape == (5, 4)
    np.testing.assert_allclose(scores[:, 0].std(), 1, rtol=1e-5)
    deviations = (latents - latents.mean(0)).flatten(1).double().numpy()
    np.testing.assert_allclose(scores @ weights @ deviations, deviations, atol=1e-5)
    covariance = scores.T @ scores
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-5)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_one_component_has_mean_and_covariance_of_the_anchors(covariance):
    latents = anchors(seed=3)
    drawn = draw(LatentMixture(1, covariance=covariance), latents, 4_000).flatten(1)
    flat = latents.flatten(1)
    wanted = torch.cov(flat.T, correction=0)
    error = (drawn.mean(0) - flat.mean(0)).abs() / (wanted.diag() / 4_000).sqrt()
    assert error.max() < 4.5
    assert (torch.cov(drawn.T) - wanted).abs().max() < 0.08 * wanted.diag().max()


def test_components_follow_groups_of_anchors():
    latents = anchors(12) * 0.1
    latents[:4] += 5
    drawn = draw(LatentMixture(2), latents, 400).mean((1, 2))
    near = [((drawn - centre).abs() < 0.5).float().mean() for centre in (0.0, 5.0)]
    assert sum(near) > 0.99
    assert near[1] == pytest.approx(4 / 12, abs=0.08)


def test_rank_keeps_the_directions_of_largest_variance():
    latents = anchors() * 0.01
    latents[:, 2, 1] += torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    drawn = draw(LatentMixture(1, rank=1), latents, 50)
    singular = torch.linalg.svdvals(drawn.flatten(1) - drawn.flatten(1).mean(0))
    assert (singular > 1e-4 * singular[0]).sum() == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LatentMixture(5).fit(anchors(5), LAYERS), "needs at least 6 anchors, there are 5"),
        (lambda: LatentMixture(1).fit(anchors(1), LAYERS), "needs at least 2 anchors"),
        (lambda: LatentMixture(1).fit(torch.ones(3, 6, 3), LAYERS), "all anchors are the same"),
        (lambda: LatentMixture(0), "components=0"),
        (lambda: LatentMixture(rank=0), "rank=0"),
        (lambda: LatentMixture(covariance="tied"), "covariance"),
        (lambda: Interpolate(path="straight"), "path"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(Exception, match=message):  # a wrong word meets the checker of types first
        make()
