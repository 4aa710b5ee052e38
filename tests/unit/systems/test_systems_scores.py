"""Figures of sources and kinds are those of their own sums, and sources those of their kinds."""

import pytest
import torch

from mzsane.losses import MaskedSums, masked_sums, r_squared
from mzsane.systems.scores import scores

SOURCES, KINDS = ("a", "b"), ("other", "linear", "norm")


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 6, 5, 4, generator=generator, dtype=torch.float64)
    mask = torch.rand(6, 5, 4, generator=generator) < 0.7
    source = torch.tensor([0, 1, 0, 1, 0, 1])[:, None].expand(6, 5)
    kind = torch.randint(1, 3, (6, 5), generator=generator)
    kind[1::2] = 1  # source b is linear all through
    return prediction, target, mask, source, kind


def alone(batch, chosen):
    """The sums of the chosen tokens by themselves."""
    prediction, target, mask, *_ = batch
    mask = mask & chosen[..., None]
    return masked_sums(prediction, target, mask, torch.zeros_like(batch[3]), 1)


def test_each_figure_is_that_of_its_own_tokens(batch):
    *values, source, kind = batch
    found = scores(masked_sums(*values, source * 3 + kind, 6), SOURCES, KINDS)
    expected = {}
    for number, name in enumerate(SOURCES):
        own = alone(batch, source == number)
        expected[f"mse/{name}"] = (own.residual / own.weights).item()
        expected[f"r2/{name}"] = r_squared(own).item()
    for name, number, k in (("a/linear", 0, 1), ("a/norm", 0, 2), ("b/linear", 1, 1)):
        expected[f"r2/{name}"] = r_squared(alone(batch, (source == number) & (kind == k))).item()
    assert found == pytest.approx(expected)


def test_without_kinds_there_are_figures_of_sources_only(batch):
    *values, source, kind = batch
    split = scores(masked_sums(*values, source * 3 + kind, 6), SOURCES, KINDS)
    found = scores(masked_sums(*values, source, 2), SOURCES, ())
    assert found == pytest.approx({n: x for n, x in split.items() if n.count("/") == 1})


def test_a_source_without_weights_has_no_score():
    empty = MaskedSums(*(torch.zeros(2, dtype=torch.float64) for _ in MaskedSums._fields))
    found = scores(empty, SOURCES, ())
    assert set(found) == {"mse/a", "r2/a", "mse/b", "r2/b"}
    assert all(value != value for value in found.values())
