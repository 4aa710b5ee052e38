import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.data import Batch, counter_normal, counter_uniform, perturb

KEYS = torch.arange(64)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(-(2**70), 2**70),
    keys=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=9),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    split=st.integers(0, 9),
)
def test_a_samples_noise_does_not_depend_on_its_batch(seed, keys, shape, split):
    key = torch.tensor(keys)
    whole = counter_normal(seed, key, shape)
    parts = [counter_normal(seed, part, shape) for part in (key[:split], key[split:])]
    assert torch.equal(whole, torch.cat(parts))
    assert torch.equal(whole.flip(0), counter_normal(seed, key.flip(0), shape))


def test_large_samples_are_bit_equal_in_any_batch():
    whole = counter_normal(5, KEYS, (2, 33, 61))
    for size in (1, 7, 16):
        parts = [counter_normal(5, part, (2, 33, 61)) for part in KEYS.split(size)]
        assert torch.equal(whole, torch.cat(parts))


def test_moments_are_those_of_a_standard_normal():
    noise = counter_normal(0, KEYS, (16384,)).double()
    count = noise.numel()
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        error = abs(float((noise**power).mean()) - moment)
        assert error < 4 * math.sqrt(variance / count), power


def test_the_distribution_is_normal_into_its_tails():
    noise = counter_normal(1, KEYS, (16384,)).double()
    for quantile in (-3.5, -2.0, -1.0, -0.1, 0.0, 0.5, 1.5, 3.0):
        expected = 0.5 * (1 + math.erf(quantile / math.sqrt(2)))
        error = abs(float((noise < quantile).double().mean()) - expected)
        assert error < 5 * math.sqrt(expected * (1 - expected) / noise.numel()), quantile


def test_neighbouring_keys_seeds_views_and_elements_are_uncorrelated():
    noise = counter_normal(0, KEYS, (2, 8192))
    series = torch.cat([noise.flatten(0, 1), counter_normal(1, KEYS[:8], (8192,))])
    correlation = torch.corrcoef(series) - torch.eye(len(series))
    assert correlation.abs().max() < 6 / math.sqrt(8192)
    line = noise.reshape(-1)
    for lag in (1, 2, 3, 64, 8192):
        lagged = float((line[lag:] * line[:-lag]).mean())
        assert abs(lagged) < 5 / math.sqrt(len(line)), lag


def test_seed_and_key_are_not_interchangeable():
    a, b = counter_normal(1, torch.tensor([2]), (8,)), counter_normal(2, torch.tensor([1]), (8,))
    assert not torch.equal(a, b)


def test_uniform_numbers_fill_the_unit_interval():
    numbers = counter_uniform(0, KEYS, (4097,))
    assert numbers.min() > 0
    assert numbers.max() <= 1
    counts = torch.histc(numbers, 50, 0, 1)
    expected = numbers.numel() / 50
    assert float(((counts - expected) ** 2 / expected).sum()) < 100  # chi square, 49 degrees


def batch(values, mask):
    size, _, window, _ = values.shape
    return Batch(
        values=values * mask[:, None],
        mask=mask,
        positions=torch.zeros(size, window, 3, dtype=torch.int64),
        segment=mask.any(-1).long() - 1,
        source=torch.zeros(size, dtype=torch.int64),
        key=torch.arange(size) + 7,
        shelf=torch.zeros(size, dtype=torch.int64),
        mixed=True,
    )


@pytest.fixture
def windows():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(8, 2, 16, 32, generator=generator)
    return batch(values, torch.rand(8, 16, 32, generator=generator) < 0.7)


def test_noise_is_multiplicative_and_the_target_stays_clean(windows):
    clean = windows.values.clone()
    noised = perturb(windows, seed=3, sigma=0.1)
    assert torch.equal(windows.values, clean)
    real = windows.mask[:, None].expand_as(clean)
    ratio = (noised / clean)[real]
    assert abs(float(ratio.mean()) - 1) < 0.01
    assert abs(float(ratio.std()) - 0.1) < 0.01


def test_padding_stays_zero(windows):
    noised = perturb(windows, seed=3, sigma=0.5, erase=0.5)
    assert (noised.transpose(1, 2)[~windows.mask.any(-1)] == 0).all()
    assert (noised[~windows.mask[:, None].expand_as(noised)] == 0).all()


def test_erasing_hits_the_stated_share_and_nothing_else(windows):
    erased = perturb(windows, seed=3, sigma=0.0, erase=0.25)
    real = windows.mask[:, None].expand_as(erased)
    gone = erased[real] == 0
    assert abs(float(gone.float().mean()) - 0.25) < 0.03
    assert torch.equal(erased[real][~gone], windows.values[real][~gone])
    assert (perturb(windows, seed=3, sigma=0.1, erase=1.0) == 0).all()


def test_views_are_perturbed_independently(windows):
    same = windows._replace(values=windows.values[:, :1].expand(-1, 2, -1, -1))
    noised = perturb(same, seed=3, sigma=0.1)
    real = windows.mask
    a, b = ((noised[:, view] / same.values[:, view] - 1)[real] for view in (0, 1))
    assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 0.1


def test_without_noise_nothing_changes(windows):
    assert torch.equal(perturb(windows, seed=0, sigma=0.0), windows.values)
