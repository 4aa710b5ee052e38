"""Each sampler draws from the density it is named for, and from nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.neighbors import KernelDensity

from mzsane.sampling import KDE, Gaussian, Interpolate, LatentMixture

LAYERS = torch.tensor([0, 0, 0, 1, 1, 2])
SAMPLERS = [
    KDE("token"), KDE("layer"), KDE("joint"), KDE("token", "cv"), KDE("layer", "scott"),
    Gaussian(), Interpolate(2, 0.7), Interpolate(3, 0.7, "spherical"), LatentMixture(2),
]  # fmt: skip


def anchors(count=5, tokens=6, latent=3, seed=0):
    return torch.randn(count, tokens, latent, generator=torch.Generator().manual_seed(seed))


def draw(sampler, latents, n, seed=0, layers=LAYERS):
    return sampler.sample(latents, layers, n, torch.Generator().manual_seed(seed))


def origin(sample, latents):
    """Index of the anchor that each token of a noiseless sample was copied from."""
    same = (sample[None] == latents).all(-1)
    assert bool((same.sum(0) == 1).all()), "a token is no copy of any anchor"
    return same.int().argmax(0)


def test_tokens_of_one_kde_token_sample_come_from_several_anchors():
    latents = anchors()
    samples = draw(KDE("token", bandwidth=0.0), latents, 50)
    different = [len(origin(sample, latents).unique()) for sample in samples]
    assert np.mean(different) > 3  # six draws from five anchors hit 3.7 of them on average
    layer_0 = torch.stack([origin(sample, latents)[:3] for sample in samples])
    assert (layer_0 != layer_0[:, :1]).any()


def test_kde_layer_shares_an_anchor_within_layers_and_not_between_them():
    latents = anchors()
    origins = torch.stack([origin(s, latents) for s in draw(KDE("layer", 0.0), latents, 50)])
    assert (origins[:, 0:3] == origins[:, :1]).all()
    assert (origins[:, 3] == origins[:, 4]).all()
    assert (origins[:, 0] != origins[:, 3]).any()
    assert (origins[:, 3] != origins[:, 5]).any()


def test_kde_joint_takes_one_anchor_per_model_and_all_of_them_in_time():
    latents = anchors()
    origins = torch.stack([origin(s, latents) for s in draw(KDE("joint", 0.0), latents, 60)])
    assert (origins == origins[:, :1]).all()
    assert set(origins[:, 0].tolist()) == set(range(5))


@pytest.mark.parametrize("how", ["token", "layer", "joint"])
def test_noise_differs_from_token_to_token_and_model_to_model(how):
    latents = torch.zeros(4, 6, 3)
    samples = draw(KDE(how, bandwidth=1.0, scale="none"), latents, 2).reshape(12, 3)
    assert (torch.cdist(samples, samples) + torch.eye(12) > 1e-3).all()


@pytest.mark.parametrize("how", ["token", "layer", "joint"])
@pytest.mark.parametrize("scale", ["dimension", "none"])
def test_moments_are_those_of_the_density(how, scale):
    latents = anchors(count=8) * torch.tensor([0.1, 1.0, 5.0])
    variance = latents.var(0, correction=0)
    h = 0.5
    expected = variance * (1 + h**2) if scale == "dimension" else variance + h**2
    samples = draw(KDE(how, h, scale), latents, 6_000)
    error = (samples.mean(0) - latents.mean(0)).abs() / (expected / 6_000).sqrt()
    assert error.max() < 4.5
    torch.testing.assert_close(samples.var(0), expected, rtol=0.1, atol=0)


def test_agrees_with_scikit_learn():
    latents = anchors(count=6)
    samples = draw(KDE("token", 0.3, "none"), latents, 2_000)
    for token in range(latents.shape[1]):
        density = KernelDensity(bandwidth=0.3).fit(latents[:, token].numpy())
        theirs = density.sample(2_000, random_state=token)
        for dimension in range(latents.shape[2]):
            ours = samples[:, token, dimension].numpy()
            assert stats.ks_2samp(ours, theirs[:, dimension]).pvalue > 1e-3


def test_dimensions_of_one_token_share_their_anchor():
    """The density of a token is over its vector: far-apart anchors never mix within it."""
    latents = torch.tensor([[[-9.0, -9.0]], [[9.0, 9.0]]])
    samples = draw(KDE("token", 0.1, "none"), latents, 200, layers=torch.zeros(1).long())
    assert (samples[:, 0, 0].sign() == samples[:, 0, 1].sign()).all()
    assert len(samples[:, 0, 0].sign().unique()) == 2


def test_gaussian_has_mean_and_spread_of_the_anchors_and_normal_shape():
    latents = anchors(count=3) * 4
    samples = draw(Gaussian(), latents, 6_000)
    torch.testing.assert_close(samples.std(0), latents.std(0, correction=0), rtol=0.08, atol=0)
    standard = (samples - latents.mean(0)) / latents.std(0, correction=0)
    assert stats.kstest(standard[:, 0, 0].numpy(), "norm").pvalue > 1e-3


@given(k=st.integers(1, 7), spread=st.floats(0.05, 20.0), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_interpolations_are_convex_combinations_of_k_anchors(k, spread, seed):
    one_hot = torch.eye(5)[:, None, :].expand(5, 6, 5).contiguous()
    weights = draw(Interpolate(k, spread), one_hot, 8, seed)
    assert (weights == weights[:, :1]).all(), "one mixture serves all tokens of a model"
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(8, 6))
    assert ((weights[:, 0] > 0).sum(-1) <= min(k, 5)).all()


def test_spread_goes_from_one_anchor_to_the_mean():
    one_hot = torch.eye(4)[:, None, :].expand(4, 6, 4).contiguous()
    largest = [draw(Interpolate(4, s), one_hot, 200)[:, 0].amax(-1).mean() for s in (0.05, 1, 50)]
    assert largest[0] > 0.9 > largest[1] > 0.4 > largest[2] > 0.25


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_draws_do_not_depend_on_how_they_are_chunked(sampler):
    latents = anchors()
    whole = draw(sampler, latents, 7)
    generator = torch.Generator().manual_seed(0)
    parts = [sampler.sample(latents, LAYERS, n, generator) for n in (1, 4, 2)]
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_seed_decides_and_global_state_is_untouched(sampler):
    latents, before = anchors(), torch.get_rng_state()
    assert torch.equal(draw(sampler, latents, 3, seed=1), draw(sampler, latents, 3, seed=1))
    assert not torch.equal(draw(sampler, latents, 3, seed=1), draw(sampler, latents, 3, seed=2))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("sampler", [Gaussian(), Interpolate(2), KDE("joint", 0.0)], ids=str)
def test_what_has_no_width_repeats_a_single_anchor(sampler):
    latents = anchors(count=1)
    torch.testing.assert_close(draw(sampler, latents, 3), latents.expand(3, -1, -1))


@pytest.mark.parametrize("how", ["token", "layer", "joint"])
def test_around_a_single_anchor_a_density_is_as_wide_as_its_tokens_differ(how):
    latents = anchors(count=1) * torch.tensor([1.0, 5.0, 0.2])
    samples = draw(KDE(how, 0.5), latents, 6_000)
    torch.testing.assert_close(
        samples.std(0), 0.5 * latents[0].std(0, correction=0).expand(6, 3), rtol=0.05, atol=0
    )


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: KDE(bandwidth=-1.0), "bandwidth"),
        (lambda: Interpolate(k=0), "k=0"),
        (lambda: Interpolate(spread=0.0), "spread=0.0"),
    ],
)
def test_impossible_arguments_are_refused_by_name(make, named):
    with pytest.raises(ValueError, match=named):
        make()
